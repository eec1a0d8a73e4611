"""The guide of autoguidance, as it is averaged over early training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.diffusion.guide import init_guide, update_guide


def test_guide_averages_early_parameters_and_then_stays():
    variables = init_guide({"params": {"bias": jnp.zeros(2)}})
    update = jax.jit(functools.partial(update_guide, num_steps=3))
    average = 0.0
    for step in range(5):
        variables["params"] = {"bias": jnp.full(2, step + 1.0)}
        if step < 3:
            decay = (1 + step) / (10 + step)
            average = decay * average + (1 - decay) * (step + 1)
        variables = update(variables)
    guide = variables["guide"]
    np.testing.assert_allclose(guide["params"]["bias"], average, rtol=1e-6)
    assert guide["step"] == 5


def test_variables_without_a_guide_stay_as_they_are():
    variables = {"params": {"bias": jnp.zeros(2)}}
    assert update_guide(variables, 0) is variables
