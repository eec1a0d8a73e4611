"""p(wave | log-mel) as one wave: a vocoder trained by spectra and an adversary."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax import ranges
from regen_jax.interfaces import Generator, LossOutput, Variables
from regen_jax.losses.spectral import check_resolutions, spectral_losses
from regen_jax.modalities.audio import segments
from regen_jax.modalities.audio.envelope import log_envelope
from regen_jax.networks.discriminators.spectrum import (
    SpectrumDiscriminators,
    adversarial_losses,
)
from regen_jax.networks.vocos import Vocos
from regen_jax.ranges import Count, Natural, NonNegative
from regen_jax.spaces import Array, Padded, Value, length_mask, lengths, zeros


@dataclasses.dataclass(frozen=True)
class Vocoder(Generator):
    """Vocos (Siuzdak, arXiv 2306.00814): the spectrum of a wave, from mel frames.

    Attributes:
      source: frames, [T, bands], padded or not.
      target: waves [N], padded or not, with N a multiple of T.
      width: features a frame.
      num_layers: ConvNeXt blocks.
      n_fft: samples in a frame of the inverse transform, a multiple of N / T.
      envelope: whether magnitudes start from those that the frames say: natural
        log-mel, from 0 to half the sample rate. It saves hundreds of steps.
      segment: frames of an example that train, drawn by its key; 0 for all of them.
      resolutions: of the losses and of the discriminators, in samples a frame.
      sample_rate: of the target, in Hz.
      adversarial: weight of what fools the discriminators and of the distance of their
        features; 0 for no discriminators.
      adversarial_start: steps before they start.
      dtype: compute dtype of the blocks; spectra and losses are float32.
    """

    source_space: Array
    target_space: Array
    width: Count = 192
    num_layers: Count = 4
    n_fft: Count = 1024
    envelope: bool = True
    segment: Natural = 32
    resolutions: tuple[Count, ...] = (256, 512, 1024)
    sample_rate: Count = 16000
    adversarial: NonNegative = 0.0
    adversarial_start: Natural = 0
    dtype: str = "float32"

    sources = (Array,)
    targets = (Array,)

    def __post_init__(self):
        ranges.check(self)
        if len(self.source_space.shape) != 2:
            raise ValueError(
                f"needs a source of frames and bands, not {self.source_space}"
            )
        if len(self.target_space.shape) != 1:
            raise ValueError(f"needs a target of samples, not {self.target_space}")
        frames, samples = self.source_space.shape[0], self.target_space.shape[0]
        if samples % frames:
            raise ValueError(
                f"needs a whole number of samples a frame: {frames} frames of "
                f"{self.source_space} do not divide the {samples} samples of {self.target_space}"
            )
        if self.n_fft % 2 or self.n_fft % self.hop or self.n_fft < 3 * self.hop:
            raise ValueError(
                "n_fft must be even and a multiple of the samples a frame, 3 times "
                f"them or more, not {self.n_fft} with {self.hop}"
            )
        if self.segment > frames:
            raise ValueError(
                f"segment must be at most the {frames} frames of {self.source_space}, "
                f"not {self.segment}"
            )
        check_resolutions(self.resolutions)
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(
                f"dtype must be 'float32' or 'bfloat16', not {self.dtype!r}"
            )

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.target_space.shape[0] // self.source_space.shape[0]

    @property
    def network(self) -> Vocos:
        dtype = jnp.dtype(self.dtype)
        return Vocos(self.width, self.num_layers, self.n_fft, self.hop, dtype)

    @property
    def discriminators(self) -> SpectrumDiscriminators:
        return SpectrumDiscriminators(self.resolutions)

    def init(self, rng: jax.Array) -> Variables:
        rng, other_rng = jax.random.split(rng)
        frames, mask = self._frames(zeros(self.source_space, 1))
        envelope = self._envelope(frames)
        params = {"vocoder": self.network.init(rng, frames, mask, envelope)["params"]}
        if not self.adversarial:
            return {"params": params}
        wave = jnp.zeros((1, max(self.resolutions)))
        discriminators = self.discriminators.init(
            other_rng, wave, jnp.full(1, wave.shape[1])
        )
        params["discriminators"] = discriminators["params"]
        return {"params": params, "progress": {"step": jnp.zeros((), jnp.int32)}}

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        source: Value,
        target: Value,
        train: bool,
    ) -> LossOutput:
        """Spectral distances, plus adversarial terms after `adversarial_start` steps.

        In training they are of one segment an example. The gradient of the vocoder's
        parameters is that of its own terms, and that of the discriminators' parameters
        is that of `discriminator_loss`.
        """
        frames, mask = self._frames(source)
        target_space = target.values if isinstance(target, Padded) else target
        length = jnp.minimum(
            mask.sum(axis=1) * self.hop, lengths(self.target_space, target)
        )
        if train and 0 < self.segment < self.source_space.shape[0]:
            start = segments.starts(keys, mask.sum(axis=1), self.segment)
            frames = segments.cut(frames, start, self.segment)
            mask = segments.cut(mask, start, self.segment)
            samples = self.segment * self.hop
            target_space = segments.cut(target_space, start * self.hop, samples)
            length = jnp.clip(length - start * self.hop, 0, samples)

        params = variables["params"]
        wave = self._wave(params, frames, mask)
        counts = length_mask(length, wave.shape[1])
        wave, target_space = (
            jnp.where(counts, wave, 0),
            jnp.where(counts, target_space, 0),
        )
        terms = spectral_losses(
            wave, target_space, length, self.resolutions, self.sample_rate
        )
        metrics = {f"{name}_loss": value for name, value in terms.items()}
        loss = sum(terms.values())
        if self.adversarial:
            step = variables["progress"]["step"]
            extra = adversarial_losses(
                self.discriminators,
                params["discriminators"],
                wave,
                target_space,
                length,
                step >= self.adversarial_start,
            )
            metrics |= extra
            fooling = extra["generator_loss"] + extra["feature_loss"]
            loss += self.adversarial * fooling + extra["discriminator_loss"]
        return LossOutput(loss=loss, metrics=metrics)

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        """The wave of all frames [B, N], 0 beyond them; nothing is drawn from keys."""
        frames, mask = self._frames(source)
        wave = self._wave(variables["params"], frames, mask)
        length = mask.sum(axis=1, dtype=jnp.int32) * self.hop
        wave = jnp.clip(wave, self.target_space.low, self.target_space.high)
        wave = jnp.where(length_mask(length, wave.shape[1]), wave, 0)
        return Padded(wave, length) if self.target_space.padded else wave

    def update(
        self, variables: Variables, rng: jax.Array, objective: LossOutput
    ) -> Variables:
        """Counts the step."""
        if not self.adversarial:
            return variables
        return {**variables, "progress": {"step": variables["progress"]["step"] + 1}}

    def _frames(self, source: Value) -> tuple[jax.Array, jax.Array]:
        """Normalized frames f32[B, T, bands], 0 beyond the mask bool[B, T] of theirs."""
        values = source.values if isinstance(source, Padded) else source
        mask = length_mask(lengths(self.source_space, source), values.shape[1])
        return jnp.where(mask[..., None], self.source_space.normalize(values), 0), mask

    def _envelope(self, frames: jax.Array) -> jax.Array | float:
        if not self.envelope:
            return 0.0
        log_mel = self.source_space.denormalize(frames)
        return log_envelope(log_mel, self.sample_rate, self.n_fft)

    def _wave(self, params: Variables, frames: jax.Array, mask: jax.Array) -> jax.Array:
        params = {"params": params["vocoder"]}
        return self.network.apply(params, frames, mask, self._envelope(frames))
