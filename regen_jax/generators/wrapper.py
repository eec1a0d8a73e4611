"""A generator around another one, whose variables are its own."""

import dataclasses

import jax

from regen_jax.interfaces import Generator, LossOutput, Variables
from regen_jax.spaces import Space


@dataclasses.dataclass(frozen=True)
class Wrapper(Generator):
    """Leaves variables and training to the generator within.

    Subclasses say what it reads and generates.

    Attributes:
      source_space: space of the source.
      target_space: space of the target.
      generator: the generator within.
    """

    source_space: Space
    target_space: Space
    generator: Generator

    nested = ("generator",)

    @property
    def parametric(self) -> bool:  # type: ignore[override]
        """Whether the generator within has parameters."""
        return self.generator.parametric

    @property
    def sampling(self) -> frozenset[str]:  # type: ignore[override]
        """The sampling options of the generator within, named `generator.…`."""
        return frozenset(f"generator.{name}" for name in self.generator.sampling)

    def init(self, rng: jax.Array) -> Variables:
        return self.generator.init(rng)

    def update(
        self, variables: Variables, rng: jax.Array, loss_output: LossOutput
    ) -> Variables:
        return self.generator.update(variables, rng, loss_output)
