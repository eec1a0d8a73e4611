"""Densities of the time in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.diffusion.processes.ddpm import DDPM
from regen_jax.generators.diffusion.processes.edm import EDM
from regen_jax.generators.diffusion.processes.flow_matching import FlowMatching
from regen_jax.generators.diffusion.time_sampling.log_normal import LogNormal
from regen_jax.generators.diffusion.time_sampling.logit_normal import LogitNormal
from regen_jax.generators.diffusion.time_sampling.stratified import Stratified
from regen_jax.generators.diffusion.time_sampling.uniform import Uniform
from regen_jax.random import strata, stratifying_by

KEYS = jax.random.split(jax.random.key(0), 2000)
FLOW = FlowMatching()


def drawn(density, process=FLOW):
    return np.asarray(jax.jit(lambda keys: density.sample(keys, process))(KEYS))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (-1.0, 0.5)])
def test_logit_of_a_logit_normal_time_is_normal(mean, std):
    time = drawn(LogitNormal(mean, std)).astype(np.float64)
    logit = np.log(time / (1 - time))
    assert time.shape == (2000,) and (time > 0).all() and (time < 1).all()
    np.testing.assert_allclose([logit.mean(), logit.std()], [mean, std], atol=0.06)
    normal = jax.vmap(jax.random.normal)(KEYS[:2])
    np.testing.assert_allclose(logit[:2], mean + std * normal, rtol=1e-4)


def test_uniform_times_fill_the_interval_evenly():
    counts, _ = np.histogram(drawn(Uniform()), bins=10, range=(0, 1))
    assert counts.sum() == 2000 and np.abs(counts - 200).max() < 60


@pytest.mark.parametrize("process", [FLOW, EDM(), DDPM()])
def test_log_normal_draws_noise_levels_of_any_process(process):
    time = jnp.asarray(drawn(LogNormal(-1.2, 1.2), process))
    level = np.log(np.divide(*reversed(process.scales(time))))
    np.testing.assert_allclose([level.mean(), level.std()], [-1.2, 1.2], atol=0.08)


def test_log_normal_of_a_flow_is_logit_normal():
    expected = 1 - drawn(LogitNormal())
    np.testing.assert_allclose(drawn(LogNormal(0.0, 1.0)), expected, atol=1e-6)


def test_stratified_times_lie_at_even_quantiles_within_a_step():
    numbers = strata(jax.random.key(3), 8)
    with stratifying_by(numbers):
        time = np.asarray(Stratified(Uniform()).sample(KEYS[:8], FLOW))
        normal = Stratified().sample(KEYS[:8], FLOW)
    assert (time >= 0).all() and (time < 1).all()
    np.testing.assert_allclose(np.diff(np.sort(time)), 1 / 8, atol=1e-6)
    np.testing.assert_allclose(normal, LogitNormal().quantile(time, FLOW))


def test_offset_of_strata_is_uniform():
    offsets = jax.vmap(lambda key: strata(key, 4).min())(KEYS)
    counts, _ = np.histogram(offsets, bins=5, range=(0, 0.25))
    assert counts.sum() == 2000 and np.abs(counts - 400).max() < 80


def test_stratified_times_outside_of_a_step_are_those_of_their_keys():
    np.testing.assert_array_equal(drawn(Stratified(Uniform())), drawn(Uniform()))
