"""Densities of the time in training."""

import jax
import numpy as np

from regen_jax.generators.diffusion.time_sampling.logit_normal import LogitNormal
from regen_jax.generators.diffusion.time_sampling.uniform import Uniform

KEYS = jax.random.split(jax.random.key(0), 2000)


def test_logit_of_a_logit_normal_time_is_a_standard_normal():
    time = np.asarray(jax.jit(LogitNormal().sample)(KEYS), np.float64)
    logit = np.log(time / (1 - time))
    assert time.shape == (2000,) and (time > 0).all() and (time < 1).all()
    np.testing.assert_allclose([logit.mean(), logit.std()], [0, 1], atol=0.06)
    np.testing.assert_allclose(
        logit[:2], jax.vmap(jax.random.normal)(KEYS[:2]), rtol=1e-4
    )


def test_uniform_times_fill_the_interval_evenly():
    time = np.asarray(jax.jit(Uniform().sample)(KEYS))
    counts, _ = np.histogram(time, bins=10, range=(0, 1))
    assert counts.sum() == 2000 and np.abs(counts - 200).max() < 60
