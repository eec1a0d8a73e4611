"""One update of all parameters, from the optimizers of their groups."""

import functools
import re

import optax

from regen_jax.errors import UserError
from regen_jax.training.named_leaves import Tree, map_named, named_leaves
from regen_jax.training.optimizers.interface import Optimizer

OTHERS = "others"
"""Label of the parameters that belong to no group."""


def grouped(
    optimizer: Optimizer, learning_rate: optax.Schedule
) -> optax.GradientTransformation:
    """Returns the update of all parameters: each group is clipped and updated by itself."""
    updates = {OTHERS: _update(optimizer, learning_rate, 1.0)}
    for index, group in enumerate(optimizer.groups):
        of_group = group.optimizer or optimizer
        scale = group.learning_rate_scale
        updates[str(index)] = _update(of_group, learning_rate, scale)
    return optax.partition(updates, functools.partial(group_labels, optimizer))


def group_labels(optimizer: Optimizer, params: Tree) -> Tree:
    """Returns for each leaf of the parameters the index of its group, or `OTHERS`."""

    def label(name: str, _) -> str:
        for index, group in enumerate(optimizer.groups):
            if re.search(group.pattern, name):
                return str(index)
        return OTHERS

    return map_named(label, params)


def check_groups(where: str, optimizer: Optimizer, params: Tree) -> None:
    """Raises a UserError if a group has no parameters: its pattern is mistaken."""
    labels = named_leaves(group_labels(optimizer, params))
    for index, group in enumerate(optimizer.groups):
        if str(index) not in labels.values():
            names = ", ".join(labels)
            raise UserError(
                f"{where}.groups[{index}].pattern {group.pattern!r} matches no parameter "
                f"that an earlier group has not: there are {names}"
            )


def _update(
    optimizer: Optimizer, learning_rate: optax.Schedule, scale: float
) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(optimizer.clip_norm),
        optimizer.transformation(lambda step: scale * learning_rate(step)),
    )
