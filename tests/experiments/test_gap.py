"""The study of the gap: its runs, which are built, and what it makes of their metrics."""

import json
import runpy

import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

from experiments import study
from regen_jax.config.build import build

STAGES = ("judge", "abstraction", "decoder", "prior", "finetune")


@pytest.fixture
def configs(monkeypatch):
    """By workdir, the configs that the study trained, whose metrics are their number."""
    configs = {}

    def train(config, workdir):
        build(config)
        configs[workdir.name] = config

    def evaluate(workdir):
        names = {column.metric for column in study.COSTS}
        names |= {
            f"{part}/{name}"
            for part in ("samples", "true_y_prime", "gap")
            for name in ("accuracy", "frechet")
        }
        metrics = dict.fromkeys(names, len(configs) / 100)
        workdir.mkdir(parents=True)
        (workdir / "metrics.json").write_text(json.dumps(metrics))
        return metrics, []

    monkeypatch.setattr(study, "train_run", train)
    monkeypatch.setattr(study, "evaluate_run", evaluate)
    return configs


def test_study_trains_what_differs_and_reports_the_gap(configs, digits_dir, tmp_path):
    results, workdir = tmp_path / "gap/results.json", tmp_path / "runs"
    results.parent.mkdir()
    with flagsaver.flagsaver():
        module = runpy.run_module("experiments.gap.run")
        names = {"workdir": workdir, "data_dir": digits_dir, "results": results}
        arguments = [f"--{name}={value}" for name, value in names.items()]
        flags.FLAGS(["run", *arguments, "--size=tiny", "--seeds=2"])
        module["main"]()
    trained = {
        name: [s for s in STAGES if s in c.train and not c.train[s].get("init_from")]
        for name, c in configs.items()
    }
    assert {k: v for k, v in trained.items() if k.endswith("_0")} == {
        "baseline_seed_0": ["judge", "abstraction", "decoder", "prior"],
        "longer_decoder_seed_0": ["decoder"],
        "noise_seed_0": ["decoder"],
        "flips_seed_0": ["prior"],
        "finetune_seed_0": ["finetune"],
        "all_three_seed_0": ["finetune"],
    }
    assert len(trained) == 12
    last = configs["all_three_seed_1"]
    assert last.seed == 1 and last.prior.input_noise == 0.1
    assert last.train.decoder.source_noise == 0.1
    for stage, origin in (("decoder", "noise"), ("prior", "flips")):
        assert last.train[stage].init_from == str(workdir / f"{origin}_seed_1")
    content = json.loads(results.read_text())
    assert content["command"].startswith("python -m experiments.gap.run ")
    _, *rows = content["tables"]["cures"]
    assert [row[3] for row in rows] == [f"+{number}.0%" for number in range(1, 13)]
    with Image.open(results.parent / "gap.png") as picture:
        assert picture.size == (1080, 384)
