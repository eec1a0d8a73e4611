"""The discriminator of images: what a logit is of, and what it does not judge."""

import jax
import numpy as np
import pytest

from regen_jax.networks.discriminators.patch import Patch
from regen_jax.spaces import Array
from tests.errors import value_error

SPACE = Array((16, 24, 3), 0.0, 255.0)
SMALL = Patch((4, 8, 8))
IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, *SPACE.shape)).astype(np.float32)


def test_logits_are_of_patches_and_depend_on_their_example():
    params = jax.jit(SMALL.init, static_argnums=1)(jax.random.key(0), SPACE)
    judge = jax.jit(SMALL.judge)
    (whole,) = judge(params, IMAGES)
    assert whole.logits.shape == (3, 1, 4, 6) and whole.mask.all()
    assert [x.shape for x in whole.features] == [
        (3, 1, 8, 12, 4),
        (3, 1, 4, 6, 8),
        (3, 1, 4, 6, 8),
    ]
    (part,) = judge(params, IMAGES[1:2])
    np.testing.assert_allclose(part.logits[0], whole.logits[1], atol=1e-5)
    kernels = [x for x in jax.tree.leaves(params) if x.ndim == 4]
    assert {kernel.shape[:2] for kernel in kernels} == {(4, 4)} and len(kernels) == 4


def test_frames_of_clips_are_judged_by_themselves():
    clip_space = Array((3, *SPACE.shape), 0.0, 255.0)
    SMALL.check(clip_space)
    params = jax.jit(SMALL.init, static_argnums=1)(jax.random.key(0), clip_space)
    judge = jax.jit(SMALL.judge)
    (of_frames,) = judge(params, IMAGES)
    (of_clip,) = judge(params, IMAGES[None])
    assert of_clip.mask.shape == (1, 3) and of_clip.mask.all()
    pairs = zip(
        (of_clip.logits, *of_clip.features),
        (of_frames.logits, *of_frames.features),
        strict=True,
    )
    for clip, frames in pairs:
        np.testing.assert_allclose(clip[0], frames[:, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Array((160,)), "discriminator 'patch' needs images, an Array of height, "),
        (
            Array((2, 8, 1)),
            "discriminator 'patch' of 3 widths needs images of 4 x 4 pixels or more",
        ),
    ],
)
def test_space_that_does_not_fit_raises_value_error(space, message):
    assert value_error(SMALL.check, space).startswith(message)


def test_no_widths_raise_value_error():
    with pytest.raises(ValueError, match="widths must be one number or more, not none"):
        Patch(())
