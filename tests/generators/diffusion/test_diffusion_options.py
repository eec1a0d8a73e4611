"""Options of diffusion: parts by name, and what does not fit."""

import pytest

from regen_jax.config.registry import instantiate
from regen_jax.errors import UserError
from regen_jax.generators.diffusion.diffusion import Diffusion
from regen_jax.generators.diffusion.guidance.autoguidance import Autoguidance
from regen_jax.generators.diffusion.noise_schedules.linear import Linear
from regen_jax.generators.diffusion.predictions.epsilon import Epsilon
from regen_jax.generators.diffusion.processes.ddpm import DDPM
from regen_jax.generators.diffusion.solvers.ddim import DDIM
from regen_jax.generators.diffusion.time_sampling.stratified import Stratified
from regen_jax.generators.diffusion.time_sampling.uniform import Uniform
from regen_jax.networks.conditioning.spatial import SpatialConditioning
from regen_jax.networks.dit import DiTOptions
from regen_jax.spaces import Array, Category, Tokens

TARGET = Array((4, 4, 1), 0, 10)


def test_parts_are_chosen_by_name():
    section = {
        "name": "diffusion",
        "network": {"name": "dit", "patch": 2, "width": 8, "num_heads": 2},
        "conditioning": {"name": "spatial"},
        "process": {
            "name": "ddpm",
            "prediction": {"name": "epsilon"},
            "schedule": {"name": "linear", "beta_max": 10.0},
        },
        "time_sampling": {"name": "stratified", "density": {"name": "uniform"}},
        "time_shift": 2,
        "solver": {"name": "ddim", "eta": 0.5},
        "guidance": 2,
        "guidance_method": {"name": "autoguidance", "interval": [0, 0.5]},
        "guide_steps": 10,
    }
    spaces = {"source_space": Array((2, 2, 1)), "target_space": TARGET}
    assert instantiate(Diffusion, section, "config.prior", **spaces) == Diffusion(
        **spaces,
        network=DiTOptions(patch=2, width=8, num_heads=2),
        conditioning=SpatialConditioning(),
        process=DDPM(Epsilon(), Linear(beta_max=10.0)),
        time_sampling=Stratified(Uniform()),
        time_shift=2.0,
        solver=DDIM(0.5),
        guidance=2.0,
        guidance_method=Autoguidance((0.0, 0.5)),
        guide_steps=10,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"network": {"name": "dit", "patch": 3}},
            "patch 3 does not divide the axes of",
        ),
        (
            {"network": {"name": "dit", "num_heads": 3}},
            ".network: num_heads 3 does not divide width 128",
        ),
        ({"network": {"name": "mlp"}}, ".network: no network is called 'mlp'; known"),
        ({"conditioning": {"name": "spatial"}}, "needs an Array whose axes divide"),
        (
            {"time_sampling": {"name": "cosine"}},
            "known are log_normal, logit_normal",
        ),
        (
            {"solver": {"name": "rk4"}},
            "no solver is called 'rk4'; known are ddim, dpm_solver_2m",
        ),
        ({"solver": {}}, ".solver needs a name: ddim, dpm_solver_2m"),
        ({"process": {"name": "vdm"}}, "known are ddpm, edm, flow_matching"),
        ({"num_steps": 0}, "num_steps must be at least 1"),
        ({"source_dropout": 1.0}, "source_dropout must be in [0, 1)"),
        (
            {"source_dropout": 0.0, "guidance": 2.0},
            "guidance 2.0 needs source_dropout above 0",
        ),
        (
            {"guidance": 2.0, "guidance_method": {"name": "autoguidance"}},
            "guidance 2.0 by Autoguidance needs guide_steps above 0",
        ),
        (
            {
                "process": {
                    "name": "flow_matching",
                    "prediction": {"name": "epsilon"},
                }
            },
            ".process: prediction Epsilon says nothing of the data at time 0",
        ),
        ({"time_shift": 0.0}, "time_shift must be above 0"),
        ({"guidance": -0.5}, "guidance must be in [0, 1000], not -0.5"),
        ({"guidance": float("inf")}, "guidance must be finite"),
    ],
)
def test_option_that_does_not_fit_raises_user_error(options, message):
    with pytest.raises(UserError) as error:
        instantiate(
            Diffusion,
            options,
            "config.prior",
            source_space=Category(2),
            target_space=TARGET,
        )
    assert str(error.value).startswith("config.prior")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source_space", "target_space", "message"),
    [
        (Array((9, 3), padded=True), TARGET, "source of constant length"),
        (Category(2), Array((4, 4, 1), padded=True), "target of constant length"),
        (Tokens(3, 4), Array((8, 3), padded=True), "generator of 'duration_aligned'"),
    ],
)
def test_padded_space_raises_value_error(source_space, target_space, message):
    with pytest.raises(ValueError, match=message):
        Diffusion(source_space, target_space)
