"""The study of the gap: its runs, which are built."""

from experiments.gap.run import STUDY
from experiments.study import Scale
from regen_jax.config.build import build

STAGES = ("judge", "abstraction", "decoder", "prior", "finetune")


def test_study_trains_what_differs_and_takes_the_rest(digits_dir, tmp_path):
    scale = Scale(seeds=2, size="tiny", data_dir=digits_dir)
    configs = {w.name: c for _, w, c in STUDY.configs(tmp_path, scale)}
    trained = {
        name: [s for s in STAGES if s in c.train and not c.train[s].get("init_from")]
        for name, c in configs.items()
    }
    assert {k: v for k, v in trained.items() if "_seed_" not in k} == {
        "baseline": ["judge", "abstraction", "decoder", "prior"],
        "longer_decoder": ["decoder"],
        "noise": ["decoder"],
        "flips": ["prior"],
        "finetune": ["finetune"],
        "all_three": ["finetune"],
    }
    assert len(trained) == 12
    assert trained["baseline_seed_1"] == ["abstraction", "decoder", "prior"]
    last = configs["all_three_seed_1"]
    assert last.seed == 1 and last.prior.input_noise == 0.1
    assert last.train.decoder.source_noise == 0.1
    assert last.train.decoder.steps + last.train.finetune.steps == (
        configs["longer_decoder"].train.decoder.steps
    )
    for stage, origin in (("decoder", "noise"), ("prior", "flips")):
        assert last.train[stage].init_from == str(tmp_path / f"{origin}_seed_1")
    for config in configs.values():
        build(config)
