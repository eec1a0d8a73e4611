"""Phonemes of texts: grapheme-to-phoneme conversion by rule, on the host."""

import dataclasses
import functools

import numpy as np

from regen_jax.errors import UserError, quote
from regen_jax.interfaces import Example, HostFeature
from regen_jax.metrics.error_rates import token_error_rate
from regen_jax.modalities.text import characters
from regen_jax.modalities.text.pronunciation import PHONES, pronounce, strip_stress
from regen_jax.ranges import Natural
from regen_jax.spaces import Tokens


@dataclasses.dataclass(frozen=True)
class Phonemes(HostFeature):
    """ARPAbet phonemes of an English text; see `regen_jax.modalities.text.pronunciation`.

    Attributes:
      input_space: padded Tokens whose symbols are characters.
      length: maximum number of phonemes and word breaks; 0 is 5/4 of the characters,
        since all but a few English words have fewer phonemes than letters.
      stress: whether vowels have stress marks.
    """

    input_space: Tokens
    length: Natural = 0
    stress: bool = True

    def __post_init__(self):
        super().__post_init__()
        if not (
            isinstance(self.input_space, Tokens)
            and self.input_space.padded
            and self.input_space.depth == 1
            and self.input_space.symbols
            and set(self.input_space.symbols[1:]) <= set(characters.ENGLISH)
        ):
            raise ValueError(
                f"phonemes are those of padded Tokens of English characters, not of "
                f"{self.input_space}"
            )

    @property
    def output_space(self) -> Tokens:
        phones = PHONES if self.stress else dict.fromkeys(strip_stress(PHONES))
        length = self.length or -(-5 * self.input_space.length // 4)
        return Tokens(length, 1 + len(phones), padded=True, symbols=("", *phones))

    def extract(self, value: np.ndarray, metadata: Example) -> np.ndarray:
        """Returns ids i32[output_space.length] of a text i32[input_space.length].

        Raises:
          UserError: the text is empty, has too many phonemes, or a package is missing.
        """
        text = characters.decode_text(self.input_space, value)
        phones = pronounce(text)
        space = self.output_space
        if len(phones) > space.length:
            raise UserError(
                f"{quote(text)} has {len(phones)} phonemes, and at most {space.length} "
                "fit: raise the option length of abstraction 'phonemes'"
            )
        return characters.encode(space, phones if self.stress else strip_stress(phones))

    def code_metrics(
        self, y_prime: np.ndarray, reference: np.ndarray
    ) -> dict[str, float]:
        """Returns `per`, the phoneme error rate of y′ [N, length]."""
        symbols = functools.partial(characters.decode_batch, self.output_space)
        return {"per": token_error_rate(symbols(reference), symbols(y_prime))}
