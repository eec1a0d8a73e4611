"""Checks of what the seam methods take and return, while tests trace them.

Nothing runs in a program: shapes and dtypes are those of tracers or of arrays.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from regen_jax.interfaces import Abstraction, Generator, LossOutput
from regen_jax.spaces import Space, Value, check

Method = Callable[..., Any]


def install() -> None:
    """Checks the methods of every class that is defined from now on.

    Of an Abstraction `encode`, `decode` and `loss`; of a Generator `loss`, `sample` and
    `log_prob`.
    """
    _check_subclasses(
        Abstraction, {"encode": _encode, "decode": _decode, "loss": _self_loss}
    )
    _check_subclasses(
        Generator, {"loss": _pair_loss, "sample": _sample, "log_prob": _log_prob}
    )


def check_loss(output: LossOutput, batch_size: int, name: str) -> None:
    """Checks that an output has f32[B] losses, metrics and weights.

    Raises:
      AssertionError: it has another shape or dtype.
    """
    values = {"loss": output.loss, **output.metrics}
    weights = {f"weight of {key}": value for key, value in output.weights.items()}
    for key, value in (values | weights).items():
        _check_per_example(value, batch_size, f"{key} of {name}")
    for key, value in output.per_example.items():
        assert value.shape[:1] == (batch_size,), f"{key} of {name}: {value.shape}"


def _check_subclasses(base: type, checks: dict[str, Method]) -> None:
    def init_subclass(cls: type, **kwargs: Any) -> None:
        super(base, cls).__init_subclass__(**kwargs)
        for name, checked in checks.items():
            if name in vars(cls) and not getattr(cls, "runs_on_host", False):
                setattr(cls, name, _wrapped(vars(cls)[name], checked))

    base.__init_subclass__ = classmethod(init_subclass)


def _wrapped(method: Method, checked: Method) -> Method:
    """The method, with its arguments checked before and its result after."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        arguments = signature.bind(*args, **kwargs).arguments.values()
        part, _, *values = arguments
        name = f"{type(part).__name__}.{method.__name__}"
        check_result = checked(part, name, *values)
        result = method(*args, **kwargs)
        check_result(result)
        return result

    return wrapper


def _encode(part: Abstraction, name: str, y: Value, *_: Any) -> Method:
    _check_input(part.input_space, y, name)
    return lambda y_prime: check(part.output_space, y_prime, f"result of {name}")


def _decode(part: Abstraction, name: str, y_prime: Value, *_: Any) -> Method:
    _check_input(part.output_space, y_prime, name)
    return lambda y: check(part.input_space, y, f"result of {name}")


def _self_loss(
    part: Abstraction, name: str, keys: jax.Array, y: Value, *_: Any
) -> Method:
    _check_input(part.input_space, y, name)
    return lambda output: check_loss(output, len(keys), name)


def _pair_loss(
    part: Generator, name: str, keys: jax.Array, a: Value, b: Value, *_: Any
) -> Method:
    _check_input(part.source_space, a, f"source of {name}")
    _check_input(part.target_space, b, f"target of {name}")
    return lambda output: check_loss(output, len(keys), name)


def _sample(part: Generator, name: str, keys: jax.Array, a: Value, *_: Any) -> Method:
    _check_input(part.source_space, a, f"source of {name}")
    return lambda b: check(part.target_space, b, f"result of {name}")


def _log_prob(part: Generator, name: str, a: Value, b: Value, *_: Any) -> Method:
    _check_input(part.source_space, a, f"source of {name}")
    _check_input(part.target_space, b, f"target of {name}")
    size = jax.tree.leaves(b)[0].shape[0]
    return lambda values: _check_per_example(values, size, f"result of {name}")


def _check_input(space: Space, value: Value, name: str) -> None:
    # NumPy arrays as JAX takes them: in 32 bits.
    check(space, jax.eval_shape(lambda v: v, value), f"argument of {name}")


def _check_per_example(values: jax.Array, batch_size: int, name: str) -> None:
    chex.assert_shape(values, (batch_size,), custom_message=name)
    assert values.dtype == jnp.float32, f"{name}: {values.dtype} is not float32"
