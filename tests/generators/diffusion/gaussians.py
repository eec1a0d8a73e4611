"""Data ~ N(MEAN, SPREAD²), whose estimates and flow from noise have closed forms."""

import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import Components, Denoiser
from regen_jax.generators.diffusion.noise_schedules.linear import Linear
from regen_jax.generators.diffusion.predictions.epsilon import Epsilon
from regen_jax.generators.diffusion.predictions.x import X
from regen_jax.generators.diffusion.processes.ddpm import DDPM
from regen_jax.generators.diffusion.processes.edm import EDM
from regen_jax.generators.diffusion.processes.flow_matching import FlowMatching

MEAN, SPREAD = 0.7, 0.3

FLOW, X_FLOW = FlowMatching(), FlowMatching(X())
EDM_PROCESS = EDM()
VP_V, VP_EPSILON = DDPM(), DDPM(Epsilon(), Linear())
PROCESSES = {
    "flow": FLOW,
    "x": X_FLOW,
    "edm": EDM_PROCESS,
    "v": VP_V,
    "epsilon": VP_EPSILON,
}


def best_estimate(x, alpha, sigma):
    """Returns E[data | x] and E[noise | x] of x = alpha data + sigma noise."""
    gain = alpha * SPREAD**2 / (alpha**2 * SPREAD**2 + sigma**2)
    data = MEAN + gain * (x - alpha * MEAN)
    noise_gain = sigma / (alpha**2 * SPREAD**2 + sigma**2)
    return Components(data, noise_gain * (x - alpha * MEAN))


def best_denoiser(process):
    """Returns the best estimates along a process."""
    return Denoiser(process, lambda x, time: best_estimate(x, *process.scales(time)))


def at_start(process, noise):
    """Returns x_0, which is noise with the deviation that the process starts with."""
    return process.scales(jnp.zeros(())).sigma * noise


def flow_end(process, x):
    """Returns where the exact flow carries x from time 0: its quantile of the data."""
    alpha, sigma = process.scales(jnp.zeros(()))
    deviation = jnp.sqrt(alpha**2 * SPREAD**2 + sigma**2)
    return MEAN + SPREAD * (x - alpha * MEAN) / deviation


class BestNetwork:
    """Predicts what each process asks of its network, written as in its paper.

    It has the method of a Linen module that `Diffusion` calls.
    """

    def __init__(self, process):
        self.process = process

    def apply(self, variables, source, drop, x, time_B, keys=None):
        time = time_B.reshape(-1, *[1] * (x.ndim - 1))
        process = self.process
        if process == EDM_PROCESS:
            sigma, sigma_data = jnp.exp(4 * time), 0.5
            x = x * jnp.sqrt(sigma**2 + sigma_data**2)
            skip = sigma_data**2 / (sigma**2 + sigma_data**2)
            out = sigma * sigma_data / jnp.sqrt(sigma**2 + sigma_data**2)
            return (best_estimate(x, 1.0, sigma).data - skip * x) / out
        if process in (FLOW, X_FLOW):
            data, noise = best_estimate(x, time, 1 - time)
            return data - noise if process == FLOW else data
        if process == VP_V:
            angle = jnp.arctan(152.0) * (1 - time)
            data, noise = best_estimate(x, jnp.cos(angle), jnp.sin(angle))
            return jnp.cos(angle) * noise - jnp.sin(angle) * data
        s = 1 - time
        alpha_bar = jnp.exp(-0.5 * s**2 * (20 - 0.1) - s * 0.1)
        return best_estimate(x, jnp.sqrt(alpha_bar), jnp.sqrt(1 - alpha_bar)).noise
