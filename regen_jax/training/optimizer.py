"""AdamW with warm-up, cosine decay and clipping."""

import jax
import optax

from regen_jax.training.stage import StageOptions, Tree


def learning_rate(options: StageOptions) -> optax.Schedule:
    """Step to learning rate: linear warm-up, then a cosine over the remaining steps."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0 if options.warmup_steps else options.learning_rate,
        peak_value=options.learning_rate,
        warmup_steps=options.warmup_steps,
        decay_steps=max(options.steps, options.warmup_steps + 1),
        end_value=options.learning_rate * options.final_learning_rate,
    )


def optimizer(options: StageOptions) -> optax.GradientTransformation:
    """Clips the global norm, then AdamW; biases and norms are not decayed."""
    return optax.chain(
        optax.clip_by_global_norm(options.clip_norm),
        optax.adamw(
            learning_rate(options),
            b1=options.beta1,
            b2=options.beta2,
            weight_decay=options.weight_decay,
            mask=_matrices,
        ),
    )


def _matrices(params: Tree) -> Tree:
    return jax.tree.map(lambda p: p.ndim >= 2, params)
