"""How much arithmetic a model asks for, however it is compiled or sharded."""

import jax

from regen_jax.training.stage import Batch, Frozen, Stage, Tree


def model_flops(stage: Stage, shapes: Tree, frozen: Frozen, batch: Batch) -> float:
    """FLOPs of one training step on the batch: three times those of the loss.

    A backward pass costs about two forward ones (Kaplan et al., arXiv 2001.08361,
    section 2.1). The forward pass is counted by XLA on the program as written, before
    it is split over devices; recomputation and micro-batches do not change it.
    """
    size = jax.tree.leaves(batch)[0].shape[0]
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), size))

    def loss(variables, frozen, keys, batch):
        return stage.loss(variables, frozen, keys, batch, True).loss

    # Shapes alone: where the arrays lie does not matter.
    frozen = jax.eval_shape(lambda: frozen)
    lowered = jax.jit(loss).lower(shapes.variables, frozen, keys, batch)
    return 3.0 * lowered.cost_analysis()["flops"]
