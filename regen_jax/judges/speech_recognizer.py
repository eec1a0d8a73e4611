"""A speech recognizer, for the error rates of generated speech."""

import dataclasses
import functools
import math

import jax
import numpy as np

from regen_jax.abstractions.audio.mel import Mel
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.interfaces import Judge, Key, LossOutput, Variables
from regen_jax.spaces import Array, Padded, Tokens


@dataclasses.dataclass(frozen=True)
class SpeechRecognizer(Judge):
    """Transcribes speech from log-mel frames by an autoregressive generator.

    Attributes:
      text_space: texts in characters.
      wave_space: waves of speech.
      sample_rate: Hz.
      width: width of the encoder and decoder.
      num_layers: layers of the encoder, and of the decoder.
    """

    text_space: Tokens
    wave_space: Array
    sample_rate: int
    width: int
    num_layers: int

    def init(self, rng: jax.Array, x: jax.Array, y: Padded) -> Variables:
        return self._generator.init(rng)

    def loss(
        self, variables: Variables, keys: Key, x: jax.Array, y: Padded, train: bool
    ) -> LossOutput:
        """Computes the loss of texts x i32[B, L] given their speech y."""
        return self._generator.loss(variables, keys, self._mel.encode({}, y), x, train)

    def transcribe(
        self, variables: Variables, waves: Padded, batch_size: int = 100
    ) -> np.ndarray:
        """Transcribes waves [N, T] to ids of characters i32[N, L]."""
        num_batches = math.ceil(len(waves.length) / batch_size)
        batches = zip(
            *(np.array_split(part, num_batches) for part in waves), strict=True
        )
        return np.concatenate(
            [self._transcribe(variables, Padded(*batch)) for batch in batches]
        )

    @functools.partial(jax.jit, static_argnums=0)
    def _transcribe(self, variables: Variables, waves: Padded) -> jax.Array:
        keys = jax.random.split(jax.random.key(0), waves.length.shape[0])
        return self._generator.sample(variables, keys, self._mel.encode({}, waves))

    @property
    def _mel(self) -> Mel:
        return Mel(self.wave_space, sample_rate=self.sample_rate)

    @property
    def _generator(self) -> Autoregressive:
        return Autoregressive(
            self._mel.output_space,
            self.text_space,
            width=self.width,
            num_layers=self.num_layers,
            encoder_layers=self.num_layers,
            conditioning="cross",
            source_stride=4,
            ctc=0.3,
            dropout=0.1,
            source_dropout=0.0,
            beam_size=1,
        )
