"""Monotonic alignments of T frames to S positions.

Frames belong to positions in order, and every position has one frame or more.
"""

import jax
import jax.numpy as jnp

from regen_jax.spaces import length_mask


def monotonic_path(
    scores_BxTxS: jax.Array, frames_B: jax.Array, positions_B: jax.Array
) -> jax.Array:
    """Finds the alignment of the highest total score.

    Monotonic alignment search (Kim et al., Glow-TTS, arXiv 2005.11129, algorithm 1).
    Of paths of equal score, the last positions get the frames.

    Args:
      scores_BxTxS: f32, how well each frame fits each position; finite.
      frames_B: i32, frames that are not padding.
      positions_B: i32, positions that are not padding. If there are more positions than
        frames, the first get one frame each and the rest none.

    Returns:
      bool[B, T, S], with one position per frame, and none at padding.
    """
    size = scores_BxTxS.shape[-1]
    # Time leads, for the scans.
    scores_TxBxS = jnp.swapaxes(scores_BxTxS.astype(jnp.float32), 0, 1)
    first = jnp.where(jnp.arange(size) == 0, scores_TxBxS[0], -jnp.inf)

    def forward(best_BxS: jax.Array, scores_BxS: jax.Array):
        previous = jnp.pad(best_BxS[:, :-1], ((0, 0), (1, 0)), constant_values=-jnp.inf)
        return scores_BxS + jnp.maximum(best_BxS, previous), previous > best_BxS

    _, entered = jax.lax.scan(forward, first, scores_TxBxS[1:], unroll=4)
    entered_TxBxS = jnp.concatenate([jnp.zeros((1, *first.shape), bool), entered])
    valid_TxB = length_mask(frames_B, scores_TxBxS.shape[0]).T

    def retrace(position_B: jax.Array, step: tuple[jax.Array, jax.Array]):
        entered_BxS, valid_B = step
        row = (jnp.arange(size) == position_B[:, None]) & valid_B[:, None]
        return position_B - jnp.any(row & entered_BxS, axis=1), row

    last_B = jnp.minimum(positions_B, frames_B) - 1
    _, path_TxBxS = jax.lax.scan(
        retrace, last_B, (entered_TxBxS, valid_TxB), reverse=True, unroll=4
    )
    return jnp.swapaxes(path_TxBxS, 0, 1)


def path_from_durations(durations_BxS: jax.Array, frames: int) -> jax.Array:
    """Returns the path, bool[B, frames, S], on which positions have these durations."""
    ends = jnp.cumsum(durations_BxS, axis=1)[:, None]
    time = jnp.arange(frames)[:, None]
    return (ends - durations_BxS[:, None] <= time) & (time < ends)


def upsample(
    x_BxSxW: jax.Array, durations_BxS: jax.Array, frames: int
) -> tuple[jax.Array, jax.Array]:
    """Repeats each position for its duration: [B, frames, W], and lengths i32[B].

    Zero after the sum of the durations; what exceeds `frames` is cut off.
    """
    # A matrix product, whose gradient is one too, where that of a gather is a scatter.
    path = path_from_durations(durations_BxS, frames).astype(x_BxSxW.dtype)
    lengths = jnp.minimum(durations_BxS.sum(axis=1, dtype=jnp.int32), frames)
    return path @ x_BxSxW, lengths


def round_durations(
    durations_BxS: jax.Array, positions_B: jax.Array, frames: int
) -> jax.Array:
    """Rounds durations f32 to i32[B, S] so that each is at least 1 and all fit.

    Ends are rounded rather than durations, so that errors do not add up. Where the sum
    exceeds `frames`, what each position has beyond 1 shrinks in proportion. If there are
    more positions than frames, the last get 0, as do those beyond `positions_B`.
    """
    valid = length_mask(jnp.minimum(positions_B, frames), durations_BxS.shape[1])
    extra = jnp.where(valid, jnp.maximum(durations_BxS, 1) - 1, 0)
    ends = jnp.cumsum(extra, axis=1)
    total, room = ends[:, -1:], frames - valid.sum(axis=1, keepdims=True)
    scale = jnp.where(total > room, room / jnp.maximum(total, 1e-6), 1)
    ends = jnp.round(ends * scale).astype(jnp.int32)
    return jnp.where(valid, 1 + jnp.diff(ends, axis=1, prepend=0), 0)
