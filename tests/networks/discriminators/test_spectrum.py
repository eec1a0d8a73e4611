"""The discriminators of sound: padding, and what they do not judge."""

import dataclasses

import jax
import numpy as np
import pytest

from regen_jax.networks.discriminators.spectrum import Spectrum
from regen_jax.spaces import Array, Padded

SMALL = Spectrum((64,), (4, 4))
SPACE = Array((160,), -1.0, 1.0, padded=True)


def test_samples_in_padding_change_nothing():
    rng = np.random.default_rng(0)
    wave, length = rng.normal(size=(2, 160)).astype(np.float32), np.array([160, 90])
    params = jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(np.float32),
        jax.eval_shape(lambda key: SMALL.init(key, SPACE), jax.random.key(0)),
    )
    judge = jax.jit(SMALL.judge)
    dirty = np.where(np.arange(160) < length[:, None], wave, np.nan)
    longer = np.pad(dirty, ((0, 0), (0, 96)), constant_values=np.nan)
    (short,) = judge(params, Padded(wave, length))
    (long,) = judge(params, Padded(longer, length))
    assert short.logits.shape[:2] == short.mask.shape == (2, 10)
    for name in ("logits", "features"):
        pair = (jax.tree.leaves(getattr(output, name)) for output in (short, long))
        for a, b in zip(*pair, strict=True):
            np.testing.assert_allclose(b[1, :6], a[1, :6], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("resolutions", [(), (66,)])
def test_resolution_without_whole_hops_raises_value_error(resolutions):
    with pytest.raises(ValueError, match="resolutions must be multiples of 4, not"):
        dataclasses.replace(SMALL, resolutions=resolutions)


def test_space_of_images_raises_value_error():
    with pytest.raises(ValueError, match="'spectrum' needs waves, .* not Array"):
        SMALL.check(Array((8, 8, 1)))
