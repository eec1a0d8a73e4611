"""Checks of parts that are the user's own, which may raise and return anything."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from regen_jax.cli.load_run import blank_batch
from regen_jax.config.build import Run
from regen_jax.config.registry import to_plain_dict
from regen_jax.errors import UserError, described
from regen_jax.interfaces import Variables
from regen_jax.spaces import check

_BATCH_SIZE = 2


def _named(config: Any) -> list[str]:
    """Returns the parts of a config that are the user's own, as `package.module:Class`."""
    if isinstance(config, Mapping):
        names = [config.get(key) for key in ("name", "task")]
        own = [name for name in names if isinstance(name, str) and ":" in name]
        return own + _named(list(config.values()))
    if isinstance(config, Sequence) and not isinstance(config, str):
        return [name for value in config for name in _named(value)]
    return []


def check_own_parts(run: Run, config: Mapping[str, Any]) -> None:
    """Traces the losses of a run that has parts of the user's own, and Y → Y′ → Y.

    A run without any is not traced: tests hold what its parts return.

    Raises:
      UserError: one raises, or returns what its interface does not say.
    """
    own = _named(to_plain_dict(config))
    if not own:
        return
    batch = blank_batch(run.task, run.regeneration)
    key = jax.random.key(0)
    keys = jax.random.split(key, _BATCH_SIZE)
    variables: dict[str, Variables] = {}
    for stage in run.stages:
        with _in_one_line(f"stage '{stage.name}' with {', '.join(own)}"):
            initial = jax.eval_shape(stage.init, key, batch)
            if stage.parametric:
                output = jax.eval_shape(
                    lambda initial, frozen, stage=stage: stage.loss(
                        initial, frozen, keys, batch, True
                    ),
                    initial,
                    dict(variables),
                )
                _check_losses(output)
            variables[stage.name] = initial
            if stage.name == "abstraction":
                _check_abstraction(run, variables, batch)


@contextlib.contextmanager
def _in_one_line(where: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{where}: {described(error)}") from error


def _check_losses(output: Any) -> None:
    """Raises a ValueError unless the loss and metrics are one number per example."""
    for name, value in {"loss": output.loss, **output.metrics}.items():
        if value.shape != (_BATCH_SIZE,) or value.dtype != jnp.float32:
            raise ValueError(
                f"{name} of {_BATCH_SIZE} examples must be float32[{_BATCH_SIZE}], one "
                f"each, not {value.dtype}{list(value.shape)}"
            )


def _check_abstraction(
    run: Run, variables: Mapping[str, Variables], batch: Any
) -> None:
    """Checks Y′ and what it is decoded to by their spaces, see `spaces.check`."""
    abstraction = run.regeneration.abstraction
    y_prime = jax.eval_shape(run.regeneration.encode, variables, batch)
    check(abstraction.output_space, y_prime, "Y′")
    y = jax.eval_shape(abstraction.decode, variables["abstraction"], y_prime)
    check(abstraction.input_space, y, "Y of Y′")
