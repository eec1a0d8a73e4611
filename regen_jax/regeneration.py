"""The three arrows composed, as pure functions.

      encode                     training only, from Y alone
Y ────────────▶ Y′
X ────────────▶ Y′               prior      needs pairs (X, Y)
Y′ ───────────▶ Y                decoder    needs Y alone

generate:   X ──prior──▶ Y′ ──decoder──▶ Y
"""

import dataclasses
from collections.abc import Mapping

import jax

from regen_jax.interfaces import Abstraction, Generator, Variables
from regen_jax.spaces import cast, checked


@dataclasses.dataclass(frozen=True)
class Regeneration:
    """X → X′ → Y′ → Y.

    `variables` holds those of each learned part, by the names of the fields.

    Attributes:
      source: X → X′; the identity unless a representation of X is wanted.
      abstraction: Y → Y′.
      prior: X′ → Y′.
      decoder: Y′ → Y; None takes the abstraction's own way back.
    """

    source: Abstraction
    abstraction: Abstraction
    prior: Generator
    decoder: Generator | None = None

    def represent(self, variables: Mapping[str, Variables], x: jax.Array) -> jax.Array:
        """x [B, …] to x′ [B, …]."""
        x = cast(self.source.y, x)
        x_prime = self.source.encode(variables.get("source", {}), x)
        return checked(self.source.y_prime, x_prime, "X′ of the source")

    def encode(self, variables: Mapping[str, Variables], y: jax.Array) -> jax.Array:
        """y [B, …] to y′ [B, …]."""
        y = cast(self.abstraction.y, y)
        y_prime = self.abstraction.encode(variables.get("abstraction", {}), y)
        return checked(self.abstraction.y_prime, y_prime, "Y′ of the abstraction")

    def decode(
        self, variables: Mapping[str, Variables], keys: jax.Array, y_prime: jax.Array
    ) -> jax.Array:
        """y′ [B, …] to y [B, …]."""
        if self.decoder is None:
            return self.abstraction.decode(variables.get("abstraction", {}), y_prime)
        return self.decoder.sample(variables["decoder"], keys, y_prime)

    def reconstruct(
        self, variables: Mapping[str, Variables], keys: jax.Array, y: jax.Array
    ) -> jax.Array:
        """y [B, …] through its abstraction and back."""
        return self.decode(variables, keys, self.encode(variables, y))

    def generate(
        self, variables: Mapping[str, Variables], keys: jax.Array, x: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Draws y′ and then y, [B, …] each, for x [B, …]; `keys` are one an example."""
        prior_keys, decoder_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        x_prime = self.represent(variables, x)
        y_prime = self.prior.sample(variables["prior"], prior_keys, x_prime)
        checked(self.abstraction.y_prime, y_prime, "Y′ of the prior")
        return y_prime, self.decode(variables, decoder_keys, y_prime)

    def log_prob(
        self, variables: Mapping[str, Variables], x: jax.Array, y: jax.Array
    ) -> jax.Array:
        """log p(y′ | x) in nats, f32[B], where the prior has it.

        It is log p(y | x) where the abstraction is lossless.
        """
        x_prime, y_prime = self.represent(variables, x), self.encode(variables, y)
        return self.prior.log_prob(variables["prior"], x_prime, y_prime)
