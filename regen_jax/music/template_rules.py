"""What the levels of a music template say of each other."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.music import chords
from regen_jax.music.cadences import AUTHENTIC, HALF, OTHER, roles
from regen_jax.music.keys import KEYS


@dataclasses.dataclass(frozen=True)
class TemplateRules:
    """The faults that no template of a score has, for `spaces.Tokens.faults`.

    A key that is not that of the beat before; a cadence that its key and chords
    contradict, see `regen_jax.music.cadences`.

    Attributes:
      levels: of the template, from the first.
      first_ids: the id that each level begins with.
      vocab: number of ids.
    """

    levels: tuple[str, ...]
    first_ids: tuple[int, ...]
    vocab: int

    def __call__(self, before: jax.Array, above: jax.Array) -> jax.Array:
        """f32[B, V] of ids i32[B, k + 1] before and i32[B, k] of the levels above k."""
        level = above.shape[1]
        name = self.levels[level] if level < len(self.levels) else ""
        faults = jnp.zeros((len(above), self.vocab))
        if name == "key":
            was = before[:, -1:]
            # 0 ends a template, in any key.
            ids = jnp.arange(self.vocab)
            return faults + ((was > 0) & (ids > 0) & (ids != was))
        if name == "cadence" and {"key", "chord"} <= set(self.levels):
            contradicted = self._contradicted(before, above)
            first = self.first_ids[level]
            ids = first + jnp.array(list(contradicted))
            return faults.at[:, ids].set(jnp.stack(list(contradicted.values()), axis=1))
        return faults

    def _contradicted(
        self, before: jax.Array, above: jax.Array
    ) -> dict[int, jax.Array]:
        """By cadence, bool[B]: whether it cannot be."""
        key, chord, was = (
            ids[:, self.levels.index(name)] - self.first_ids[self.levels.index(name)]
            for ids, name in ((above, "key"), (above, "chord"), (before, "chord"))
        )
        every = roles(np.arange(len(chords.CHORDS)), np.arange(len(KEYS))[:, None])
        tonic, dominant, leads = map(jnp.asarray, every)
        # Where a chord goes on, what it came from is farther back than this looks.
        moved = (was >= 0) & (was != chord) & (was != chords.NONE)
        ends, led = tonic[key, chord], leads[key, was]
        return {
            AUTHENTIC: ~ends | (moved & ~led),
            HALF: ~dominant[key, chord],
            OTHER: dominant[key, chord] | (ends & moved & led),
        }
