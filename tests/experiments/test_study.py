"""Studies: configs of their runs, cells over seeds, and the table that is kept."""

import json
from pathlib import Path

import pytest

from experiments import study
from experiments.study import COSTS, Column, Row, Scale, Study, run_study
from regen_jax.errors import UserError

FIRST, SECOND = "7 × 7, first", "second"
ROWS = (
    Row(FIRST, "digits.py:size=demo"),
    Row(
        SECOND,
        "digits.py:abstraction=kl",
        {"train.prior.init_from": f"{{{FIRST}}}", "train.prior.steps": 7},
    ),
)
WER = Column("WER", "wer", "{:.1%}", spread="wer_std")
RATE = Column("seconds", "rate", "{:.1f}", convert=lambda rate: 1 / rate)
STUDY = Study("pair", ROWS, (WER, RATE), ("judge",), ((FIRST, SECOND),))


@pytest.mark.parametrize(
    "column, runs, text",
    [
        (WER, [{"wer": 0.0402}], "4.0%"),
        (WER, [{"wer": 0.0402, "wer_std": 0.01}], "4.0% ± 1.0%"),
        (WER, [{"wer": 0.1, "wer_std": 0.9}, {"wer": 0.3}], "20.0% ± 14.1%"),
        (WER, [{"wer": 0.1}, {}], ""),
        (WER, [{}], ""),
        (RATE, [{"rate": 0.5}], "2.0"),
        (RATE, [{"rate": 0.5}, {"rate": 0.25}], "3.0 ± 1.4"),
    ],
)
def test_cell_is_a_mean_over_seeds_or_empty(column, runs, text):
    assert column.cell(*runs) == text


def test_difference_is_that_of_pairs_with_the_deviation_of_both():
    one, other = {"wer": 0.5, "wer_std": 0.03}, {"wer": 0.4, "wer_std": 0.04}
    assert WER.difference([one], [other]) == "10.0% ± 5.0%"
    assert WER.difference([one], [{"wer": 0.4}]) == "10.0%"
    assert WER.difference([one], [{}]) == ""
    assert WER.difference([one, other], [other, other]) == "5.0% ± 7.1%"
    assert RATE.difference([{"rate": 0.5}], [{"rate": 1.0}]) == "1.0"


def test_runs_share_stages_of_the_first_and_refer_to_their_own_seed():
    runs = list(STUDY.configs(Path("runs"), Scale(seeds=2, size="tiny", data_dir="d")))
    assert [title for title, *_ in runs] == [FIRST, SECOND] * 2
    folders = ["7_7_first", "second", "7_7_first_seed_1", "second_seed_1"]
    assert [workdir for _, workdir, _ in runs] == [Path("runs", f) for f in folders]
    configs = [config for *_, config in runs]
    assert [config.seed for config in configs] == [0, 0, 1, 1]
    assert all(config.data.dir == "d" for config in configs)
    assert [config.train.judge.get("init_from", "") for config in configs] == [
        *("", "runs/7_7_first", "runs/7_7_first", "runs/7_7_first")
    ]
    assert configs[1].train.prior.init_from == "runs/7_7_first"
    assert configs[3].train.prior.init_from == "runs/7_7_first_seed_1"
    assert configs[1].train.prior.steps == 7 and configs[0].train.judge.steps == 20


def test_size_of_a_row_is_its_own_by_default():
    row = Row("row", "digits.py:size=tiny")
    assert study.configure(row, {}, Scale()).prior.width == 16
    assert study.configure(row, {}, Scale(size="demo")).prior.width == 128


def test_unknown_size_raises_user_error(tmp_path):
    with pytest.raises(UserError, match="size cannot be 'huge': known are demo"):
        run_study(STUDY, tmp_path, Scale(size="huge"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "results.json cannot be read"),
        ("{}", "holds no tables, and is left as it is"),
        (None, "cannot be written"),
    ],
)
def test_results_that_cannot_be_kept_raise_user_error_first(tmp_path, content, words):
    results = tmp_path / "results.json"
    if content is None:
        results.mkdir()
    else:
        results.write_text(content)
    with pytest.raises(UserError, match=words):
        run_study(STUDY, tmp_path / "runs", Scale(), results)
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert content is None or results.read_text() == content


def test_table_of_all_runs_is_kept_beside_others(monkeypatch, tmp_path):
    trained = []
    monkeypatch.setattr(study, "train_run", lambda *run: trained.append(run[1].name))
    metrics = {"wer": 0.5, "rate": 4.0, "train/parameters": 1e6, "train/seconds": 2.0}
    monkeypatch.setattr(study, "evaluate_run", lambda workdir: (metrics, []))
    results = tmp_path / "pairs" / "results.json"
    results.parent.mkdir()
    table = run_study(STUDY, tmp_path, Scale(), results)
    assert trained == ["7_7_first", "second"]
    assert table[0] == ["", "WER", "seconds", *(column.title for column in COSTS)]
    assert table[1] == [FIRST, "50.0%", "0.2", "1,000,000", "", "2 s"]
    assert table[3] == [f"{FIRST} less {SECOND}", "0.0%", "0.0", "0", "", "0 s"]
    content = json.loads(results.read_text())
    assert content["tables"] == {"pair": table} and content["machine"]
    assert content["command"] == "python -m experiments.pairs.run --workdir=runs/pairs"
    content = {**content, "command": "own", "tables": {"other": [["x"]]}}
    results.write_text(json.dumps(content))
    run_study(STUDY, tmp_path, Scale(), results)
    content["tables"]["pair"] = table
    assert json.loads(results.read_text()) == content
