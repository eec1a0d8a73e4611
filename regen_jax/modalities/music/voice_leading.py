"""What rules of voice leading say against each note, while voices are written."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from regen_jax.modalities.music import events

_PERFECT = (0, 7)
"""Octaves and fifths, as intervals of pitch classes."""


@dataclasses.dataclass(frozen=True)
class VoiceLeading:
    """Rules of scores, whose levels are voices from the highest down.

    The faults are those that `regen_jax.metrics.music.voice_leading_violations` counts in
    what is written: parallels, and crossings where they begin.
    """

    context: ClassVar[int] = 1

    def violations(self, before: jax.Array, above: jax.Array) -> jax.Array:
        """f32[B, V] of ids; see `regen_jax.spaces.Rules`."""
        pitches = jnp.asarray(events.sounding(range(len(events.SYMBOLS))))
        new = pitches[None, :, None]
        now, was = pitches[above][:, None], pitches[before[:, 0, :-1]][:, None]
        own = pitches[before[:, 0, -1]][:, None, None]
        crossings = (new > now) & (now > 0) & ~((own > was) & (was > 0))
        sound = (new > 0) & (now > 0) & (was > 0) & (own > 0)
        similar = (new - own) * (now - was) > 0
        interval, left = (
            jnp.abs(high - low) % 12 for high, low in ((now, new), (was, own))
        )
        kept = (interval == left) & jnp.isin(left, jnp.asarray(_PERFECT))
        parallels = sound & similar & kept
        return (crossings.astype(jnp.float32) + parallels).sum(axis=2)
