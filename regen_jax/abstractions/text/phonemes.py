"""Phonemes of a text: grapheme-to-phoneme conversion by rule, on the host."""

import dataclasses

import numpy as np

from regen_jax import ranges
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, HostFeature
from regen_jax.metrics.error_rates import token_error_rate
from regen_jax.modalities.text import characters
from regen_jax.modalities.text.pronunciation import PHONES, pronounce, without_stress
from regen_jax.ranges import Natural
from regen_jax.spaces import Tokens


@dataclasses.dataclass(frozen=True)
class Phonemes(HostFeature):
    """ARPAbet phonemes of an English text; see `regen_jax.modalities.text.pronunciation`.

    Attributes:
      y: padded Tokens whose symbols are characters.
      length: the most phonemes, word breaks among them; 0 is 5/4 of the characters, as
        English has fewer phonemes than letters in all but a few words.
      stress: whether vowels tell their stress.
    """

    input_space: Tokens
    length: Natural = 0
    stress: bool = True

    def __post_init__(self):
        ranges.check(self)
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
        phones = PHONES if self.stress else dict.fromkeys(without_stress(PHONES))
        length = self.length or -(-5 * self.input_space.length // 4)
        return Tokens(length, 1 + len(phones), padded=True, symbols=("", *phones))

    def extract(self, y: np.ndarray, notes: Example) -> np.ndarray:
        """Ids int32[y_prime.length] of the phonemes of a text int32[y.length].

        Raises:
          UserError: the text is empty, has too many phonemes, or a package is missing.
        """
        written = characters.decode_text(self.input_space, y)
        phones = pronounce(written)
        space = self.output_space
        if len(phones) > space.length:
            raise UserError(
                f"{written!r} has {len(phones)} phonemes, and at most {space.length} "
                "fit: raise the option length of the abstraction 'phonemes'"
            )
        return characters.encode(
            space, phones if self.stress else without_stress(phones)
        )

    def code_metrics(self, y_prime: np.ndarray, other: np.ndarray) -> dict[str, float]:
        """`per`: the phoneme error rate of y′ [N, length] against the true ones."""
        spoken, true = (
            [characters.decode(self.output_space, row) for row in ids]
            for ids in (y_prime, other)
        )
        return {"per": token_error_rate(true, spoken)}
