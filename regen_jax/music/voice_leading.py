"""What rules of voice leading say against each note, while voices are written.

The faults are those that `regen_jax.metrics.music.voice_leading_faults` counts in what is
written.
"""

import jax
import jax.numpy as jnp

from regen_jax.music import events

_PERFECT = (0, 7)
"""Octaves and fifths, as intervals of pitch classes."""


def faults(before: jax.Array, above: jax.Array) -> jax.Array:
    """f32[B, V]: crossings that begin and parallels that each event of a voice makes.

    Arguments:
      before: ids i32[B, k + 1], the events of the step before, of the voices from the
        highest down to this one.
      above: ids i32[B, k], the events of this step in the voices above.
    """
    pitches = jnp.asarray(events.sounding(range(len(events.SYMBOLS))))
    new = pitches[None, :, None]
    now, was = pitches[above][:, None], pitches[before[:, :-1]][:, None]
    own = pitches[before[:, -1]][:, None, None]
    crossings = (new > now) & (now > 0) & ~((own > was) & (was > 0))
    sound = (new > 0) & (now > 0) & (was > 0) & (own > 0)
    similar = (new - own) * (now - was) > 0
    interval, left = (
        jnp.abs(high - low) % 12 for high, low in ((now, new), (was, own))
    )
    kept = (interval == left) & jnp.isin(left, jnp.asarray(_PERFECT))
    parallels = sound & similar & kept
    return (crossings.astype(jnp.float32) + parallels).sum(axis=2)
