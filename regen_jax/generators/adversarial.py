"""p(wave | log-mel) as one wave: a vocoder trained by spectra and an adversary."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.interfaces import Generator, Key, LossOutput, Variables
from regen_jax.losses.interface import (
    LossTerm,
    check_terms,
    count_step,
    init_terms,
    predict,
    starts_pretrained,
    total_loss,
)
from regen_jax.losses.spectral import Spectral
from regen_jax.modalities.audio import segments
from regen_jax.modalities.audio.envelope import log_envelope
from regen_jax.networks.vocos import Vocos, VocosSize
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Value, length_mask, lengths, zeros


@dataclasses.dataclass(frozen=True)
class AdversarialVocoder(VocosSize, Generator):
    """Vocos (Siuzdak, arXiv 2306.00814): the spectrum of a wave, from mel frames.

    Attributes:
      source_space: frames [T, bands], padded or not.
      target_space: waves [N], padded or not, with N a multiple of T.
      losses: terms of the wave, such as `spectral` and `adversarial`.
      n_fft: samples in the window of the inverse transform, a multiple of N / T.
      envelope: whether predicted magnitudes are relative to those of the frames, which
        are then natural log-mel from 0 to half the sample rate. It saves hundreds of
        steps.
      sample_rate: of the target, in Hz.
    """

    source_space: Array
    target_space: Array
    losses: tuple[LossTerm, ...] = (Spectral(),)
    n_fft: Count = 1024
    envelope: bool = True
    sample_rate: Count = 16000

    sources = (Array,)
    targets = (Array,)

    def __post_init__(self):
        super().__post_init__()
        if len(self.source_space.shape) != 2:
            raise ValueError(
                f"needs a source of frames and bands, not {self.source_space}"
            )
        if len(self.target_space.shape) != 1:
            raise ValueError(f"needs a target of samples, not {self.target_space}")
        frames, samples = self.source_space.shape[0], self.target_space.shape[0]
        if samples % frames:
            raise ValueError(
                f"needs a whole number of samples per frame: {frames} frames of "
                f"{self.source_space} do not divide the {samples} samples of "
                f"{self.target_space}"
            )
        if self.n_fft % 2 or self.n_fft % self.hop or self.n_fft < 3 * self.hop:
            raise ValueError(
                "n_fft must be even and a multiple of the samples per frame, 3 times "
                f"them or more, not {self.n_fft} with {self.hop}"
            )
        if self.segment > frames:
            raise ValueError(
                f"segment must be at most the {frames} frames of {self.source_space}, "
                f"not {self.segment}"
            )
        check_terms(self.losses, self.target_space, Vocos.last_layer)
        if starts_pretrained(self.losses):
            raise ValueError("losses of a vocoder cannot have pretrained networks")

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.target_space.shape[0] // self.source_space.shape[0]

    @property
    def network(self) -> Vocos:
        return self.vocos(self.n_fft, self.hop)

    def init(self, rng: jax.Array) -> Variables:
        network_rng, losses_rng = jax.random.split(rng)
        frames, mask = self._frames(zeros(self.source_space, 1))
        network = self.network.init(network_rng, frames, mask, self._envelope(frames))
        variables = init_terms(self.losses, losses_rng, self.target_space)
        params = {"vocoder": network["params"], **variables["params"]}
        return {**variables, "params": params}

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Returns the sum of the loss terms; in training, of one segment per example."""
        frames, mask = self._frames(source)
        values = target.values if isinstance(target, Padded) else target
        length = jnp.minimum(
            mask.sum(axis=1) * self.hop, lengths(self.target_space, target)
        )
        if train and 0 < self.segment < self.source_space.shape[0]:
            start = segments.starts(keys, mask.sum(axis=1), self.segment)
            frames = segments.cut(frames, start, self.segment)
            mask = segments.cut(mask, start, self.segment)
            samples = self.segment * self.hop
            values = segments.cut(values, start * self.hop, samples)
            length = jnp.clip(length - start * self.hop, 0, samples)
        wave, last_layer = predict(
            self.losses,
            lambda params: self._wave(params, frames, mask),
            variables["params"]["vocoder"],
            Vocos.last_layer,
        )
        valid_target = Padded(values, length)
        return total_loss(
            self.losses, variables, self.target_space, wave, valid_target, last_layer
        )

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        """Returns the wave of all frames [B, N], 0 beyond them; draws nothing."""
        frames, mask = self._frames(source)
        wave = self._wave(variables["params"]["vocoder"], frames, mask)
        length = mask.sum(axis=1, dtype=jnp.int32) * self.hop
        wave = jnp.clip(wave, self.target_space.low, self.target_space.high)
        wave = jnp.where(length_mask(length, wave.shape[1]), wave, 0)
        return Padded(wave, length) if self.target_space.padded else wave

    def update(
        self, variables: Variables, rng: jax.Array, loss_output: LossOutput
    ) -> Variables:
        return count_step(variables)

    def _frames(self, source: Value) -> tuple[jax.Array, jax.Array]:
        """Returns normalized frames f32[B, T, bands] and their mask bool[B, T]."""
        values = source.values if isinstance(source, Padded) else source
        mask = length_mask(lengths(self.source_space, source), values.shape[1])
        return jnp.where(mask[..., None], self.source_space.normalize(values), 0), mask

    def _envelope(self, frames: jax.Array) -> jax.Array | float:
        if not self.envelope:
            return 0.0
        log_mel = self.source_space.denormalize(frames)
        return log_envelope(log_mel, self.sample_rate, self.n_fft)

    def _wave(self, params: Variables, frames: jax.Array, mask: jax.Array) -> jax.Array:
        envelope = self._envelope(frames)
        return self.network.apply({"params": params}, frames, mask, envelope)
