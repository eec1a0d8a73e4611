"""The pipeline applied to any number of examples: samples, Y′ and reconstructions."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from regen_jax.data.host_features import open_examples
from regen_jax.data.pipeline import evaluation_batches
from regen_jax.errors import UserError
from regen_jax.evaluation.evaluator import concatenate, count
from regen_jax.interfaces import Example, RunVariables, Task
from regen_jax.random import example_keys, split_keys
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Padded, Value

_generate = jax.jit(Regeneration.generate, static_argnums=0)
_reconstruct = jax.jit(Regeneration.reconstruct, static_argnums=0)
_encode = jax.jit(Regeneration.encode, static_argnums=0)
_decode = jax.jit(Regeneration.decode, static_argnums=0)


@dataclasses.dataclass(frozen=True)
class TrainedPipeline:
    """A pipeline with the variables of its stages.

    Attributes:
      task: postprocesses y.
      regeneration: the pipeline.
      variables: of all its stages.
    """

    task: Task
    regeneration: Regeneration
    variables: RunVariables

    def sample(
        self,
        prompts: Example,
        seed: int = 0,
        batch_size: int = 250,
        first_index: int = 0,
    ) -> tuple[Any, Any]:
        """Draws y′ [N, …] and postprocessed y [N, …] for a batch of prompts.

        Example i of a seed is the same however many are drawn, in whatever batches. The
        prompts are examples first_index … first_index + N - 1.

        Raises:
          UserError: a y′ or y is not finite.
        """
        generate = functools.partial(_generate, self.regeneration, self.variables)
        inputs = self.regeneration.prompt(prompts)
        y_prime, y = _in_batches(generate, inputs, seed, batch_size, first_index)
        _check_finite(y_prime, "samples of Y′")
        return y_prime, _postprocessed(self.task, y)

    def decode_true(
        self, examples: Example, seed: int = 0, batch_size: int = 250
    ) -> Any:
        """Draws postprocessed y [N, …] from the true y′ of a batch of examples.

        The decoder has the keys of `sample` for the same examples as prompts.

        Raises:
          UserError: a y is not finite.
        """

        def reconstruct_as_sampled(keys: jax.Array, batch: Any) -> Any:
            return self._reconstruct(split_keys(keys)[1], batch)

        inputs = self.regeneration.reference(examples)
        y = _in_batches(reconstruct_as_sampled, inputs, seed, batch_size, 0)
        return _postprocessed(self.task, y)

    def decode(self, y_prime: Any, seed: int = 0) -> Any:
        """Returns postprocessed y [N, …] of y′ [N, …], with the decoder's keys of `sample`.

        Raises:
          UserError: a y is not finite.
        """
        keys = example_keys(jax.random.key(seed), 0, count(y_prime))
        y = _decode(self.regeneration, self.variables, split_keys(keys)[1], y_prime)
        return _postprocessed(self.task, jax.device_get(y))

    def reconstruct(self, batch_size: int, split: str) -> tuple[Any, Any]:
        """Returns postprocessed y [N, …] of a split, and Y → Y′ → Y of each.

        Raises:
          UserError: a reconstruction is not finite.
        """
        originals, reconstructions = [], []
        first = 0
        examples = open_examples(self.task, self.regeneration, split)
        for batch in evaluation_batches(examples, batch_size):
            keys = example_keys(jax.random.key(0), first, count(batch))
            first += count(batch)
            y = self._reconstruct(keys, self.regeneration.reference(batch))
            reconstructions.append(jax.device_get(y))
            originals.append(batch["y"])
        y = _postprocessed(self.task, concatenate(reconstructions), "reconstructions")
        return concatenate(originals), y

    def encode(self, batch: Example, batch_size: int) -> Any:
        """Returns y′ [N, …] of a batch [N, …], computed in smaller ones."""
        encoded = []
        for first in range(0, count(batch), batch_size):
            rows = slice(first, first + batch_size)
            part = jax.tree.map(lambda x, rows=rows: x[rows], batch)
            y_prime = _encode(self.regeneration, self.variables, part)
            encoded.append(jax.device_get(y_prime))
        return concatenate(encoded)

    def _reconstruct(self, keys: jax.Array, batch: Example) -> Value:
        """Maps Y → Y′ → Y; variables are those alone, so that stages share one program."""
        names = ("abstraction", "decoder", "finetune")
        variables = {n: self.variables[n] for n in names if n in self.variables}
        return _reconstruct(self.regeneration, variables, keys, batch)


def _in_batches(
    function: Callable[[jax.Array, Any], Any],
    inputs: Any,
    seed: int,
    batch_size: int,
    first_index: int,
) -> Any:
    """Returns function(keys, batch) of all inputs [N, …], on the host.

    Args:
      function: a compiled one, called for batches of one size.
      inputs: those of examples first_index … first_index + N - 1.
      seed: of the keys of examples.
      batch_size: the largest.
      first_index: of the first example.
    """
    outputs = []
    number = count(inputs)
    batch_size = min(batch_size, number)
    for first in range(0, number, batch_size):
        # Padded, so that the last batch does not compile another program.
        rows = np.minimum(np.arange(first, first + batch_size), number - 1)
        padded = jax.tree.map(lambda x, rows=rows: x[rows], inputs)
        keys = example_keys(jax.random.key(seed), first_index + first, batch_size)
        batch = jax.device_get(function(keys, padded))
        size = min(batch_size, number - first)
        outputs.append(jax.tree.map(lambda x, size=size: x[:size], batch))
    return concatenate(outputs)


def _postprocessed(task: Task, y: Value, name: str = "samples of Y") -> Value:
    """Returns what `Task.postprocess` makes of y [N, …] of a decoder, if all are finite.

    It may round and clip, which would turn NaN into a value as good as any.
    """
    _check_finite(y, name)
    return task.postprocess(y)


def _check_finite(value: Value, name: str) -> None:
    """Raises a UserError where real values [N, …] on the host are not all finite.

    Args:
      value: of any space; ids and padding are not checked.
      name: what errors call the values.
    """
    if isinstance(value, Mapping):
        for field, part in value.items():
            _check_finite(part, f"{name}, {field}")
        return
    values, length = value if isinstance(value, Padded) else (value, None)
    if not np.issubdtype(values.dtype, np.floating):
        return
    invalid = ~np.isfinite(values).reshape(*values.shape[:2], -1)
    invalid = np.any(invalid, axis=-1)
    if length is not None:
        invalid &= np.arange(values.shape[1]) < length[:, None]
    if number := np.sum(np.any(invalid, axis=1)):
        raise UserError(
            f"{number} of {len(values)} {name} are not finite: train with a lower "
            "learning rate, or sample by another solver or in more steps"
        )
