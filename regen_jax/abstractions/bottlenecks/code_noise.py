"""Noise on the codes that the decoder of an autoencoder reads in training."""

import jax

from regen_jax.abstractions.bottlenecks.interface import (
    Bottleneck,
    BottleneckOutput,
    Mask,
    State,
)
from regen_jax.networks.perturbation import add_noise


def with_code_noise(
    bottleneck: Bottleneck,
    state: State,
    keys: jax.Array,
    output: BottleneckOutput,
    mask: Mask,
    level: float,
) -> BottleneckOutput:
    """Returns the output with the values of noisy codes, and its own gradient.

    Codes that `finalize` will scale have noise in the units that they have afterwards.

    Args:
      bottleneck: whose codes they are.
      state: of the bottleneck.
      keys: one per example.
      output: of `Bottleneck.apply`.
      mask: of the latents.
      level: of the noise, see `add_noise`.
    """
    # A batch of segments has fewer latents than an example.
    shape = output.values.shape[1:-1]
    space = bottleneck.output_space(shape, mask is not None)
    codes = jax.lax.stop_gradient(output.codes)
    y_prime = add_noise(space, keys, bottleneck.pack(space, codes, mask), level)
    noisy, _ = bottleneck.unpack(space, shape, y_prime)
    noise = bottleneck.decode(state, noisy) - bottleneck.decode(state, codes)
    noise *= bottleneck.code_scale(codes, mask)
    return output.replace(values=output.values + jax.lax.stop_gradient(noise))
