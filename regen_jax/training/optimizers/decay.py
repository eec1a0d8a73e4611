"""Which parameters weight decay reaches."""

from regen_jax.training.named_leaves import Tree, map_named

DECAYED = frozenset({"kernel"})
"""Names of the leaves that are decayed: the matrices and filters of layers.

Biases, scales of norms, embeddings, positions and learned queries are not decayed,
however many axes they have, stacked over layers or not.
"""


def decayed(params: Tree) -> Tree:
    """Returns for each leaf of the parameters whether it is decayed."""
    return map_named(lambda name, _: name.rpartition("/")[2] in DECAYED, params)
