"""Retrieval: the training target whose source is nearest, the honest floor of a decoder."""

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.interfaces import Generator, Key, LossOutput, Variables
from regen_jax.losses.squared_error import normalize_target
from regen_jax.networks.conditioning.spatial import AlignedFeatures
from regen_jax.ranges import Count
from regen_jax.spaces import (
    Array,
    Padded,
    Space,
    Tokens,
    Value,
    lengths,
    mask_padding,
    zeros,
)

_CHUNK_VALUES = 2**24
"""Values that are compared at once, over all sources of a batch."""
_LARGEST = np.uint32(2**32 - 1)

Stored = dict[str, Any]
"""A batch as the index holds it: `values`, and `length` of padded Arrays."""


@dataclasses.dataclass(frozen=True)
class Nearest(Generator):
    """Returns the target of the training example whose source is nearest.

    Distances are squared Euclidean ones of normalized Arrays, where padding counts as 0;
    the number of Tokens that differ, where padding is a token of its own; and whether
    Categories differ. Of sources at one distance each is as likely, so that of a Category
    the target of any training example of that class is drawn.

    It has no parameters: `finalize` fills the index, of which the rest is ignored where
    there are fewer examples. Values are stored in the smallest type that holds them.

    Attributes:
      source_space: any space.
      target_space: any space.
      max_examples: size of the index; of more training examples, so many are drawn.
      num_neighbors: nearest examples, among which one is drawn.
    """

    source_space: Space
    target_space: Space
    max_examples: Count = 10_000
    num_neighbors: Count = 1

    targets = Generator.sources
    parametric = False
    sampling = frozenset({"num_neighbors"})

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.source_space, AlignedFeatures):
            raise ValueError(
                "needs a source that stays as it is while other parts train, not the "
                "features of 'duration_aligned'"
            )
        if self.num_neighbors > self.max_examples:
            raise ValueError(
                f"num_neighbors {self.num_neighbors} exceeds max_examples "
                f"{self.max_examples}"
            )

    def init(self, rng: jax.Array) -> Variables:
        index = {
            "sources": _store(self.source_space, self._zeros(self.source_space)),
            "targets": _store(self.target_space, self._zeros(self.target_space)),
            "count": jnp.zeros((), jnp.int32),
        }
        return {"params": {}, "index": index}

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Returns the distance of what is drawn from the target, per value.

        It is the mean squared error of the normalized target, or the fraction of tokens
        that differ.
        """
        drawn = self.sample(variables, keys, source)
        space = self.target_space
        distance = jax.vmap(functools.partial(_distance, space))
        return LossOutput(
            distance(_features(space, drawn), _features(space, target))
            / math.prod(space.shape)
        )

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        index = variables["index"]
        choice_keys, order_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        neighbors = self.neighbors(variables, order_keys, source)
        number = jnp.clip(index["count"], 1, self.num_neighbors)
        place = jax.vmap(lambda key: jax.random.randint(key, (), 0, number))(
            choice_keys
        )
        row = jnp.take_along_axis(neighbors, place[:, None], axis=1)[:, 0]
        return _load(self.target_space, _rows(index["targets"], row))

    def neighbors(
        self, variables: Variables, keys: jax.Array, source: Value
    ) -> jax.Array:
        """Returns rows i32[B, num_neighbors] of the index, the nearest first.

        Those at one distance are in random order; one key per source.
        """
        index, space = variables["index"], self.source_space
        features = _features(space, source)
        batch_size, size = len(keys), self.max_examples
        chunk = _CHUNK_VALUES // (batch_size * math.prod(space.shape))
        chunk = max(1, min(chunk, size))
        salts = jax.vmap(lambda key: jax.random.bits(key, (2,)))(keys)
        distance = functools.partial(_distance, space)
        distance = jax.vmap(jax.vmap(distance, (None, 0)), (0, None))

        def merge(step: jax.Array, nearest: _Candidates) -> _Candidates:
            # The last chunk begins earlier, and its first rows were seen before.
            start = step * chunk
            rows = jnp.minimum(start, size - chunk) + jnp.arange(chunk)
            valid = (rows >= start) & (rows < index["count"])
            stored = _load(space, _rows(index["sources"], rows))
            distances = distance(features, _features(space, stored))
            candidates = _Candidates(
                jnp.where(valid, distances, jnp.inf),
                _hash(rows, salts),
                jnp.broadcast_to(rows, distances.shape),
            )
            joined = jax.tree.map(
                lambda *values: jnp.concatenate(values, axis=1), nearest, candidates
            )
            return _first(joined, self.num_neighbors)

        shape = batch_size, self.num_neighbors
        none = _Candidates(
            jnp.full(shape, jnp.inf),
            jnp.zeros(shape, jnp.uint32),
            jnp.zeros(shape, jnp.int32),
        )
        num_chunks = (index["count"] + chunk - 1) // chunk
        return jax.lax.fori_loop(0, num_chunks, merge, none).rows

    def finalize(
        self, variables: Variables, pairs: Iterable[tuple[Value, Value]]
    ) -> Variables:
        """Returns variables whose index holds the training examples.

        Of more than `max_examples` it holds a uniform sample (Vitter's algorithm R, "Random
        sampling with a reservoir", ACM TOMS 11, 1985), the same in every run.
        """
        index = jax.tree.map(np.array, jax.device_get(variables["index"]))
        rng = np.random.default_rng(0)
        seen = 0
        for source, target in pairs:
            batch = {
                "sources": _store(self.source_space, source),
                "targets": _store(self.target_space, target),
            }
            number = len(jax.tree.leaves(batch)[0])
            counts = np.arange(seen, seen + number)
            places = np.where(
                counts < self.max_examples, counts, rng.integers(counts + 1)
            )
            kept = places < self.max_examples
            for name, stored in jax.device_get(batch).items():
                for key, values in stored.items():
                    # Of several examples at one place, the last one stays.
                    index[name][key][places[kept]] = values[kept]
            seen += number
        index["count"] = np.array(min(seen, self.max_examples), np.int32)
        return {**variables, "index": jax.tree.map(jnp.asarray, index)}

    def _zeros(self, space: Space) -> Value:
        return zeros(space, self.max_examples)


class _Candidates(NamedTuple):
    """Rows of the index [B, N], ordered by distance and then by `order`."""

    distances: jax.Array
    order: jax.Array
    rows: jax.Array


def _first(candidates: _Candidates, number: int) -> _Candidates:
    """Returns the first candidates [B, number], in their order."""
    distances, order, _ = candidates
    column = jnp.arange(distances.shape[1])

    def take(free: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        least = jnp.where(free, distances, jnp.inf).min(axis=1, keepdims=True)
        nearest = free & (distances == least)
        first = jnp.where(nearest, order, _LARGEST).min(axis=1, keepdims=True)
        place = jnp.argmax(nearest & (order == first), axis=1)
        return free & (column != place[:, None]), place

    _, places = jax.lax.scan(take, jnp.ones_like(distances, bool), length=number)
    return jax.tree.map(
        lambda values: jnp.take_along_axis(values, places.T, axis=1), candidates
    )


def _hash(rows: jax.Array, salts: jax.Array) -> jax.Array:
    """Returns u32[B, N], a random order of rows i32[N] for each two salts u32[B, 2].

    Mixed as by the finalizer of MurmurHash3: a draw from a key per source and row would
    take longer than the distances.
    """
    bits = rows.astype(jnp.uint32) * (salts[:, :1] | 1) + salts[:, 1:]
    bits = (bits ^ bits >> 16) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ bits >> 13) * jnp.uint32(0xC2B2AE35)
    return bits ^ bits >> 16


def _features(space: Space, value: Value) -> jax.Array:
    """Returns [B, N], whose entries `_distance` compares one by one."""
    if isinstance(space, Array):
        features = normalize_target(space, value)
    elif isinstance(space, Tokens) and space.padded:
        # Whatever follows the end of a sequence is padding.
        features = mask_padding(value, lengths(space, value))
    else:
        features = value
    return features.reshape(features.shape[0], -1)


def _distance(space: Space, features: jax.Array, other: jax.Array) -> jax.Array:
    """Returns the distance f32[] of two examples, [N] each."""
    if isinstance(space, Array):
        # By differences: |a|² - 2 a·b + |b|² loses half its digits near 0.
        return jnp.sum(jnp.square(features - other))
    return jnp.sum(features != other, dtype=jnp.float32)


def _num_levels(space: Space) -> int | None:
    """Returns the number of values that an entry can take; None for real ones."""
    if isinstance(space, Array):
        return space.levels
    return space.vocab if isinstance(space, Tokens) else space.size


def _store(space: Space, value: Value) -> Stored:
    """Returns a batch as the index holds it: levels of values that have steps."""
    values = value.values if isinstance(value, Padded) else value
    levels = _num_levels(space)
    if levels is not None:
        if isinstance(space, Array):
            values = jnp.clip(
                jnp.round((values - space.low) / space.step), 0, levels - 1
            )
        values = values.astype(np.min_scalar_type(levels - 1))
    return {"values": values} | (
        {"length": value.length} if isinstance(value, Padded) else {}
    )


def _load(space: Space, stored: Stored) -> Value:
    """Inverts `_store`."""
    values = stored["values"].astype(space.dtype)
    if isinstance(space, Array) and space.levels is not None:
        values = values * space.step + space.low
    if "length" not in stored:
        return values
    return Padded(mask_padding(values, stored["length"]), stored["length"])


def _rows(stored: Stored, rows: jax.Array) -> Stored:
    return jax.tree.map(lambda values: values[rows], stored)
