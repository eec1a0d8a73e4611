"""A task, an abstraction and generators of a user's own, as in a package elsewhere."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.interfaces import Abstraction, Generator, LossOutput, Task, Variables
from regen_jax.interfaces.types import Key
from regen_jax.spaces import Array, Category, Space, Tokens, Value


@dataclasses.dataclass(frozen=True)
class Stripes(Task):
    """X is one of 3 columns, Y an image in which that column is lit."""

    number: int = 12
    side: int = 4

    @property
    def x(self) -> Category:
        return Category(3)

    @property
    def y(self) -> Array:
        return Array((self.side, self.side, 1), 0.0, 1.0)

    def examples(self, split: str) -> list[dict[str, np.ndarray]]:
        examples = []
        for x in np.arange(self.number, dtype=np.int32) % 3:
            y = np.zeros(self.y.shape, np.float32)
            y[:, x] = 0.75
            examples.append({"x": x, "y": y})
        return examples


@dataclasses.dataclass(frozen=True)
class Lengths(Stripes):
    """The same images from a run of tokens."""

    @property
    def x(self) -> Tokens:
        return Tokens(2, 5)


@dataclasses.dataclass(frozen=True)
class ColumnMeans(Abstraction):
    """An image as the mean of each column, times a learned gain: [W, 1]."""

    input_space: Array
    start: float = 0.5

    learned = True

    @property
    def output_space(self) -> Array:
        return Array((self.input_space.shape[1], 1), -1.0, 1.0)

    def init(self, rng: jax.Array, y: jax.Array) -> Variables:
        return {"params": {"gain": jnp.full((), self.start)}}

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        return variables["params"]["gain"] * y.mean(axis=1)

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        return jnp.broadcast_to(
            y_prime[:, None], (len(y_prime), *self.input_space.shape)
        )

    def loss(
        self, variables: Variables, keys: jax.Array, y: jax.Array, train: bool
    ) -> LossOutput:
        error = self.decode(variables, self.encode(variables, y)) - y
        return LossOutput(jnp.square(error).mean(axis=(1, 2, 3)))


@dataclasses.dataclass(frozen=True)
class Table(Generator):
    """The mean of the target for each class, and noise around it of that `scale`."""

    source_space: Category
    target_space: Array
    scale: float = 0.0

    sources = (Category,)
    targets = (Array,)

    def init(self, rng: jax.Array) -> Variables:
        return {
            "params": {
                "means": jnp.zeros((self.source_space.size, *self.target_space.shape))
            }
        }

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        error = variables["params"]["means"][source] - target
        return LossOutput(jnp.square(error).reshape(len(target), -1).mean(axis=1))

    def sample(self, variables: Variables, keys: Key, source: Value) -> jax.Array:
        noise = jax.vmap(lambda key: jax.random.normal(key, self.target_space.shape))(
            keys
        )
        return variables["params"]["means"][source] + self.scale * noise


@dataclasses.dataclass(frozen=True)
class Demanding(Task):
    """Has an option without a default."""

    folder: str

    x = Category(2)
    y = Array((2, 1))

    def examples(self, split: str) -> list[dict[str, np.ndarray]]:
        return []


class Unfinished(Abstraction):
    """Leaves `encode` open."""

    @property
    def output_space(self) -> Space:
        return self.input_space


class Undecorated(Unfinished):
    """No dataclass, so it has no options."""

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        return y
