"""The three arrows composed, as pure functions.

      encode                     training only, from Y alone
Y ────────────▶ Y′
X ────────────▶ Y′               prior      needs pairs (X, Y)
Y′ ───────────▶ Y                decoder    needs Y alone

generate:   X ──prior──▶ Y′ ──decoder──▶ Y
"""

import dataclasses
import functools

import jax

from regen_jax.interfaces import (
    Abstraction,
    Example,
    Generator,
    RunVariables,
    Variables,
)
from regen_jax.random import split_keys
from regen_jax.spaces import Value, check, to_dtype


@dataclasses.dataclass(frozen=True)
class Regeneration:
    """X → X′ → Y′ → Y.

    `variables` holds those of each learned part, by the names of the fields, and as
    `finetune` those of a decoder that trained on Y′ of the prior. A batch has `x` or `y`
    [B, …], or `x_prime` or `y_prime` of a rule that ran on the host.

    Attributes:
      source: X → X′; the identity unless a representation of X is wanted.
      abstraction: Y → Y′.
      prior: X′ → Y′.
      decoder: Y′ → Y; None takes the inverse of the abstraction.
    """

    source: Abstraction
    abstraction: Abstraction
    prior: Generator
    decoder: Generator | None = None

    def represent(self, variables: RunVariables, batch: Example) -> Value:
        """Computes x′ [B, …] of a batch."""
        return _abstracted(self.source, variables.get("source", {}), batch, "x")

    def encode(self, variables: RunVariables, batch: Example) -> Value:
        """Computes y′ [B, …] of a batch."""
        abstraction_variables = variables.get("abstraction", {})
        return _abstracted(self.abstraction, abstraction_variables, batch, "y")

    def prompt(self, batch: Example) -> Example:
        """Returns the part of a batch that `generate` reads; no more is sent to devices."""
        name = "x_prime" if self.source.runs_on_host else "x"
        return {name: batch[name]}

    def reference(self, batch: Example) -> Example:
        """Returns the part of a batch that `encode` reads."""
        name = "y_prime" if self.abstraction.runs_on_host else "y"
        return {name: batch[name]}

    def decode(self, variables: RunVariables, keys: jax.Array, y_prime: Value) -> Value:
        """Maps y′ [B, …] to y [B, …], by the decoder or the inverse of the abstraction."""
        if "finetune" in variables and self.trainable_decoder is not None:
            decoder_variables = variables["finetune"]
            return _sample(self.trainable_decoder, decoder_variables, keys, y_prime)
        if self.decoder is None:
            return _decode(self.abstraction, variables.get("abstraction", {}), y_prime)
        return _sample(self.decoder, variables["decoder"], keys, y_prime)

    @property
    def trainable_decoder(self) -> Generator | None:
        """The decoder Y′ → Y as a generator; None where it is a rule."""
        return self.abstraction.decoder if self.decoder is None else self.decoder

    def reconstruct(
        self, variables: RunVariables, keys: jax.Array, batch: Example
    ) -> Value:
        """Maps y [B, …] to y′ and back."""
        return self.decode(variables, keys, self.encode(variables, batch))

    def generate(
        self, variables: RunVariables, keys: jax.Array, batch: Example
    ) -> tuple[Value, Value]:
        """Draws y′ and then y, [B, …] each, for the x of a batch; one key per example."""
        prior_keys, decoder_keys = split_keys(keys)
        x_prime = self.represent(variables, batch)
        y_prime = _sample(self.prior, variables["prior"], prior_keys, x_prime)
        check(self.abstraction.output_space, y_prime, "Y′ of the prior")
        return y_prime, self.decode(variables, decoder_keys, y_prime)

    def regenerate(
        self,
        variables: RunVariables,
        keys: jax.Array,
        batch: Example,
        fraction: float,
    ) -> Value:
        """Draws y′ [B, …] of which the prior generates a fraction of positions.

        The others are those of the y′ of the batch; see `Generator.resample`. With 1 it is
        that of `generate`, for the keys of the prior.
        """
        prior, x_prime = self.prior, self.represent(variables, batch)
        if fraction == 1:
            return _sample(prior, variables["prior"], keys, x_prime)
        y_prime = self.encode(variables, batch)
        return prior.resample(variables["prior"], keys, x_prime, y_prime, fraction)

    def log_prob(self, variables: RunVariables, batch: Example) -> jax.Array:
        """Computes log p(y′ | x) in nats, f32[B]; only where the prior has it.

        It is log p(y | x) where the abstraction is lossless.
        """
        x_prime = self.represent(variables, batch)
        y_prime = self.encode(variables, batch)
        return self.prior.log_prob(variables["prior"], x_prime, y_prime)

    @property
    def has_bound(self) -> bool:
        """Whether `bound` exists."""
        if self.decoder is None:
            return self.prior.has_log_prob and self.abstraction.lossless
        return self.prior.has_log_prob and self.decoder.has_log_prob

    def bound(self, variables: RunVariables, batch: Example) -> jax.Array:
        """Computes log p(y′ | x) + log p(y | y′) in nats, f32[B], for the y′ of y.

        By the chain rule it is log p(y, y′ | x), where y′ is a function of y: at most
        log p(y | x), which sums over every y′, and equal to it where no other y′ can
        give y. Of a lossless abstraction it is log p(y | x) itself.
        """
        bound = self.log_prob(variables, batch)
        if self.decoder is not None:
            y = to_dtype(self.decoder.target_space, batch["y"])
            y_prime = self.encode(variables, batch)
            decoder_variables = variables.get("finetune", variables["decoder"])
            bound += self.decoder.log_prob(decoder_variables, y_prime, y)
        return bound


# Each is traced once, and then shared by training, evaluation and every pipeline of the
# part.


@functools.partial(jax.jit, static_argnums=0)
def _encode(abstraction: Abstraction, variables: Variables, y: Value) -> Value:
    return abstraction.encode(variables, y)


@functools.partial(jax.jit, static_argnums=0)
def _decode(abstraction: Abstraction, variables: Variables, y_prime: Value) -> Value:
    return abstraction.decode(variables, y_prime)


@functools.partial(jax.jit, static_argnums=0)
def _sample(
    generator: Generator, variables: Variables, keys: jax.Array, source: Value
) -> Value:
    return generator.sample(variables, keys, source)


def _abstracted(
    abstraction: Abstraction, variables: Variables, batch: Example, name: str
) -> Value:
    space = abstraction.output_space
    if abstraction.runs_on_host:
        value = to_dtype(space, batch[f"{name}_prime"])
    else:
        y = to_dtype(abstraction.input_space, batch[name])
        value = _encode(abstraction, variables, y)
    return check(space, value, f"{name}′ of {type(abstraction).__name__}")
