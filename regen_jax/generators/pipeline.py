"""X → Y′ → Y as one generator, so that a part of a pipeline can be a pipeline."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from regen_jax.generators.composite import (
    merge_outputs,
    merge_variables,
    part_output,
    part_variables,
)
from regen_jax.interfaces import (
    Abstraction,
    Generator,
    Key,
    LossOutput,
    PartBuilder,
    Passes,
    Variables,
)
from regen_jax.random import split_keys
from regen_jax.spaces import Array, Category, Record, Space, Tokens, Value


@dataclasses.dataclass(frozen=True)
class Pipeline(Generator):
    """Generates an abstraction of the target from the source, then the target from it.

    The parts train together, each as it would alone: the decoder on the abstractions of
    data. Each collection of variables holds those of the parts, by name.

    Attributes:
      source_space: space of the source.
      target_space: space of the target.
      abstraction: a rule without variables on the target, such as `mel`.
      prior: from the source to the abstraction.
      decoder: from the abstraction to the target; None is the abstraction's inverse.
    """

    source_space: Space
    target_space: Space
    abstraction: Abstraction
    prior: Generator
    decoder: Generator | None = None

    sources = (*Generator.sources, Record)
    targets = (Category, Tokens, Array)
    nested = ("abstraction", "prior", "decoder")

    def __post_init__(self):
        rule = self.abstraction
        if rule.learned or rule.runs_on_host:
            raise ValueError(
                "the abstraction of a pipeline must be a rule that runs on devices, "
                f"such as 'mel', and {type(rule).__name__} "
                + ("is learned" if rule.learned else "runs on the host")
            )
        if self.decoder is None and not rule.invertible:
            raise ValueError(
                "a pipeline without decoder needs an abstraction with an inverse, and "
                f"{type(rule).__name__} has none"
            )

    @classmethod
    def build_nested(
        cls, builder: PartBuilder, source_space: Space, target_space: Space
    ) -> Mapping[str, Any]:
        return builder.arrows(source_space, target_space)

    @property
    def parts(self) -> dict[str, Generator]:
        """The generators by name, in order."""
        decoder = {} if self.decoder is None else {"decoder": self.decoder}
        return {"prior": self.prior} | decoder

    @property
    def parametric(self) -> bool:  # type: ignore[override]
        """Whether any of its parts has parameters."""
        return any(part.parametric for part in self.parts.values())

    def init(self, rng: jax.Array) -> Variables:
        rngs = jax.random.split(rng)
        return merge_variables(
            {
                name: part.init(part_rng)
                for (name, part), part_rng in zip(
                    self.parts.items(), rngs, strict=False
                )
            }
        )

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Returns the sum of the parts' losses; all that they return is named `part/…`.

        Where two parts train together, every example weighs the same, whatever the number
        of its tokens. A part alone trains by its own weights.
        """
        target_prime = self.abstraction.encode({}, target)
        pairs = {"prior": (source, target_prime), "decoder": (target_prime, target)}
        outputs = {
            name: part.loss(
                part_variables(variables, name), part_keys, *pairs[name], train
            )
            for (name, part), part_keys in zip(
                self.parts.items(), split_keys(keys), strict=False
            )
        }
        output = merge_outputs(outputs)
        if self.decoder is None and "loss" in outputs["prior"].weights:
            output.weights["loss"] = outputs["prior"].weights["loss"]
        return output

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        prior_keys, decoder_keys = split_keys(keys)
        target_prime = self.prior.sample(
            part_variables(variables, "prior"), prior_keys, source
        )
        if self.decoder is None:
            return self.abstraction.decode({}, target_prime)
        return self.decoder.sample(
            part_variables(variables, "decoder"), decoder_keys, target_prime
        )

    def alignment(
        self, variables: Variables, source: Value, target: Value
    ) -> jax.Array | None:
        """Returns the alignment of the prior."""
        target_prime = self.abstraction.encode({}, target)
        prior = part_variables(variables, "prior")
        return self.prior.alignment(prior, source, target_prime)

    def update(
        self, variables: Variables, rng: jax.Array, objective: LossOutput
    ) -> Variables:
        rngs = jax.random.split(rng)
        return merge_variables(
            {
                name: part.update(
                    part_variables(variables, name),
                    part_rng,
                    part_output(objective, name),
                )
                for (name, part), part_rng in zip(
                    self.parts.items(), rngs, strict=False
                )
            }
        )

    def finalize(
        self, variables: Variables, pairs: Iterable[tuple[Value, Value]]
    ) -> Variables:
        encode = jax.jit(lambda target: self.abstraction.encode({}, target))

        def pairs_of(part: str, source: Value, target: Value) -> tuple[Value, Value]:
            target_prime = encode(target)
            return (source, target_prime) if part == "prior" else (target_prime, target)

        return merge_variables(
            {
                name: part.finalize(
                    part_variables(variables, name),
                    Passes(lambda name=name: (pairs_of(name, *pair) for pair in pairs)),
                )
                for name, part in self.parts.items()
            }
        )
