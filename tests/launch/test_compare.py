import json

import numpy as np
import pytest

from launch.compare import cells, paired
from regen_jax.cli.workdir import FORMAT
from regen_jax.errors import UserError
from regen_jax.evaluation import outputs
from regen_jax.metrics import text as text_metrics
from regen_jax.metrics.significance import compare_texts, paired_bootstrap

TEXTS = [f"In the {i} beginning God made the heaven." for i in range(20)]


def write(folder, texts, errors, rows=None, task="simplification", **metrics):
    """A run that was evaluated on those texts, in the order of the rows."""
    rows = np.arange(len(texts)) if rows is None else rows
    folder.mkdir()
    data = {"name": "simple_bible"}
    config = {"format": FORMAT, "task": task, "data": data}
    (folder / "config.json").write_text(json.dumps(config))
    columns = {
        "reference": [TEXTS[row] for row in rows],
        "output": [texts[row] for row in rows],
        "wer": np.array([(errors[row], 8) for row in rows]),
    }
    outputs.write(outputs.path(folder, "test"), columns)
    metrics = {
        "samples/bleu": text_metrics.bleu(TEXTS, texts),
        "samples/wer": sum(errors) / (8 * len(errors)),
        **metrics,
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def two_runs(tmp_path):
    """The second has its examples in another order, as other options may."""
    errors = np.arange(20) % 5, np.arange(20) % 3
    worse = [text.replace("God", "he") for text in TEXTS]
    costs = {"train/parameters": 100, "train/seconds": 8.0, "samples/perplexity": 9.0}
    first = write(tmp_path / "a", worse, errors[0], **costs)
    costs |= {"train/parameters": 150, "train/flops": 1e9, "samples/perplexity": 8.0}
    rows = np.random.default_rng(0).permutation(20)
    second = write(tmp_path / "b", TEXTS, errors[1], rows, **costs)
    return first, second, errors, worse


def test_examples_are_paired_in_any_order(two_runs):
    first, second, errors, worse = two_runs
    comparisons = paired(first, second, "test")
    sides = (np.stack([side, np.full(20, 8)], axis=1) for side in errors)
    assert comparisons == {
        "wer": paired_bootstrap(*sides),
        "bleu": compare_texts("bleu", TEXTS, worse, TEXTS),
    }
    back = paired(second, first, "test")["wer"]
    assert back.difference == -comparisons["wer"].difference


def test_table_contains_differences_and_costs(two_runs):
    first, second, *_ = two_runs
    table = {row[0]: row[1:] for row in cells(first, second, "test")}
    assert list(table) == [
        "", "samples/bleu", "samples/wer", "samples/perplexity",
        "train/parameters", "train/seconds", "train/flops",
    ]  # fmt: skip
    wer = paired(first, second, "test")["wer"]
    assert table["samples/wer"] == [
        "0.25", f"{wer.system:.4g}", f"{wer.difference:+.3g}",
        f"{wer.low:.3g} to {wer.high:.3g}", f"{wer.p_value:.3g}",
    ]  # fmt: skip
    assert table["samples/bleu"][1] == "100"
    assert table["samples/perplexity"] == ["9", "8", "-1", "", ""]
    assert table["train/parameters"] == ["100", "150", "× 1.5", "", ""]
    assert table["train/flops"] == ["", "1e+09", "", "", ""]
    chosen = cells(first, second, "test", ["samples/w*"])
    assert [row[0] for row in chosen][:2] == ["", "samples/wer"]
    with pytest.raises(UserError, match="--metrics=x matches no metric: known are"):
        cells(first, second, "test", ["x"])


def test_runs_on_other_examples_raise_user_error(two_runs, tmp_path):
    first, _, errors, worse = two_runs
    part = write(tmp_path / "part", worse, errors[0], rows=np.arange(15))
    with pytest.raises(UserError, match="different examples: 20 and 15, of which 15"):
        paired(first, part, "test")
    twice = write(tmp_path / "twice", worse, errors[0], rows=np.arange(20) // 2)
    with pytest.raises(UserError, match="20 and 20, of which 10 are the same, such as"):
        paired(first, twice, "test")
    other = write(tmp_path / "other", worse, errors[0], task="melody")
    with pytest.raises(
        UserError, match="different data sets: config.task is 'simplification'"
    ):
        paired(first, other, "test")


def test_command_prints_table_or_error_of_one_line(two_runs, command):
    first, second, *_ = two_runs
    flags = ["launch.compare", f"--workdir={second}", f"--baseline={first}"]
    done = command.run(*flags)
    assert done.returncode == 0, done.stderr
    assert "samples/bleu" in done.stdout and "95 % interval" in done.stdout
    done = command.run(*flags, "--split=validation")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert f"--baseline={first} has no outputs on the validation split" in done.stderr
