"""Cross-entropy of tokens, each predicted independently of the others."""

import dataclasses

import jax

from regen_jax.loss_output import masked_mean
from regen_jax.losses.interface import LossTerm, Params, TermLoss
from regen_jax.networks.token_logits import (
    accuracies,
    loss_mask,
    mask_invalid,
    token_log_probs,
    token_weights,
)
from regen_jax.spaces import Space, Tokens


@dataclasses.dataclass(frozen=True)
class CrossEntropy(LossTerm):
    """Nats per token of logits f32[B, *space.shape, vocab].

    In a padded space only the tokens of `token_logits.loss_mask` count, and every token
    weighs the same, whatever the length of its sequence.
    """

    def check(self, space: Space) -> None:
        if not isinstance(space, Tokens) or space.vocab < 2:
            raise ValueError(
                f"loss 'cross_entropy' needs Tokens of two ids or more, not {space}"
            )

    def __call__(
        self, params: Params, space: Tokens, prediction: jax.Array, target: jax.Array
    ) -> TermLoss:
        log_probs = token_log_probs(mask_invalid(space, prediction), target)
        loss = masked_mean(-log_probs, loss_mask(space, target))
        metrics = accuracies(space, prediction, target)
        return TermLoss(loss, {"reconstruction_loss": loss, **metrics})

    def example_weights(self, space: Tokens, target: jax.Array) -> dict[str, jax.Array]:
        return token_weights(space, target, ("loss", "reconstruction_loss"))
