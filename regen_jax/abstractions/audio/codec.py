"""A learned abstraction of sound: the codes of a neural codec, from waves alone."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from regen_jax import ranges
from regen_jax.abstractions.bottlenecks.interface import Quantizer
from regen_jax.abstractions.bottlenecks.rvq import ResidualVectorQuantizer
from regen_jax.interfaces import Abstraction, LossOutput, Variables
from regen_jax.losses.spectral import check_resolutions, spectral_losses
from regen_jax.metrics import codebook
from regen_jax.modalities.audio import segments
from regen_jax.modalities.audio.mel import FLOOR, log_mel, mel_filters
from regen_jax.networks.discriminators.spectrum import (
    SpectrumDiscriminators,
    adversarial_losses,
)
from regen_jax.networks.vocos import FoldedEncoder, UnfoldedVocos, Vocos
from regen_jax.ranges import Count, Natural, NonNegative
from regen_jax.spaces import Array, Padded, Tokens, Value, length_mask, lengths

# What an example's key is folded with.
_SEGMENT, _QUANTIZER = 1, 2


@dataclasses.dataclass(frozen=True)
class Codec(Abstraction):
    """A wave to a stack of codes each `stride * hop` samples.

    The analysis is log-mel, blocks over time are ConvNeXt's, and the synthesis is that
    of Vocos (arXiv 2306.00814); the stack is SoundStream's (arXiv 2107.03312). A padded
    wave has codes as far as they touch it, 1 and up: 0 is what stands behind them.

    Attributes:
      y: the space of waves, [N].
      quantizer: makes codes of the encoder's latents. `fsq` with `standardize` takes
        moments over the segment in training and over the whole wave in `encode`.
      width: features a frame.
      num_layers: ConvNeXt blocks of the encoder, and of the decoder.
      stride: frames a code.
      hop: samples from a frame to the next.
      n_fft: samples in a frame.
      num_mels: mel bands that the encoder sees.
      sample_rate: of y, in Hz.
      segment: frames of an example that train, drawn by its key; 0 for all of them.
      resolutions: of the losses and of the discriminators, in samples a frame.
      adversarial: weight of what fools the discriminators and of the distance of their
        features; 0 for no discriminators.
      adversarial_start: steps before they start.
      dtype: compute dtype of the blocks; quantizer and spectra stay in float32.
    """

    input_space: Array
    quantizer: Quantizer = dataclasses.field(default_factory=ResidualVectorQuantizer)
    width: Count = 192
    num_layers: Count = 3
    stride: Count = 2
    hop: Count = 256
    n_fft: Count = 1024
    num_mels: Count = 80
    sample_rate: Count = 16000
    segment: Natural = 32
    resolutions: tuple[Count, ...] = (256, 512, 1024)
    adversarial: NonNegative = 0.0
    adversarial_start: Natural = 0
    dtype: str = "float32"

    learned = True

    def __post_init__(self):
        ranges.check(self)
        if not isinstance(self.input_space, Array) or len(self.input_space.shape) != 1:
            raise ValueError(
                f"needs waves, an Array of samples, not {self.input_space}"
            )
        if self.n_fft % 2 or self.n_fft % self.hop or self.n_fft < 3 * self.hop:
            raise ValueError(
                "n_fft must be even and a multiple of hop, 3 times it or more, not "
                f"{self.n_fft} with {self.hop}"
            )
        if self.input_space.shape[0] % self._samples:
            raise ValueError(
                f"stride {self.stride} times hop {self.hop} does not divide the samples "
                f"of {self.input_space}"
            )
        if self.segment % self.stride:
            raise ValueError(
                f"segment must be a multiple of stride {self.stride}, or 0, "
                f"not {self.segment}"
            )
        mel_filters(self.sample_rate, self.n_fft, self.num_mels)
        check_resolutions(self.resolutions)
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(
                f"dtype must be 'float32' or 'bfloat16', not {self.dtype!r}"
            )

    @property
    def output_space(self) -> Tokens:
        return Tokens(
            self.input_space.shape[0] // self._samples,
            self.quantizer.vocab + self._shift,
            self.quantizer.depth,
            padded=self.input_space.padded,
        )

    def init(self, rng: jax.Array, y: Value) -> Variables:
        encoder_rng, decoder_rng, codebook_rng, other_rng = jax.random.split(rng, 4)
        wave, number = self._wave(y)
        frames, mask = self._frames(wave, number)
        params = {"encoder": self._encoder.init(encoder_rng, frames, mask)["params"]}
        latents = self._encoder.apply({"params": params["encoder"]}, frames, mask)
        params["decoder"] = self._decoder.init(decoder_rng, latents, mask)["params"]
        # What lies beyond an example's end is no latent: its others stand in.
        index = jnp.arange(latents.shape[1]) % jnp.maximum(number, 1)[:, None]
        latents = jnp.take_along_axis(latents, index[..., None], axis=1)
        flat = latents.reshape(-1, latents.shape[-1])
        variables = {
            "params": params,
            "codebook": self.quantizer.init(codebook_rng, flat),
        }
        if self.adversarial:
            start = self._discriminators.init(
                other_rng, wave[:1], jnp.full(1, wave.shape[1])
            )
            params["discriminators"] = start["params"]
            variables["progress"] = {"step": jnp.zeros((), jnp.int32)}
        return variables

    def encode(self, variables: Variables, y: Value) -> jax.Array:
        wave, number = self._wave(y)
        frames, mask = self._frames(wave, number)
        encoder = {"params": variables["params"]["encoder"]}
        latents = self._encoder.apply(encoder, frames, mask)
        counts = length_mask(number, latents.shape[1])
        codes = self.quantizer.encode(variables["codebook"], latents, counts)
        codes += self._shift
        return jnp.where(
            counts.reshape(*counts.shape, *[1] * (codes.ndim - 2)), codes, 0
        )

    def decode(self, variables: Variables, y_prime: jax.Array) -> Value:
        """Waves as long as the codes; any 0 within them is read as the code 1."""
        number = lengths(self.output_space, y_prime)
        codes = jnp.maximum(y_prime - self._shift, 0)
        values = self.quantizer.decode(variables["codebook"], codes)
        wave = self._synthesis(variables, values, number)
        wave = jnp.clip(wave, self.input_space.low, self.input_space.high)
        length = number * self._samples
        wave = jnp.where(length_mask(length, wave.shape[1]), wave, 0)
        return Padded(wave, length) if self.input_space.padded else wave

    def loss(
        self, variables: Variables, keys: jax.Array, y: Value, train: bool
    ) -> LossOutput:
        """Spectral distances, the quantizer's own term, and adversarial ones."""
        length = lengths(self.input_space, y)
        wave, number = self._wave(y)
        if train and 0 < self.segment * self.hop < wave.shape[1]:
            size = self.segment // self.stride
            start = self._samples * segments.starts(_fold(keys, _SEGMENT), number, size)
            wave = segments.cut(wave, start, self.segment * self.hop)
            length = jnp.clip(length - start, 0, wave.shape[1])
            number = -(-length // self._samples)
        frames, mask = self._frames(wave, number)
        encoder = {"params": variables["params"]["encoder"]}
        latents = self._encoder.apply(encoder, frames, mask)
        quantized = self.quantizer.quantize(
            variables["codebook"],
            _fold(keys, _QUANTIZER),
            latents,
            length_mask(number, latents.shape[1]),
            train,
        )
        made = self._synthesis(variables, quantized.values, number)
        made = jnp.where(length_mask(length, made.shape[1]), made, 0)
        terms = spectral_losses(made, wave, length, self.resolutions, self.sample_rate)
        metrics = {f"{name}_loss": value for name, value in terms.items()}
        metrics["quantizer_loss"] = quantized.loss
        loss = sum(metrics.values())
        if self.adversarial:
            extra = adversarial_losses(
                self._discriminators,
                variables["params"]["discriminators"],
                made,
                wave,
                length,
                variables["progress"]["step"] >= self.adversarial_start,
            )
            metrics |= extra
            fooling = extra["generator_loss"] + extra["feature_loss"]
            loss += self.adversarial * fooling + extra["discriminator_loss"]
        return LossOutput(loss, metrics, quantized.sums, quantized.per_example)

    def update(
        self, variables: Variables, rng: jax.Array, objective: LossOutput
    ) -> Variables:
        updated = self.quantizer.update(
            variables["codebook"], rng, objective.sums, objective.per_example
        )
        variables = {**variables, "codebook": updated}
        if self.adversarial:
            variables["progress"] = {"step": variables["progress"]["step"] + 1}
        return variables

    def summarize(
        self, metrics: dict[str, float], totals: dict[str, Any]
    ) -> dict[str, float]:
        return {**metrics, **codebook.summary(totals["code_counts"])}

    @property
    def _samples(self) -> int:
        """Samples a code."""
        return self.stride * self.hop

    @property
    def _shift(self) -> int:
        """What is added to a code, so that 0 is free."""
        return int(self.input_space.padded)

    @property
    def _encoder(self) -> FoldedEncoder:
        return FoldedEncoder(
            self.width,
            self.num_layers,
            self.stride,
            self.quantizer.latent_dim,
            jnp.dtype(self.dtype),
        )

    @property
    def _decoder(self) -> UnfoldedVocos:
        dtype = jnp.dtype(self.dtype)
        vocos = Vocos(self.width, self.num_layers, self.n_fft, self.hop, dtype)
        return UnfoldedVocos(self.stride, vocos)

    @property
    def _discriminators(self) -> SpectrumDiscriminators:
        return SpectrumDiscriminators(self.resolutions)

    def _wave(self, y: Value) -> tuple[jax.Array, jax.Array]:
        """The wave f32[B, N], 0 beyond its end, and how many codes i32[B] it has."""
        length = lengths(self.input_space, y)
        values = y.values if isinstance(y, Padded) else y
        wave = jnp.where(length_mask(length, values.shape[1]), values, 0)
        return wave, -(-length // self._samples)

    def _frames(
        self, wave: jax.Array, number: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Log-mel frames f32[B, T, num_mels], and the mask bool[B, T] of its codes.

        From the floor to log 1, they are scaled to [-2, 2].
        """
        frames = log_mel(wave, self.sample_rate, self.n_fft, self.hop, self.num_mels)
        frames = 2 - 4 * frames / math.log(FLOOR)
        return frames, length_mask(number * self.stride, frames.shape[1])

    def _synthesis(
        self, variables: Variables, values: jax.Array, number: jax.Array
    ) -> jax.Array:
        mask = length_mask(number * self.stride, values.shape[1] * self.stride)
        decoder = {"params": variables["params"]["decoder"]}
        return self._decoder.apply(decoder, values, mask)


def _fold(keys: jax.Array, number: int) -> jax.Array:
    """A stream of its own from each example's key."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)
