"""Constraints of options, given by the type of a field and checked in one place.

A field says `Annotated[int, Ge(1)]`, `Annotated[float, Interval(ge=0, lt=1)]` or
`Literal["train", "targets"]`, or holds such types in a tuple, of one element or more where
it says `Annotated[tuple[…, ...], MinLen(1)]`; `X | None` also takes None.
Floats must also be finite in float32, the type of all computation, and ints must fit in 32
bits.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval, Le, Lt, MinLen

Dtype = Literal["float32", "bfloat16"]
Remat = Literal["none", "full"]
"""Policies: activations of a layer that the backward pass recomputes."""
Count = Annotated[int, Ge(1)]
Counts = Annotated[tuple[Count, ...], MinLen(1)]
SampleCount = Annotated[int, Interval(ge=1, le=1_000_000)]
"""Of samples that one call draws and holds in memory."""
Natural = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Interval(ge=0, le=1)]
PositiveFraction = Annotated[float, Interval(gt=0, le=1)]
Rate = Annotated[float, Interval(ge=0, lt=1)]
Dropout = Annotated[float, Interval(ge=0, le=255 / 256)]
"""Of `networks.embeddings.dropout`, which rounds a rate to 1/256 and keeps some values."""
Temperature = Annotated[float, Interval(ge=0, le=1_000_000)]
"""Above, samples stay uniform in float32; from 1e38 on, the logit -inf gives NaN."""
Guidance = Annotated[float, Interval(ge=0, le=1000)]
"""Above, the guided term leaves nothing of the prediction in float32."""
Logit = Annotated[float, Interval(ge=-100, le=100)]
"""Of a logit or logarithm; the sigmoid and exponential of what is outside are 0, 1 or
infinite in float32."""
Seed = Annotated[int, Interval(ge=0, le=2**31 - 1)]

LARGEST_INT = 2**31 - 1
LARGEST_FLOAT = 3.4028234663852886e38
"""Of float32."""
SMALLEST_FLOAT = 1.1754943508222875e-38
"""The smallest normal number of float32: devices round what is below it to 0."""


def fault(kind: Any, value: Any) -> str | None:
    """Returns the constraint of that type which a value violates, in words, or None.

    Whether a value is of the bare type is checked where options are read.
    """
    kind = required(kind)
    if value is not None and typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        return None if value in choices else f"must be {either(choices)}, not {value!r}"
    if isinstance(value, tuple) and not value and unsized(kind) is not kind:
        return "must be one number or more, not none"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    for words, holds in _requirements(kind, value):
        if not holds:
            return f"must be {words}, not {value!r}"
    return None


class Checked:
    """A base of dataclasses that checks the constraints of their fields."""

    def __post_init__(self):
        check(self)
        # Another base may have one too.
        getattr(super(), "__post_init__", lambda: None)()


def check(options: Any) -> None:
    """Checks the constraints of a dataclass's fields, those that its `__init__` takes.

    Raises:
      ValueError: names the first field that violates one.
    """
    types = typing.get_type_hints(type(options), include_extras=True)
    for field in dataclasses.fields(options):
        if not field.init:
            continue
        for where, kind, value in _parts(
            field.name, types[field.name], getattr(options, field.name)
        ):
            if words := fault(kind, value):
                raise ValueError(f"{where} {words}")


def check_pattern(name: str, pattern: str) -> None:
    """Raises a ValueError where an option is no regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"{name} {pattern!r} is no regular expression: {error}"
        ) from error


def required(kind: Any) -> Any:
    """Returns X of a type `X | None`, and other types as they are."""
    parts = [part for part in typing.get_args(kind) if part is not types.NoneType]
    union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    return parts[0] if union and len(parts) == 1 else kind


def unsized(kind: Any) -> Any:
    """Returns the tuple of a type `Annotated[tuple[…], …]`, and other types as they are."""
    inner = typing.get_args(kind)[:1]
    is_sized = typing.get_origin(kind) is Annotated
    return inner[0] if is_sized and typing.get_origin(inner[0]) is tuple else kind


def either(choices: tuple[Any, ...]) -> str:
    """Returns choices in words: `'fast', 'slow' or 'exact'`."""
    *others, last = map(repr, choices)
    return f"{', '.join(others)} or {last}" if others else last


def describe(kind: Any) -> str:
    """Returns the constraints of a type, or of a tuple's elements, in words."""
    kind = unsized(required(kind))
    inner = [part for part in typing.get_args(kind) if part is not ...]
    if typing.get_origin(kind) is tuple:
        return ", ".join(dict.fromkeys(filter(None, map(describe, inner))))
    if typing.get_origin(kind) is Literal:
        return either(tuple(inner))
    return ", ".join(words for words, _ in _constraints(kind, 0))


def bare(kind: Any) -> Any:
    """Returns a type without the constraints in it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return type(inner[0])
    if origin is Annotated:
        return bare(inner[0])
    if origin is tuple:
        return tuple[tuple(part if part is ... else bare(part) for part in inner)]
    return kind


def _requirements(kind: Any, value: float) -> Iterator[tuple[str, bool]]:
    """Yields each requirement of a value, in words, and whether the value meets it."""
    size = abs(value)
    if bare(kind) is int:
        yield f"at most {LARGEST_INT} in size", size <= LARGEST_INT
    else:
        # False for NaN, too.
        yield f"finite, at most {LARGEST_FLOAT:.3g} in size", size <= LARGEST_FLOAT
        least = f"0 or at least {SMALLEST_FLOAT:.3g} in size"
        yield least, value == 0 or size >= SMALLEST_FLOAT
    yield from _constraints(kind, value)


def _constraints(kind: Any, value: float) -> Iterator[tuple[str, bool]]:
    """Yields each constraint that a type states, and whether the value meets it."""
    for constraint in getattr(kind, "__metadata__", ()):
        match constraint:
            case Interval(gt=gt, ge=ge, lt=lt, le=le):
                left = f"({gt}" if ge is None else f"[{ge}"
                right = f"{lt})" if le is None else f"{le}]"
                holds = all(_side(side, value)[1] for side in constraint)
                yield f"in {left}, {right}", holds
            case Ge() | Gt() | Le() | Lt():
                yield _side(constraint, value)
            case _:
                raise TypeError(f"{constraint} is not a range of numbers")


def _side(constraint: Any, value: float) -> tuple[str, bool]:
    match constraint:
        case Ge(least):
            words = f"at least {least}" if least else "0 or more"
            return words, value >= least
        case Gt(bound):
            return f"above {bound}", value > bound
        case Le(most):
            return f"at most {most}", value <= most
        case Lt(bound):
            return f"below {bound}", value < bound


def _parts(where: str, kind: Any, value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yields a value, or each element of a tuple that has some, with its name and type."""
    elements = unsized(kind)
    if typing.get_origin(elements) is not tuple or not isinstance(value, tuple):
        yield where, kind, value
        return
    if not value:
        yield where, kind, value
    kinds = typing.get_args(elements)
    if kinds[-1:] == (...,):
        kinds = kinds[:1] * len(value)
    for index, (inner, part) in enumerate(zip(kinds, value, strict=False)):
        yield from _parts(f"{where}[{index}]", inner, part)
