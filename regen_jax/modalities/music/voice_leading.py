"""Constraints of voice leading on scores."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from regen_jax.modalities.music import events

_PERFECT_INTERVALS = (0, 7)
"""Octaves and fifths, in semitones modulo an octave."""


@dataclasses.dataclass(frozen=True)
class VoiceLeadingConstraints:
    """`TokenConstraints` of scores, whose levels are voices from high to low.

    Violations are those that `regen_jax.metrics.music.voice_leading_violations` counts:
    parallels, and the first steps of crossings.
    """

    context: ClassVar[int] = 1

    def violations(self, before: jax.Array, above: jax.Array) -> jax.Array:
        """Counts violations of each id, f32[B, V]; see `TokenConstraints`."""
        pitches = jnp.asarray(events.sounding_pitches(range(len(events.SYMBOLS))))
        new = pitches[None, :, None]
        upper = pitches[above][:, None]
        upper_before = pitches[before[:, 0, :-1]][:, None]
        own_before = pitches[before[:, 0, -1]][:, None, None]
        was_crossed = (own_before > upper_before) & (upper_before > 0)
        crossings = (new > upper) & (upper > 0) & ~was_crossed
        all_sound = (new > 0) & (upper > 0) & (upper_before > 0) & (own_before > 0)
        similar_motion = (new - own_before) * (upper - upper_before) > 0
        interval = jnp.abs(upper - new) % 12
        interval_before = jnp.abs(upper_before - own_before) % 12
        is_perfect = jnp.isin(interval_before, jnp.asarray(_PERFECT_INTERVALS))
        parallels = (
            all_sound & similar_motion & (interval == interval_before) & is_perfect
        )
        return (crossings.astype(jnp.float32) + parallels).sum(axis=2)
