"""Consistency constraints between the levels of a music template."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.music import chords
from regen_jax.modalities.music.cadences import (
    AUTHENTIC,
    HALF,
    OTHER,
    harmonic_functions,
)
from regen_jax.modalities.music.keys import KEYS


@dataclasses.dataclass(frozen=True)
class TemplateConstraints:
    """`TokenConstraints` that no template of a score violates.

    A template has one key, and its cadences are those of its chords, see
    `regen_jax.modalities.music.cadences`. If a chord has lasted for longer than
    `context`, any chord may precede it.

    Attributes:
      levels: names of the levels of the template.
      first_ids: first id of each level.
      vocab: number of ids.
    """

    context: ClassVar[int] = 16

    levels: tuple[str, ...]
    first_ids: tuple[int, ...]
    vocab: int

    def violations(self, before: jax.Array, above: jax.Array) -> jax.Array:
        """Counts violations of each id, f32[B, V]; see `TokenConstraints`."""
        level = above.shape[1]
        name = self.levels[level] if level < len(self.levels) else ""
        zeros = jnp.zeros((len(above), self.vocab))
        if name == "key":
            previous = before[:, -1]
            # 0 ends a template in any key.
            ids = jnp.arange(self.vocab)
            return zeros + ((previous > 0) & (ids > 0) & (ids != previous))
        if name == "cadence" and {"key", "chord"} <= set(self.levels):
            impossible = self._impossible_cadences(before, above)
            ids = self.first_ids[level] + jnp.array(list(impossible))
            return zeros.at[:, ids].set(jnp.stack(list(impossible.values()), axis=1))
        return zeros

    def _impossible_cadences(
        self, before: jax.Array, above: jax.Array
    ) -> dict[int, jax.Array]:
        """Returns, by cadence, whether it contradicts key and chords, bool[B]."""
        key, chord, earlier = (
            ids[..., self.levels.index(name)] - self.first_ids[self.levels.index(name)]
            for ids, name in ((above, "key"), (above, "chord"), (before, "chord"))
        )
        functions = harmonic_functions(
            np.arange(len(chords.CHORDS)), np.arange(len(KEYS))[:, None]
        )
        tonic, dominant, leading = map(jnp.asarray, functions)
        is_other = (
            (earlier >= 0) & (earlier != chord[:, None]) & (earlier != chords.NONE)
        )
        last = jnp.where(is_other, jnp.arange(self.context), -1).max(axis=1)
        previous = jnp.take_along_axis(earlier, last[:, None], axis=1)[:, 0]
        is_led = leading[key, previous] & (last >= 0)
        # If no other chord is in the context, none precedes only if it reaches the start.
        is_known = (last >= 0) | (earlier < 0).any(axis=1)
        is_tonic, is_dominant = tonic[key, chord], dominant[key, chord]
        return {
            AUTHENTIC: ~is_tonic | (is_known & ~is_led),
            HALF: ~is_dominant,
            OTHER: is_dominant | (is_tonic & is_led),
        }
