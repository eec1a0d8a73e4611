"""What an array means: the spaces that X, X′, Y′ and Y live in.

Shapes here are those of one example; a batch has one more axis in front.
"""

import dataclasses
import math
from typing import ClassVar, NamedTuple, Protocol

import chex
import jax
import jax.numpy as jnp


class Padded(NamedTuple):
    """A value of a padded Array, or a batch of them.

    Attributes:
      values: float32 [..., *shape]; what lies beyond the length means nothing and is 0
        where the package wrote it.
      length: int32 [...], how much of the first axis of `shape` counts.
    """

    values: jax.Array
    length: jax.Array


Value = jax.Array | Padded


class TokenConstraints(Protocol):
    """Rules on sequences of Tokens, whose ids come one after the other.

    Attributes:
      reach: how many positions back they look.
    """

    context: int

    def violations(self, before: jax.Array, above: jax.Array) -> jax.Array:
        """f32[B, vocab]: the faults of each id of level k at a position.

        Args:
          before: i32[B, reach, k + 1], the ids of the levels up to k at the positions
            before, the nearest last; 0 in front of the first.
          above: i32[B, k], those of the levels before k at the position itself.
        """


@dataclasses.dataclass(frozen=True)
class Category:
    """One of `size` classes: int32 `[]` in `[0, size)`."""

    size: int

    shape: ClassVar[tuple[int, ...]] = ()
    dtype: ClassVar = jnp.int32

    def __post_init__(self):
        _require(self.size >= 1, f"Category needs a positive size, not {self.size}")

    def __str__(self) -> str:
        return f"Category({self.size})"


@dataclasses.dataclass(frozen=True)
class Tokens:
    """A sequence of ids in `[0, vocab)`: int32 `[length]`, or `[length, depth]`.

    The latter where `depth > 1`, for stacks of codes. Where `padded`, 0 stands behind
    the end of a sequence shorter than `length`, never within it.

    `symbols` are the names of the ids, where they have any: characters or phonemes, for
    example. The first is that of 0, which is empty where `padded`.

    `rules` is what the domain has against some ids that are possible all the same;
    sampling can heed it.
    """

    length: int
    vocab: int
    depth: int = 1
    padded: bool = False
    symbols: tuple[str, ...] = ()
    constraints: TokenConstraints | None = dataclasses.field(default=None, repr=False)

    dtype: ClassVar = jnp.int32

    def __post_init__(self):
        for name in ("length", "vocab", "depth"):
            _require(
                getattr(self, name) >= 1,
                f"Tokens needs a positive {name}, not {getattr(self, name)}",
            )
        object.__setattr__(self, "symbols", tuple(self.symbols))
        _require(
            len(self.symbols) in (0, self.vocab),
            f"Tokens of {self.vocab} ids cannot have {len(self.symbols)} symbols",
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,) if self.depth == 1 else (self.length, self.depth)

    def __str__(self) -> str:
        depth = f" x {self.depth}" if self.depth > 1 else ""
        padded = ", padded" if self.padded else ""
        return f"Tokens({self.length}{depth} of {self.vocab}{padded})"


@dataclasses.dataclass(frozen=True)
class Array:
    """Real values: float32 `[*shape]` in `[low, high]`; the last axis is the channel.

    Where `padded`, the first axis varies and a value is a `Padded`. Where
    `step` is positive, values are `low + k * step` (1 for 8-bit images); 0 is continuous.
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
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def size(self) -> int:
        """Number of values in one example."""
        return math.prod(self.shape)

    def normalize(self, value: jax.Array) -> jax.Array:
        """Maps `[low, high]` to `[-1, 1]`; an unbounded space is left as it is."""
        value = jnp.asarray(value, jnp.float32)
        return (
            (value - self.low) * (2 / (self.high - self.low)) - 1
            if self.bounded
            else value
        )

    def denormalize(self, value: jax.Array) -> jax.Array:
        """The inverse of `normalize`, clipped to `[low, high]`."""
        if not self.bounded:
            return value
        return jnp.clip(
            (value + 1) * ((self.high - self.low) / 2) + self.low, self.low, self.high
        )

    def __str__(self) -> str:
        padded = ", padded" if self.padded else ""
        return f"Array({', '.join(map(str, self.shape))}{padded})"


Space = Category | Tokens | Array


def zeros(space: Space, batch_size: int) -> Value:
    """A batch of the right shape and dtype, for initialization and shape inference.

    Padded values have their full length.
    """
    values = jnp.zeros((batch_size, *space.shape), space.dtype)
    if isinstance(space, Array) and space.padded:
        return Padded(values, jnp.full(batch_size, space.shape[0], jnp.int32))
    return values


def to_dtype(space: Space, value: Value) -> Value:
    """A value in the space's dtype; data travel in their own, such as uint8 images."""
    if isinstance(value, Padded):
        length = jnp.asarray(value.length, jnp.int32)
        return Padded(jnp.asarray(value.values, space.dtype), length)
    return jnp.asarray(value, space.dtype)


def check(space: Space, value: Value, what: str) -> Value:
    """The batch `value` as it is; `AssertionError` where it is not one of the space.

    Shapes and dtypes are known while a program is traced: the check costs nothing.
    """
    values = value
    if isinstance(space, Array) and space.padded:
        assert isinstance(value, Padded), f"{what}: {space} needs its lengths"
        chex.assert_shape(value.length, (None,), custom_message=f"{what}: {space}")
        values = value.values
    chex.assert_shape(values, (None, *space.shape), custom_message=f"{what}: {space}")
    chex.assert_type(values, space.dtype)
    return value


def length_mask(length: jax.Array, size: int) -> jax.Array:
    """bool [..., size]: the positions before each length [...]."""
    return jnp.arange(size) < length[..., None]


def lengths(space: Space, value: Value) -> jax.Array:
    """int32[B]: how much of the first axis counts, in a batch of Tokens or an Array."""
    if isinstance(value, Padded):
        return value.length
    size = space.shape[0]
    if isinstance(space, Tokens) and space.padded:
        first = value if space.depth == 1 else value[..., 0]
        # The first 0 ends a sequence, whatever stands behind it.
        return jnp.sum(jnp.cumprod(first != 0, axis=1), axis=1, dtype=jnp.int32)
    return jnp.full(value.shape[0], size, jnp.int32)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
