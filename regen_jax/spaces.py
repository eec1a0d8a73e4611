"""Spaces: what the arrays of X, X′, Y′ and Y mean.

Shapes are those of one example; a batch has a leading axis B.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import chex
import jax
import jax.numpy as jnp


class Padded(NamedTuple):
    """A value of a padded Array, or a batch of them.

    Attributes:
      values: f32[..., *shape]; values after the length are padding, written as 0 and
        ignored.
      length: i32[...], number of valid entries of the first axis of `shape`.
    """

    values: jax.Array
    length: jax.Array


Value = jax.Array | Padded | Mapping[str, Any]
"""Of a Record it is a dict, of a padded Array `Padded`, of other spaces an array."""


class TokenConstraints(Protocol):
    """Soft constraints on sequences of Tokens, such as rules of voice leading.

    Attributes:
      context: number of previous positions that a violation may depend on.
    """

    context: int

    def violations(self, before: jax.Array, above: jax.Array) -> jax.Array:
        """Counts the violations of each candidate id of level k at a position.

        Args:
          before: i32[B, context, k + 1], ids of the levels up to k at the previous
            positions, the latest last; 0 before the first position.
          above: i32[B, k], ids of the levels before k at the position itself.

        Returns:
          f32[B, vocab].
        """


@dataclasses.dataclass(frozen=True)
class Category:
    """One of `size` classes, i32[] in `[0, size)`."""

    size: int

    shape: ClassVar[tuple[int, ...]] = ()
    dtype: ClassVar = jnp.int32

    def __post_init__(self):
        _require(self.size >= 1, f"Category needs a positive size, not {self.size}")

    def __str__(self) -> str:
        return f"Category({self.size})"


@dataclasses.dataclass(frozen=True)
class Tokens:
    """A sequence of ids in `[0, vocab)`: i32[length], or i32[length, depth] of stacks.

    Attributes:
      length: number of positions.
      vocab: number of ids per level.
      depth: ids per position; more than 1 for stacks, as of a residual quantizer.
      padded: whether sequences may be shorter than `length`: 0 is padding, after the end
        of a sequence and never within it.
      symbols: names of the ids, such as characters or phonemes; empty if they have none.
        The first names id 0, and is empty where `padded`.
      constraints: soft constraints that sampling can apply; None for none.
      grid: shape of the grid whose cells the positions are, in raster order, such as
        (7, 7) of the codes of an image; empty for a sequence.
    """

    length: int
    vocab: int
    depth: int = 1
    padded: bool = False
    symbols: tuple[str, ...] = ()
    constraints: TokenConstraints | None = dataclasses.field(default=None, repr=False)
    grid: tuple[int, ...] = ()

    dtype: ClassVar = jnp.int32

    def __post_init__(self):
        for name in ("length", "vocab", "depth"):
            _require(
                getattr(self, name) >= 1,
                f"Tokens needs a positive {name}, not {getattr(self, name)}",
            )
        _require(
            self.vocab <= 2**31 - 1,
            f"Tokens have ids of 32 bits: {self.vocab} are more than 2**31 - 1",
        )
        object.__setattr__(self, "symbols", tuple(self.symbols))
        _require(
            len(self.symbols) in (0, self.vocab),
            f"Tokens of {self.vocab} ids cannot have {len(self.symbols)} symbols",
        )
        object.__setattr__(self, "grid", tuple(self.grid))
        _require(
            not self.grid or math.prod(self.grid) == self.length,
            f"Tokens of length {self.length} cannot be a grid of {self.grid}",
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an example: `(length,)`, or `(length, depth)` of stacks."""
        return (self.length,) if self.depth == 1 else (self.length, self.depth)

    def __str__(self) -> str:
        depth = f" x {self.depth}" if self.depth > 1 else ""
        padded = ", padded" if self.padded else ""
        return f"Tokens({self.length}{depth} of {self.vocab}{padded})"


@dataclasses.dataclass(frozen=True)
class Array:
    """Real values, f32[*shape] in `[low, high]`; the last axis holds the channels.

    Attributes:
      shape: of an example; its first axis is the longest where `padded`.
      low: least value, or -inf.
      high: greatest value, or inf.
      padded: whether the first axis varies; a value is then a `Padded`.
      step: distance of neighboring values, `low + k * step`, such as 1 for 8-bit images;
        0 for continuous values.
    """

    shape: tuple[int, ...]
    low: float = -math.inf
    high: float = math.inf
    padded: bool = False
    step: float = 0.0

    dtype: ClassVar = jnp.float32

    def __post_init__(self):
        object.__setattr__(self, "shape", tuple(self.shape))
        _require(
            len(self.shape) >= 1 and all(n >= 1 for n in self.shape),
            f"Array needs positive sizes, not {self.shape}",
        )
        _require(
            self.low < self.high,
            f"Array needs low < high, not {self.low} and {self.high}",
        )

    @property
    def bounded(self) -> bool:
        """Whether both bounds are finite."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def peak(self) -> float:
        """Width of the range, to which errors are relative; 1 without bounds."""
        return self.high - self.low if self.bounded else 1.0

    @property
    def levels(self) -> int | None:
        """Number of values that a bounded Array with steps can take; None for others."""
        if not (self.bounded and self.step):
            return None
        return round((self.high - self.low) / self.step) + 1

    @property
    def size(self) -> int:
        """Number of values per example."""
        return math.prod(self.shape)

    def normalize(self, value: jax.Array) -> jax.Array:
        """Maps `[low, high]` to `[-1, 1]`; values of an unbounded space stay."""
        value = jnp.asarray(value, jnp.float32)
        return (
            (value - self.low) * (2 / (self.high - self.low)) - 1
            if self.bounded
            else value
        )

    def denormalize(self, value: jax.Array) -> jax.Array:
        """Inverts `normalize` and clips to `[low, high]`."""
        if not self.bounded:
            return value
        return jnp.clip(
            (value + 1) * ((self.high - self.low) / 2) + self.low, self.low, self.high
        )

    def __str__(self) -> str:
        padded = ", padded" if self.padded else ""
        return f"Array({', '.join(map(str, self.shape))}{padded})"


Field = Category | Tokens | Array


@dataclasses.dataclass(frozen=True)
class Record:
    """Values of several spaces by name, such as speech and a picture of its speaker.

    A value is a dict with one value per field.

    Attributes:
      fields: names and spaces; no field is a Record itself.
    """

    fields: tuple[tuple[str, Field], ...]

    def __post_init__(self):
        fields = tuple((name, space) for name, space in self.fields)
        object.__setattr__(self, "fields", fields)
        names = [name for name, _ in fields]
        _require(bool(names), "Record needs a field or more")
        for name, space in fields:
            # Files store a padded field as two arrays, `name` and `name_length`.
            _require(
                name.isidentifier() and not name.endswith("_length"),
                "Record needs names like 'speech', letters, digits and _ without "
                f"'_length' at their end, not {name!r}",
            )
            _require(names.count(name) == 1, f"Record has {name!r} twice")
            _require(
                isinstance(space, Field),
                f"Record needs a Category, Tokens or Array as {name!r}, not {space}",
            )

    @property
    def spaces(self) -> dict[str, Field]:
        """The spaces of the fields by name."""
        return dict(self.fields)

    def __str__(self) -> str:
        return f"Record({', '.join(f'{name}: {space}' for name, space in self.fields)})"


Space = Field | Record


def zeros(space: Space, batch_size: int) -> Value:
    """Returns a batch of zeros, for initialization and shape inference.

    Padded values have full length.
    """
    if isinstance(space, Record):
        return {name: zeros(field, batch_size) for name, field in space.fields}
    values = jnp.zeros((batch_size, *space.shape), space.dtype)
    if isinstance(space, Array) and space.padded:
        return Padded(values, jnp.full(batch_size, space.shape[0], jnp.int32))
    return values


def to_dtype(space: Space, value: Any) -> Value:
    """Casts a value to the dtype of its space; data are stored in theirs, such as uint8."""
    if isinstance(space, Record):
        return {name: to_dtype(field, value[name]) for name, field in space.fields}
    if isinstance(value, Padded):
        length = jnp.asarray(value.length, jnp.int32)
        return Padded(jnp.asarray(value.values, space.dtype), length)
    return jnp.asarray(value, space.dtype)


def check(space: Space, value: Any, name: str) -> Value:
    """Checks the shape and dtype of a batch, and returns it.

    Runs while a program is traced, and costs nothing in the program.

    Args:
      space: where the value should live.
      value: a batch.
      name: what errors call the value.

    Raises:
      AssertionError: the value is not a batch of the space.
    """
    if isinstance(space, Record):
        names = sorted(value) if isinstance(value, Mapping) else type(value).__name__
        assert names == sorted(space.spaces), f"{name}: {space} has not {names}"
        for field_name, field in space.fields:
            check(field, value[field_name], f"{name}, {field_name}")
        return value
    values = value
    if isinstance(space, Array) and space.padded:
        assert isinstance(value, Padded), f"{name}: {space} needs its lengths"
        chex.assert_shape(value.length, (None,), custom_message=f"{name}: {space}")
        values = value.values
    chex.assert_shape(values, (None, *space.shape), custom_message=f"{name}: {space}")
    chex.assert_type(values, space.dtype)
    return value


def check_constant_length(space: Space) -> None:
    """Raises a ValueError for a padded Array, for parts that read all of each value."""
    if isinstance(space, Array) and space.padded:
        raise ValueError(f"needs an Array of constant length, not {space}")


def length_mask(length: jax.Array, size: int) -> jax.Array:
    """Returns bool[..., size]: whether a position is before the length i32[...]."""
    return jnp.arange(size) < length[..., None]


def mask_padding(values: jax.Array, length: jax.Array) -> jax.Array:
    """Returns values [B, T, ...] with 0 from the length i32[B] of each example on."""
    valid = length_mask(length, values.shape[1])
    return jnp.where(valid.reshape(*valid.shape, *[1] * (values.ndim - 2)), values, 0)


def lengths(space: Tokens | Array, value: Any) -> jax.Array:
    """Returns i32[B], the number of valid entries of the first axis of each example."""
    if isinstance(value, Padded):
        return value.length
    size = space.shape[0]
    if isinstance(space, Tokens) and space.padded:
        first = value if space.depth == 1 else value[..., 0]
        # The first 0 ends a sequence, whatever follows it.
        return jnp.sum(jnp.cumprod(first != 0, axis=1), axis=1, dtype=jnp.int32)
    return jnp.full(value.shape[0], size, jnp.int32)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
