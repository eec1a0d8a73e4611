"""Sequences of any length in chunks that overlap, by a generator of short ones."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.wrapper import Wrapper
from regen_jax.interfaces import (
    Key,
    LossOutput,
    PartBuilder,
    Passes,
    Variables,
)
from regen_jax.metrics.seams import seam_ratio
from regen_jax.modalities.audio import segments
from regen_jax.networks.conditioning.spatial import (
    determines_length,
    is_time_aligned,
    target_length,
)
from regen_jax.random import fold_keys
from regen_jax.ranges import Count, Natural
from regen_jax.spaces import (
    Array,
    Padded,
    Record,
    Space,
    Value,
    lengths,
    mask_padding,
)

# Numbers of the streams of an example's key.
_SEGMENT, _NEXT = 1, 2


@dataclasses.dataclass(frozen=True)
class Chunked(Wrapper):
    """Trains the generator within on random segments, and samples overlapping chunks.

    Of a source, what is time-aligned with the target is cut likewise; of a Record, the
    fields that are. Where chunks overlap they are cross-faded linearly. A generator that
    starts from noise has the same noise at a position in every chunk; see
    `Generator.sample_segment`.

    The last chunk ends with the target, and overlaps by more where chunks do not fill it.

    Attributes:
      source_space: space of the source; it gives the length of a padded target.
      target_space: space of the target.
      generator: from a segment of the source to that of the target.
      length: frames of a segment, of the target.
      overlap: frames that neighboring chunks share.
    """

    source_space: Array | Record
    target_space: Array
    length: Count = 32
    overlap: Natural = 8

    sources = (Array, Record)
    targets = (Array,)

    def __post_init__(self):
        super().__post_init__()
        _segment_spaces(self.source_space, self.target_space, self.length)
        if self.overlap >= self.length:
            raise ValueError(
                f"overlap must be below length {self.length}, not {self.overlap}"
            )

    @classmethod
    def build_nested(
        cls, builder: PartBuilder, source_space: Any, target_space: Any
    ) -> Mapping[str, Any]:
        length = builder.option(cls, "length")
        spaces = _segment_spaces(source_space, target_space, length)
        return {"generator": builder.generator("generator", *spaces)}

    @property
    def sampling(self) -> frozenset[str]:  # type: ignore[override]
        """The overlap, and sampling options of the generator within."""
        return super().sampling | {"overlap"}

    @property
    def num_calls(self) -> int | None:
        calls = self.generator.num_calls
        return None if calls is None else self.num_chunks * calls

    @property
    def num_chunks(self) -> int:
        """Number of chunks of a target of full length."""
        return 1 + -(-self._last // self._hop)

    @property
    def starts(self) -> tuple[int, ...]:
        """The first frame of each chunk of a target of full length."""
        return tuple(min(i * self._hop, self._last) for i in range(self.num_chunks))

    @property
    def _hop(self) -> int:
        return self.length - self.overlap

    @property
    def _last(self) -> int:
        return self.target_space.shape[0] - self.length

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Returns the loss of a random segment per example, in evaluation too."""
        pair = self._random_segments(fold_keys(keys, _SEGMENT), source, target)
        return self.generator.loss(variables, fold_keys(keys, _NEXT), *pair, train)

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        """Draws the chunks one after another, and fades them into one another."""
        space = self.target_space
        length = jnp.full(len(keys), space.shape[0])
        if space.padded:
            length = target_length(self.source_space, space, source)
        last = jnp.maximum(length - self.length, 0)

        def add(
            sums: tuple[jax.Array, jax.Array], index: jax.Array
        ) -> tuple[tuple[jax.Array, jax.Array], None]:
            start = jnp.minimum(index * self._hop, last)
            segment = self._cut_source(source, start)
            chunk = self.generator.sample_segment(variables, keys, segment, start)
            values = chunk.values if isinstance(chunk, Padded) else chunk
            # A short target has fewer chunks: the last one would count several times.
            first_time = start > (index - 1) * self._hop
            weight = self._weight(start, last) * first_time[:, None]
            weighted = values * weight.reshape(*weight.shape, *[1] * (values.ndim - 2))
            return (_add(sums[0], weighted, start), _add(sums[1], weight, start)), None

        sums = (
            jnp.zeros((len(keys), *space.shape)),
            jnp.zeros((len(keys), space.shape[0])),
        )
        (total, weight), _ = jax.lax.scan(add, sums, jnp.arange(self.num_chunks))
        weight = weight.reshape(*weight.shape, *[1] * (total.ndim - 2))
        values = total / jnp.where(weight > 0, weight, 1)
        return Padded(mask_padding(values, length), length) if space.padded else values

    def target_metrics(self, target: Any) -> dict[str, float]:
        """Computes `seam_ratio`, the mean over targets that have several chunks.

        See `metrics.seams`: how much larger steps are where chunks are joined. Where true
        targets move is not chance, so that theirs need not be 1.
        """
        values = target.values if isinstance(target, Padded) else target
        pairs = zip(values, lengths(self.target_space, target), strict=True)
        ratios = [
            seam_ratio(frames, self._fades(int(length)), self.overlap, int(length))
            for frames, length in pairs
        ]
        known = [ratio for ratio in ratios if ratio is not None]
        return {"seam_ratio": float(np.mean(known))} if known else {}

    def _fades(self, length: int) -> list[int]:
        """Returns the first frames of the cross-fades in a target of `length` frames.

        The last chunk may share more than the overlap with the one before: it fades in
        where it begins, and that one fades out where it ends.
        """
        last = max(length - self.length, 0)
        starts = sorted({min(start, last) for start in self.starts})
        ends = [start + self.length - self.overlap for start in starts[:-1]]
        return sorted({*starts[1:], *ends})

    def finalize(
        self, variables: Variables, pairs: Iterable[tuple[Value, Value]]
    ) -> Variables:
        cut = jax.jit(self._random_segments)

        def cut_pairs() -> Iterable[tuple[Value, Value]]:
            for number, pair in enumerate(pairs):
                batch_size = len(jax.tree.leaves(pair)[0])
                keys = jax.random.split(jax.random.key(number), batch_size)
                yield cut(keys, *pair)

        return self.generator.finalize(variables, Passes(cut_pairs))

    def _random_segments(
        self, keys: jax.Array, source: Value, target: Value
    ) -> tuple[Value, Value]:
        start = segments.starts(keys, lengths(self.target_space, target), self.length)
        return self._cut_source(source, start), _cut(target, start, self.length)

    def _cut_source(self, source: Any, start: jax.Array) -> Value:
        """Returns the segment of a source from frames `start` i32[B] of the target on."""
        if isinstance(self.source_space, Array):
            return self._cut_field(self.source_space, source, start)
        return {
            name: self._cut_field(field, source[name], start)
            for name, field in self.source_space.fields
        }

    def _cut_field(self, field: Space, value: Value, start: jax.Array) -> Value:
        steps = _steps_per_frame(field, self.target_space)
        return _cut(value, start * steps, self.length * steps) if steps else value

    def _weight(self, start: jax.Array, last: jax.Array) -> jax.Array:
        """Returns the weights f32[B, length] of chunks at `start` i32[B].

        They rise from the first frame on, and fall to the last one, over the overlap; not
        at the ends of the target, `last` i32[B] being the start of its last chunk.
        """
        rise = jnp.minimum((jnp.arange(self.length) + 1) / (self.overlap + 1), 1)
        rising = jnp.where((start > 0)[:, None], rise, 1)
        falling = jnp.where((start < last)[:, None], rise[::-1], 1)
        return rising * falling


def _add(total: jax.Array, chunk: jax.Array, start: jax.Array) -> jax.Array:
    """Adds chunks [B, L, ...] to sums [B, T, ...] from positions `start` i32[B] on."""

    def add(total: jax.Array, chunk: jax.Array, start: jax.Array) -> jax.Array:
        before = jax.lax.dynamic_slice_in_dim(total, start, len(chunk))
        return jax.lax.dynamic_update_slice_in_dim(total, before + chunk, start, 0)

    return jax.vmap(add)(total, chunk, start)


def _cut(value: Value, start: jax.Array, size: int) -> Value:
    """Returns `size` entries of the first axis from `start` i32[B] on."""
    if not isinstance(value, Padded):
        return segments.cut(value, start, size)
    length = jnp.clip(value.length - start, 0, size)
    return Padded(segments.cut(value.values, start, size), length)


def _steps_per_frame(field: Space, target_space: Array) -> int:
    """Returns how many steps of a field there are per frame; 0 for one that is not cut."""
    if not is_time_aligned(field, target_space):
        return 0
    steps, frames = field.shape[0], target_space.shape[0]
    if 1 < steps < frames:
        raise ValueError(f"needs {field} to have a step per frame of {target_space}")
    return steps // frames


def _segment_spaces(
    source_space: Array | Record, target_space: Array, length: int
) -> tuple[Array | Record, Array]:
    """Returns the spaces of segments of so many frames.

    Raises:
      ValueError: source and target have no such segments.
    """
    frames = target_space.shape[0]
    if length > frames:
        raise ValueError(
            f"length must be at most the {frames} frames of {target_space}, not {length}"
        )
    if target_space.padded and not determines_length(source_space, target_space):
        raise ValueError(
            f"needs a source time-aligned with {target_space}, to know its length, "
            f"not {source_space}"
        )

    fields = (("source", source_space),)
    if isinstance(source_space, Record):
        fields = source_space.fields
    cut = {}
    for name, field in fields:
        steps = _steps_per_frame(field, target_space)
        if steps:
            shape = (steps * length, *field.shape[1:])
            cut[name] = dataclasses.replace(field, shape=shape)
    if not cut:
        raise ValueError(
            f"needs a source with a step per frame of {target_space} or several, not "
            f"{source_space}"
        )
    segment = cut.get("source", source_space)
    if isinstance(source_space, Record):
        segment = Record(tuple((name, cut.get(name, field)) for name, field in fields))
    shape = (length, *target_space.shape[1:])
    return segment, dataclasses.replace(target_space, shape=shape)
