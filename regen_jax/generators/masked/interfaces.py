"""The parts of masked generation. Each is a frozen dataclass of options.

Progress runs from 0, where all tokens are masked, to 1, where none is.
"""

import abc
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.ranges import Checked
from regen_jax.spaces import Tokens


class MaskSchedule(Checked, abc.ABC):
    """The fraction of tokens that are masked, by progress.

    In training the progress of an example is uniform in [0, 1).
    """

    registry: ClassVar[str] = "regen_jax.generators.masked.schedules"

    @abc.abstractmethod
    def masked_fraction(self, progress: jax.Array) -> jax.Array:
        """Returns f32[...], falling from 1 at progress 0 to 0 at progress 1."""

    def num_masked(self, number: int, num_calls: int) -> np.ndarray:
        """Returns how many of `number` tokens are masked after each call, i32[num_calls].

        That is the nearest to the masked fraction by which each call reveals one token or
        more, and the last call the rest.

        Args:
          number: of tokens, `num_calls` or more.
          num_calls: calls of the network.
        """
        with jax.ensure_compile_time_eval():
            progress = jnp.arange(1, num_calls + 1) / num_calls
            wanted = np.rint(number * np.asarray(self.masked_fraction(progress)))
        counts, before = [], number
        for call, count in enumerate(wanted.astype(int).tolist()):
            before = min(max(count, num_calls - 1 - call), before - 1)
            counts.append(before)
        return np.array(counts, np.int32)


class Order(Checked, abc.ABC):
    """Which of the masked tokens are revealed first."""

    registry: ClassVar[str] = "regen_jax.generators.masked.orders"

    def check(self, space: Tokens) -> None:
        """Raises a ValueError where tokens of that space have no such order."""
        return

    @abc.abstractmethod
    def scores(
        self, space: Tokens, keys: jax.Array, log_probs: jax.Array, progress: jax.Array
    ) -> jax.Array:
        """Returns f32[B, *space.shape]: the highest of the masked tokens are revealed.

        Args:
          space: of the target.
          keys: one per example.
          log_probs: f32[B, *space.shape], of the candidates that were sampled.
          progress: f32[], fraction of the calls that are made, this one included.
        """
