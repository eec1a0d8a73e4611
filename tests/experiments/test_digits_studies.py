"""Studies of digits: their runs are built, and compare what they say."""

import math

import pytest

from experiments.digits.run import STUDIES
from experiments.equal_flops import training_flops
from experiments.latent_diffusion.run import LATENT, PIXEL
from experiments.latent_diffusion.run import STUDY as LATENT_DIFFUSION
from experiments.quantizers.run import STUDY as QUANTIZERS
from experiments.study import Scale
from regen_jax.config.build import build
from regen_jax.evaluation.rate import num_bits


@pytest.fixture
def runs(digits_dir, tmp_path):
    """Builds the runs of a study by title, and their configs."""

    def get(study, size=""):
        scale = Scale(size=size, data_dir=digits_dir)
        configs = {title: c for title, _, c in study.configs(tmp_path, scale)}
        return {t: build(c, reports=False) for t, c in configs.items()}, configs

    return get


@pytest.mark.parametrize("study", [*STUDIES, QUANTIZERS, LATENT_DIFFUSION])
def test_runs_take_the_judge_of_the_first(runs, study, tmp_path):
    _, (first, *others) = zip(*runs(study)[1].items(), strict=True)
    assert "init_from" not in first.train.judge and others
    judges = {config.train.judge.init_from for config in others}
    assert len(judges) == 1 and judges.pop().startswith(str(tmp_path))


def test_generators_sample_in_few_calls_but_for_the_autoregressive(runs):
    built, configs = runs(STUDIES[1])
    calls = {title: run.regeneration.prior.num_calls for title, run in built.items()}
    autoregressive, masked, diffusion = calls.values()
    assert autoregressive == 49 and masked <= 12 and diffusion <= 25
    _, masked, _ = configs.values()
    assert masked.train.abstraction.init_from == masked.train.judge.init_from


def test_quantizers_have_equal_bits(runs):
    built, _ = runs(QUANTIZERS)
    bits = {
        title: num_bits(run.regeneration.abstraction.output_space)
        for title, run in built.items()
    }
    assert bits.pop("KL") is None
    assert [round(value) for value in bits.values()] == [343, 343, 343, 339]
    assert bits["residual VQ"] == pytest.approx(98 * math.log2(11))
    grids = {run.regeneration.abstraction.latent_shape for run in built.values()}
    assert grids == {(7, 7)}


def test_pixel_diffusion_takes_the_flops_of_latent_diffusion(digits_dir):
    scale = Scale(size="tiny", data_dir=digits_dir)
    latent, row = LATENT_DIFFUSION.rows(scale)
    assert latent == LATENT and row.title == PIXEL.title
    costs = training_flops(latent, scale)
    assert set(costs) == {"abstraction", "prior"}
    assert all(steps == 20 and flops > 0 for steps, flops in costs.values())
    ((steps, flops),) = training_flops(row, scale).values()
    assert steps == row.options["train.prior.steps"] > 20
    total = sum(steps * flops for steps, flops in costs.values())
    assert abs(steps * flops - total) <= flops / 2
