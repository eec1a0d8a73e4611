"""How much a picture is like the faces that the renderer draws."""

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.faces.inverse import read_tracks
from regen_jax.modalities.faces.portrait import read_identity
from regen_jax.modalities.faces.renderer import render


def drawn_snr(picture: np.ndarray) -> float:
    """Computes how well a picture u8[SIZE, SIZE, 3] is drawn from what is read off it.

    The identity is drawn from the front with the mouth closed, and with the tracks that
    are read; the better one counts.

    Returns:
      Signal-to-noise ratio in dB: the variance of the picture over the mean squared error.
      Unlike PSNR it is low for pictures of little contrast that are no face.
    """
    values = jnp.asarray(picture, jnp.float32)
    errors = jnp.mean(jnp.square(_drawn(values) - values), axis=(1, 2, 3))
    variance = jnp.mean(jnp.var(values, axis=(0, 1)))
    ratio = jnp.maximum(variance, 1e-6) / jnp.maximum(jnp.min(errors), 1e-6)
    return float(10 * jnp.log10(ratio))


@jax.jit
def _drawn(picture: jax.Array) -> jax.Array:
    """Returns both drawings of a picture, f32[2, SIZE, SIZE, 3]."""
    identity = read_identity(picture[None])
    tracks = read_tracks(identity, picture[None, None])
    both = jnp.concatenate([jnp.zeros_like(tracks), tracks], axis=1)
    return render(identity, both)[0]
