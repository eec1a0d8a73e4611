"""Variables and loss outputs of a generator that is made of parts, by their names."""

from collections.abc import Mapping
from typing import Any

from regen_jax.interfaces import LossOutput, Variables


def merge_variables(variables: Mapping[str, Variables]) -> Variables:
    """Returns variables by collection and part, from those by part and collection."""
    collections = dict.fromkeys(name for part in variables.values() for name in part)
    return {
        name: {part: held[name] for part, held in variables.items() if name in held}
        for name in collections
    }


def part_variables(variables: Variables, part: str) -> Variables:
    """Returns the variables of one part, of those that `merge_variables` returned."""
    return {name: held[part] for name, held in variables.items() if part in held}


def merge_outputs(outputs: Mapping[str, LossOutput]) -> LossOutput:
    """Returns the sum of the parts' losses; all that they return is named `part/…`.

    Examples weigh the same in the sum, whatever their weights in the parts.
    """

    def named(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        return {f"{p}/{k}": v for p, of in entries.items() for k, v in of.items()}

    return LossOutput(
        sum(output.loss for output in outputs.values()),
        named({p: {"loss": o.loss} | o.metrics for p, o in outputs.items()}),
        named({part: output.sums for part, output in outputs.items()}),
        named({part: output.per_example for part, output in outputs.items()}),
        named({part: output.weights for part, output in outputs.items()}),
    )


def part_output(output: LossOutput, part: str) -> LossOutput:
    """Returns what one part returned, of what `merge_outputs` did."""
    prefix = f"{part}/"

    def under(entries: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name.removeprefix(prefix): value
            for name, value in entries.items()
            if name.startswith(prefix)
        }

    metrics = under(output.metrics)
    return LossOutput(
        metrics.pop("loss"),
        metrics,
        under(output.sums),
        under(output.per_example),
        under(output.weights),
    )
