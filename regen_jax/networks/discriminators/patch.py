"""A discriminator of images, or of each frame of clips, that judges patches by themselves.

Isola, Zhu, Zhou and Efros, "Image-to-Image Translation with Conditional Adversarial
Networks" (PatchGAN, arXiv 1611.07004), appendix 6.1.2; with norms over an example in
place of batch normalization, which would make the loss of an example depend on others.
"""

import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.discriminators.interface import Discriminator, Judgement
from regen_jax.networks.frames import fold_frames, frame_space, unfold_frames
from regen_jax.networks.layers import Conv, GroupNorm, normal
from regen_jax.networks.sample_network import Params
from regen_jax.ranges import Counts
from regen_jax.spaces import Array, Space, zeros


@dataclasses.dataclass(frozen=True)
class Patch(Discriminator):
    """One network of 4 x 4 convolutions, whose layers but the last halve the resolution.

    Three halving layers and one more see patches of 70 x 70 pixels, of one image or frame.

    Attributes:
      widths: channels of each layer.
    """

    widths: Counts = (64, 128, 256, 512)

    def check(self, space: Space) -> None:
        space = frame_space(space)
        if not isinstance(space, Array) or len(space.shape) != 3 or space.padded:
            raise ValueError(
                "discriminator 'patch' needs images, an Array of height, width and "
                f"channels, not {space}"
            )
        smallest = 2 ** (len(self.widths) - 1)
        if min(space.shape[:2]) < smallest:
            raise ValueError(
                f"discriminator 'patch' of {len(self.widths)} widths needs images of "
                f"{smallest} x {smallest} pixels or more, not {space}"
            )

    def init(self, rng: jax.Array, space: Space) -> Params:
        return self._network.init(rng, zeros(frame_space(space), 1))["params"]

    def judge(self, params: Params, sample: jax.Array) -> list[Judgement]:
        """Returns logits f32[B, T, h, w] of patches, T = 1 of images; the mask is true."""
        frames = fold_frames(sample) if sample.ndim == 5 else sample
        logits, *features = (
            unfold_frames(x, sample.shape[0])
            for x in self._network.apply({"params": params}, frames)
        )
        mask = jnp.ones(logits.shape[:2], bool)
        return [Judgement(logits[..., 0], features, mask)]

    @property
    def _network(self) -> "PatchDiscriminator":
        return PatchDiscriminator(self.widths)


class PatchDiscriminator(nn.Module):
    """Images [B, H, W, C] to logits f32[B, h, w, 1], and the output of each layer."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> list[jax.Array]:
        conv = functools.partial(Conv, kernel_size=(4, 4), kernel_init=normal)
        features = []
        for layer, width in enumerate(self.widths):
            stride = 2 if layer < len(self.widths) - 1 else 1
            x = conv(width, strides=stride)(x)
            if layer > 0:
                x = GroupNorm(math.gcd(32, width), epsilon=1e-6)(x)
            x = nn.leaky_relu(x, 0.2)
            features.append(x)
        return [conv(1, name="logits")(x), *features]
