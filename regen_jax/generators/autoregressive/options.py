"""The options of `autoregressive`, and which of them fit together."""

import dataclasses
from typing import Annotated

from annotated_types import Ge, Le

from regen_jax.generators.token_options import TokenOptions
from regen_jax.ranges import Natural, Rate
from regen_jax.spaces import Record


@dataclasses.dataclass(frozen=True)
class AutoregressiveOptions(TokenOptions):
    """Options of the network, of its loss and of sampling.

    Attributes:
      ctc: fraction of the loss that is the CTC loss of the encoder's output, with the
        target's tokens as labels (λ of Kim et al., arXiv 1609.06773); the blank is token
        0.
      constraint_weight: nats that a token loses in sampling for each violation of the
        target's constraints, at any temperature: step by step, the tempered
        p(target | source) is multiplied by exp(-constraint_weight · violations), before
        top-k and top-p. 0 samples from the model alone.
      beam_size: 0 samples; 1 is greedy search; more is beam search. Both searches ignore
        `temperature`, `top_k` and `top_p`.
      length_penalty: exponent of beam search; 0 compares log-probabilities, more favors
        longer sequences (Wu et al., arXiv 1609.08144, equation 14).
    """

    ctc: Rate = 0.0
    # As many nats as no sum of log-probabilities makes up for, and float32 can hold.
    constraint_weight: Annotated[float, Ge(0), Le(1_000_000)] = 0.0
    beam_size: Natural = 0
    # More is beyond float32 for long sequences.
    length_penalty: Annotated[float, Ge(0), Le(10)] = 0.0

    def __post_init__(self):
        super().__post_init__()
        target = self.target_space
        if self.ctc and not (
            self.encoder_layers and target.padded and target.depth == 1
        ):
            raise ValueError(
                f"ctc {self.ctc} needs encoder_layers of at least 1 and a padded target "
                f"one token deep, not {self.encoder_layers} and {target}"
            )
        if self.ctc and isinstance(self.source_space, Record):
            raise ValueError(
                f"ctc {self.ctc} needs a source of one field, not {self.source_space}"
            )
        if self.constraint_weight and target.constraints is None:
            raise ValueError(
                f"constraint_weight {self.constraint_weight} needs a target with "
                f"constraints, and {target} has none"
            )
        if self.constraint_weight and self.beam_size > 1:
            raise ValueError(
                f"constraint_weight {self.constraint_weight} applies to sampling, which "
                f"beam_size {self.beam_size} is not: set one of them to 0"
            )
        if self.beam_size > 1 and target.depth > 1:
            raise ValueError(
                f"beam_size {self.beam_size} needs a target one token deep, not {target}"
            )
