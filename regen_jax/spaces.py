"""What an array means: the spaces that X, X′, Y′ and Y live in.

Shapes here are those of one example; a batch has one more axis in front.
"""

import dataclasses
import math
from typing import ClassVar

import chex
import jax
import jax.numpy as jnp


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

    The latter where `depth > 1`, for stacks of codes. Where `padded`, 0 is padding and
    sequences may be shorter than `length`.
    """

    length: int
    vocab: int
    depth: int = 1
    padded: bool = False

    dtype: ClassVar = jnp.int32

    def __post_init__(self):
        for name in ("length", "vocab", "depth"):
            _require(
                getattr(self, name) >= 1,
                f"Tokens needs a positive {name}, not {getattr(self, name)}",
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

    Where `padded`, the first axis varies and a value travels with its length. Where
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


def zeros(space: Space, batch_size: int) -> jax.Array:
    """A batch of the right shape and dtype, for initialization and shape inference."""
    return jnp.zeros((batch_size, *space.shape), space.dtype)


def cast(space: Space, value: jax.Array) -> jax.Array:
    """A value in the space's dtype; data travel in their own, such as uint8 images."""
    return jnp.asarray(value, space.dtype)


def checked(space: Space, value: jax.Array, what: str) -> jax.Array:
    """The batch `value` as it is; `AssertionError` where it is not one of the space.

    Shapes and dtypes are known while a program is traced: the check costs nothing.
    """
    chex.assert_shape(value, (None, *space.shape), custom_message=f"{what}: {space}")
    chex.assert_type(value, space.dtype)
    return value


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
