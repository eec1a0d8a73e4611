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

from regen_jax.abstractions.bottlenecks.interface import (
    Bottleneck,
    BottleneckOutput,
    Mask,
)
from regen_jax.abstractions.bottlenecks.quantizer import Quantizer
from regen_jax.interfaces import Abstraction, Generator, LossOutput
from regen_jax.spaces import Space, Value, check

Method = Callable[..., Any]


def install() -> None:
    """Checks the methods of every class that is defined from now on.

    Of an Abstraction `encode`, `decode` and `loss`; of a Bottleneck `apply`, `encode` and
    `decode`; of a Generator `loss`, `sample` and `log_prob`.
    """
    _check_subclasses(
        Abstraction, {"encode": _encode, "decode": _decode, "loss": _self_loss}
    )
    _check_subclasses(
        Bottleneck, {"apply": _apply, "encode": _codes, "decode": _values}
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


def _apply(
    part: Bottleneck, name: str, keys: jax.Array, latents: jax.Array, *_: Any
) -> Method:
    def checked(output: BottleneckOutput) -> None:
        _check_codes(part, output.codes, latents, f"codes of {name}")
        values_shape = (*latents.shape[:-1], part.value_dim)
        _check_float32(output.values, values_shape, f"values of {name}")
        losses = {"loss": output.loss, **output.metrics}
        for key, value in losses.items():
            _check_float32(value, latents.shape[:1], f"{key} of {name}")
        for key, value in output.per_example.items():
            assert value.shape[:1] == latents.shape[:1], f"{key} of {name}"
        counts = output.sums.keys() & {"code_counts"}
        assert counts or not isinstance(part, Quantizer), f"{name}: no code_counts"

    return checked


def _codes(
    part: Bottleneck, name: str, latents: jax.Array, mask: Mask = None
) -> Method:
    return lambda codes: _check_codes(part, codes, latents, f"result of {name}")


def _values(part: Bottleneck, name: str, codes: jax.Array) -> Method:
    one_id = isinstance(part, Quantizer) and part.depth == 1
    shape = codes.shape if one_id else codes.shape[:-1]
    shape = (*shape, part.value_dim)
    return lambda values: _check_float32(values, shape, f"result of {name}")


def _check_codes(
    part: Bottleneck, codes: jax.Array, latents: jax.Array, name: str
) -> None:
    """Checks that ids are integers for each latent, or else f32[..., dim]."""
    shape = latents.shape[:-1]
    if not isinstance(part, Quantizer):
        _check_float32(codes, (*shape, codes.shape[-1]), name)
        return
    shape = shape if part.depth == 1 else (*shape, part.depth)
    chex.assert_shape(codes, shape, custom_message=name)
    assert codes.dtype == jnp.int32, f"{name}: {codes.dtype} is not int32"


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
    _check_float32(values, (batch_size,), name)


def _check_float32(values: jax.Array, shape: tuple[int, ...], name: str) -> None:
    chex.assert_shape(values, shape, custom_message=name)
    dtype = jnp.result_type(values)  # NumPy arrays as JAX takes them.
    assert dtype == jnp.float32, f"{name}: {dtype} is not float32"
