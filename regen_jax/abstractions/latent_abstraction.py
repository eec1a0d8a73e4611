"""What learned abstractions share whose Y′ is what a bottleneck makes of latents."""

import abc
from collections.abc import Iterable
from typing import Any

import jax

from regen_jax.abstractions.bottlenecks.interface import Bottleneck, Mask
from regen_jax.interfaces import Abstraction, LossOutput, Variables
from regen_jax.spaces import Value


class LatentAbstraction(Abstraction):
    """Keeps the state of a bottleneck in the collection that it names.

    Attributes:
      bottleneck: from latents to Y′ and back.
    """

    bottleneck: Bottleneck

    learned = True

    @abc.abstractmethod
    def _latents(self, variables: Variables, y: Value) -> tuple[jax.Array, Mask]:
        """Returns latents [B, *latent_shape, D] of y and their mask."""

    def _state(self, variables: Variables) -> Variables:
        return variables[self.bottleneck.collection]

    def update(
        self, variables: Variables, rng: jax.Array, loss_output: LossOutput
    ) -> Variables:
        state = self.bottleneck.update(
            self._state(variables), rng, loss_output.sums, loss_output.per_example
        )
        return {**variables, self.bottleneck.collection: state}

    def finalize(self, variables: Variables, batches: Iterable[Value]) -> Variables:
        """Returns variables whose bottleneck has seen the latents of the train split.

        Args:
          variables: those after the last step.
          batches: y [B, *input_space.shape] each, one pass over the train split.
        """
        latents = jax.jit(self._latents)
        state = self.bottleneck.finalize(
            self._state(variables), (latents(variables, y) for y in batches)
        )
        return {**variables, self.bottleneck.collection: state}

    def summarize(
        self, metrics: dict[str, float], sums: dict[str, Any]
    ) -> dict[str, float]:
        return self.bottleneck.summarize(metrics, sums)
