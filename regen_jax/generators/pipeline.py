"""X → Y′ → Y as one generator, so that a part of a pipeline can be a pipeline."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax

from regen_jax.config.assembly import join_arrows
from regen_jax.config.registry import require_section
from regen_jax.errors import UserError
from regen_jax.interfaces import Abstraction, Generator, LossOutput, Variables
from regen_jax.spaces import Array, Category, Space, Tokens, Value

_SECTIONS = ("abstraction", "prior", "decoder")


@dataclasses.dataclass(frozen=True)
class Pipeline(Generator):
    """p(b | a) = E p(b | b′) p(b′ | a), for a rule b → b′; its parts train together.

    Each collection of variables holds those of the parts, by name. Each part trains as
    it would alone: the decoder on b′ of the data.

    Attributes:
      source: the space of a.
      target: the space of b.
      abstraction: b → b′, a rule without variables such as `mel`.
      prior: a → b′.
      decoder: b′ → b; None takes the abstraction's own way back.
    """

    source_space: Space
    target_space: Space
    abstraction: Abstraction
    prior: Generator
    decoder: Generator | None = None

    targets = (Category, Tokens, Array)

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
                f"a pipeline without decoder needs the way back that "
                f"{type(rule).__name__} lacks"
            )

    @classmethod
    def join(
        cls,
        section: Mapping[str, Any],
        where: str,
        source_space: Space,
        target_space: Space,
    ) -> Self:
        """The pipeline that a section of a config with sections of its own makes.

        Raises:
          UserError: sections are missing or unknown, or parts do not fit.
        """
        unknown = sorted(set(section) - {"name", *_SECTIONS})
        missing = [name for name in _SECTIONS if name not in section]
        if unknown or missing:
            what = f"has unknown {unknown}" if unknown else f"lacks {missing}"
            raise UserError(f"{where} {what}; it needs {', '.join(_SECTIONS)}")
        for name in _SECTIONS:
            require_section(section[name], f"{where}.{name}")
        arrows = join_arrows(section, where, source_space, target_space, "its target")
        try:
            return cls(source_space, target_space, *arrows)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error

    @property
    def parts(self) -> dict[str, Generator]:
        parts = {"prior": self.prior, "decoder": self.decoder}
        return {name: part for name, part in parts.items() if part is not None}

    def init(self, rng: jax.Array) -> Variables:
        rngs = jax.random.split(rng)
        made = {
            name: part.init(rng)
            for (name, part), rng in zip(self.parts.items(), rngs, strict=False)
        }
        return _by_collection(made)

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        source: Value,
        target: Value,
        train: bool,
    ) -> LossOutput:
        """The sum of the parts' losses; what else they return is named `part/…`.

        Where two parts train together, every example weighs the same, whatever the number
        of its tokens. A part alone trains by its own weights.
        """
        b_prime = self.abstraction.encode({}, target)
        pairs = {"prior": (source, b_prime), "decoder": (b_prime, target)}
        found = {
            name: part.loss(_of(variables, name), part_keys, *pairs[name], train)
            for (name, part), part_keys in zip(
                self.parts.items(), _split(keys), strict=False
            )
        }
        losses = {name: {"loss": objective.loss} for name, objective in found.items()}
        weights = _flat({name: objective.weights for name, objective in found.items()})
        if len(found) == 1 and "prior/loss" in weights:
            weights["loss"] = weights["prior/loss"]
        return LossOutput(
            sum(objective.loss for objective in found.values()),
            _flat(losses) | _flat({n: o.metrics for n, o in found.items()}),
            _flat({name: objective.sums for name, objective in found.items()}),
            _flat({name: objective.per_example for name, objective in found.items()}),
            weights,
        )

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        prior_keys, decoder_keys = _split(keys)
        b_prime = self.prior.sample(_of(variables, "prior"), prior_keys, source)
        if self.decoder is None:
            return self.abstraction.decode({}, b_prime)
        return self.decoder.sample(_of(variables, "decoder"), decoder_keys, b_prime)

    def alignment(
        self, variables: Variables, source: Value, target: Value
    ) -> jax.Array | None:
        """Where the prior looks."""
        b_prime = self.abstraction.encode({}, target)
        return self.prior.alignment(_of(variables, "prior"), source, b_prime)

    def update(
        self, variables: Variables, rng: jax.Array, objective: LossOutput
    ) -> Variables:
        updated = {}
        rngs = jax.random.split(rng)
        for (name, part), part_rng in zip(self.parts.items(), rngs, strict=False):
            metrics, *others = (
                _under(name, found)
                for found in (
                    objective.metrics,
                    objective.sums,
                    objective.per_example,
                    objective.weights,
                )
            )
            own = LossOutput(metrics.pop("loss"), metrics, *others)
            updated[name] = part.update(_of(variables, name), part_rng, own)
        return _by_collection(updated)


def _split(keys: jax.Array) -> jax.Array:
    """Two keys of each example's one: [2, B]."""
    return jax.vmap(jax.random.split, out_axes=1)(keys)


def _of(variables: Variables, name: str) -> Variables:
    """The variables of one part."""
    return {kind: held[name] for kind, held in variables.items() if name in held}


def _by_collection(variables: Mapping[str, Variables]) -> Variables:
    """Variables by collection and part, from those by part and collection."""
    kinds = dict.fromkeys(kind for held in variables.values() for kind in held)
    return {
        kind: {name: held[kind] for name, held in variables.items() if kind in held}
        for kind in kinds
    }


def _flat(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        f"{name}/{key}": value
        for name, of in found.items()
        for key, value in of.items()
    }


def _under(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Of entries named `part/…` those of one part, by the names it gave them."""
    prefix = f"{name}/"
    return {
        key.removeprefix(prefix): value
        for key, value in found.items()
        if key.startswith(prefix)
    }
