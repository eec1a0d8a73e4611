"""Records that share fields: these are copied, and the one that is left is generated."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from regen_jax.generators.wrapper import Wrapper
from regen_jax.interfaces import (
    Key,
    LossOutput,
    PartBuilder,
    Passes,
    Variables,
)
from regen_jax.spaces import Field, Record, Space, Value


@dataclasses.dataclass(frozen=True)
class PassThrough(Wrapper):
    """Copies the fields that source and target share, and generates the other one.

    Shared are fields of one name and of equal spaces, such as the picture of a face that a
    talking head starts from. The variables are those of the generator within.

    Attributes:
      source_space: space of the source.
      target_space: space of the target.
      generator: from what it reads of the source to the field that is not shared.
      reads: fields of the source that `generator` reads, () for all. It reads one field as
        the value of that field, and several as a Record.
    """

    source_space: Record
    target_space: Record
    reads: tuple[str, ...] = ()

    sources = (Record,)
    targets = (Record,)

    def __post_init__(self):
        super().__post_init__()
        _read_space(self.source_space, self.reads)
        _generated_field(self.source_space, self.target_space)

    @classmethod
    def build_nested(
        cls, builder: PartBuilder, source_space: Any, target_space: Any
    ) -> Mapping[str, Any]:
        read = _read_space(source_space, builder.option(cls, "reads"))
        _, target = _generated_field(source_space, target_space)
        return {"generator": builder.generator("generator", read, target)}

    @property
    def has_log_prob(self) -> bool:  # type: ignore[override]
        """Whether that of the generated field exists, which is that of the target."""
        return self.generator.has_log_prob

    @property
    def num_calls(self) -> int | None:
        return self.generator.num_calls

    @property
    def generated(self) -> str:
        """The name of the field that is generated."""
        return _generated_field(self.source_space, self.target_space)[0]

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Returns the loss of the generated field."""
        return self.generator.loss(variables, keys, *self._pair(source, target), train)

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        field = self.generator.sample(variables, keys, self._read(source))
        return self._joined(source, field)

    def resample(
        self,
        variables: Variables,
        keys: jax.Array,
        source: Value,
        target: Value,
        fraction: float,
    ) -> Value:
        pair = self._pair(source, target)
        field = self.generator.resample(variables, keys, *pair, fraction)
        return self._joined(source, field)

    def log_prob(self, variables: Variables, source: Value, target: Value) -> jax.Array:
        return self.generator.log_prob(variables, *self._pair(source, target))

    def alignment(
        self, variables: Variables, source: Value, target: Value
    ) -> jax.Array | None:
        return self.generator.alignment(variables, *self._pair(source, target))

    def target_metrics(self, target: Any) -> dict[str, float]:
        """Computes those of the generated field."""
        return self.generator.target_metrics(target[self.generated])

    def finalize(
        self, variables: Variables, pairs: Iterable[tuple[Value, Value]]
    ) -> Variables:
        fields = Passes(lambda: (self._pair(*pair) for pair in pairs))
        return self.generator.finalize(variables, fields)

    def _read(self, source: Any) -> Value:
        names = self.reads or tuple(self.source_space.spaces)
        if len(names) == 1:
            return source[names[0]]
        return {name: source[name] for name in names}

    def _pair(self, source: Any, target: Any) -> tuple[Value, Value]:
        return self._read(source), target[self.generated]

    def _joined(self, source: Any, field: Value) -> Value:
        names = self.target_space.spaces
        return {n: field if n == self.generated else source[n] for n in names}


def _read_space(source_space: Record, reads: tuple[str, ...]) -> Space:
    """Returns the space of what the generator within reads."""
    fields = source_space.spaces
    if unknown := [name for name in reads if name not in fields]:
        raise ValueError(
            f"reads must name fields of the source, {', '.join(fields)}, not "
            f"{unknown[0]!r}"
        )
    names = reads or tuple(fields)
    if len(names) == 1:
        return fields[names[0]]
    return Record(tuple((name, fields[name]) for name in names))


def _generated_field(source_space: Record, target_space: Record) -> tuple[str, Field]:
    """Returns name and space of the one field of the target that is not copied."""
    fields = source_space.spaces
    left = [(n, space) for n, space in target_space.fields if fields.get(n) != space]
    if len(left) != 1:
        names = ", ".join(name for name, _ in left) or "none"
        raise ValueError(
            "needs a target of which all fields but one are in the source, and of "
            f"{target_space} {names} would be generated from {source_space}"
        )
    return left[0]
