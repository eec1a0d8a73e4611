"""How often the network of a generator is called for a sample."""

import jax
import jax.numpy as jnp
import pytest

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.generators.diffusion.diffusion import Diffusion
from regen_jax.generators.diffusion.interfaces import Components, Denoiser
from regen_jax.generators.diffusion.solvers.ddim import DDIM
from regen_jax.generators.diffusion.solvers.dpm_solver_2m import DPMSolver2M
from regen_jax.generators.diffusion.solvers.heun import Heun
from regen_jax.generators.masked.masked import Masked
from regen_jax.spaces import Array, Category, Tokens


@pytest.mark.parametrize("solver", [Heun(), DPMSolver2M(), DDIM()])
def test_diffusion_calls_its_denoiser_as_often(monkeypatch, solver):
    calls = []

    def denoiser(self, variables, source, guidance):
        def estimate(x, time):
            jax.debug.callback(lambda: calls.append(1))
            return Components(x, x)

        return Denoiser(self.process, estimate)

    monkeypatch.setattr(Diffusion, "denoiser", denoiser)
    generator = Diffusion(Category(2), Array((4, 4, 1)), solver=solver, num_steps=5)
    keys = jax.random.split(jax.random.key(0), 2)
    jax.block_until_ready(generator.sample({}, keys, jnp.zeros(2, jnp.int32)))
    jax.effects_barrier()
    assert len(calls) == generator.num_calls


def test_masked_calls_its_network_at_most_once_per_token():
    calls = [
        Masked(Category(2), Tokens(3, 5, depth=2), num_steps=number).num_calls
        for number in (4, 20)
    ]
    assert calls == [4, 6]


def test_autoregressive_calls_its_network_once_per_step_of_a_fixed_length():
    spaces = Tokens(3, 5), Tokens(3, 5, depth=2), Tokens(3, 5, padded=True)
    generators = [Autoregressive(Category(2), space) for space in spaces]
    assert [generator.num_calls for generator in generators] == [3, 4, None]
