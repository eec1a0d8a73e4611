"""What the levels of a music template say of each other."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.music import chords
from regen_jax.modalities.music.cadences import AUTHENTIC, HALF, OTHER, roles
from regen_jax.modalities.music.keys import KEYS


@dataclasses.dataclass(frozen=True)
class TemplateRules:
    """Rules that no template of a score breaks: one key, and cadences of its chords.

    See `regen_jax.modalities.music.cadences`. A chord that has gone on for longer than `reach` may
    have come from anywhere.

    Attributes:
      levels: of the template, from the first.
      first_ids: the id that each level begins with.
      vocab: number of ids.
    """

    context: ClassVar[int] = 16

    levels: tuple[str, ...]
    first_ids: tuple[int, ...]
    vocab: int

    def violations(self, before: jax.Array, above: jax.Array) -> jax.Array:
        """f32[B, V] of ids; see `regen_jax.spaces.Rules`."""
        level = above.shape[1]
        name = self.levels[level] if level < len(self.levels) else ""
        none = jnp.zeros((len(above), self.vocab))
        if name == "key":
            was = before[:, -1]
            # 0 ends a template, in any key.
            ids = jnp.arange(self.vocab)
            return none + ((was > 0) & (ids > 0) & (ids != was))
        if name == "cadence" and {"key", "chord"} <= set(self.levels):
            contradicted = self._contradicted(before, above)
            ids = self.first_ids[level] + jnp.array(list(contradicted))
            return none.at[:, ids].set(jnp.stack(list(contradicted.values()), axis=1))
        return none

    def _contradicted(
        self, before: jax.Array, above: jax.Array
    ) -> dict[int, jax.Array]:
        """By cadence, bool[B]: whether it cannot be."""
        key, chord, earlier = (
            ids[..., self.levels.index(name)] - self.first_ids[self.levels.index(name)]
            for ids, name in ((above, "key"), (above, "chord"), (before, "chord"))
        )
        every = roles(np.arange(len(chords.CHORDS)), np.arange(len(KEYS))[:, None])
        tonic, dominant, leads = map(jnp.asarray, every)
        other = (earlier >= 0) & (earlier != chord[:, None]) & (earlier != chords.NONE)
        last = jnp.where(other, jnp.arange(self.context), -1).max(axis=1)
        led = leads[key, jnp.take_along_axis(earlier, last[:, None], axis=1)[:, 0]]
        led &= last >= 0
        known = (last >= 0) | (earlier < 0).any(axis=1)
        ends = tonic[key, chord]
        return {
            AUTHENTIC: ~ends | (known & ~led),
            HALF: ~dominant[key, chord],
            OTHER: dominant[key, chord] | (ends & led),
        }
