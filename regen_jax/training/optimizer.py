"""AdamW with warm-up, cosine decay and clipping."""

import jax
import optax

from regen_jax.training.stage import StageOptions, Tree

DECAYED = frozenset({"kernel"})
"""Names of the leaves that are decayed: the matrices and filters of layers.

Biases, scales of norms, embeddings, positions and learned queries are not decayed,
however many axes they have, stacked over layers or not.
"""


def learning_rate(options: StageOptions) -> optax.Schedule:
    """Step, from 0, to learning rate: linear warm-up, then a cosine to the last step.

    The step s of w warm-up steps has (s + 1) / w of the peak, so that none has a rate of 0.
    """
    warmup_steps = round(options.warmup * options.steps)
    return optax.warmup_cosine_decay_schedule(
        init_value=options.learning_rate / max(warmup_steps, 1),
        peak_value=options.learning_rate,
        warmup_steps=max(warmup_steps - 1, 0),
        decay_steps=options.steps,
        end_value=options.learning_rate * options.final_learning_rate,
    )


def optimizer(options: StageOptions) -> optax.GradientTransformation:
    """Returns AdamW with clipping of the global norm; only `DECAYED` leaves decay."""
    return optax.chain(
        optax.clip_by_global_norm(options.clip_norm),
        optax.adamw(
            learning_rate(options),
            b1=options.beta1,
            b2=options.beta2,
            weight_decay=options.weight_decay,
            mask=decayed,
        ),
    )


def decayed(params: Tree) -> Tree:
    """Returns for each leaf of the parameters whether it is decayed."""

    def rule(path: tuple, _: jax.Array) -> bool:
        names = jax.tree_util.keystr(path, simple=True, separator="/")
        return names.rpartition("/")[2] in DECAYED

    return jax.tree_util.tree_map_with_path(rule, params)
