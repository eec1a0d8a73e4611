"""The options of `autoregressive`, and which of them go together."""

import dataclasses
from typing import Annotated, Literal

from annotated_types import Ge, Le

from regen_jax.networks.embeddings import source_length
from regen_jax.networks.transformer_options import TransformerOptions
from regen_jax.ranges import (
    Count,
    Guidance,
    Natural,
    PositiveFraction,
    Rate,
    Temperature,
)
from regen_jax.spaces import Array, Tokens


@dataclasses.dataclass(frozen=True)
class AutoregressiveOptions(TransformerOptions):
    """Those of the network, and how the source enters and tokens are drawn.

    Attributes:
      conditioning: how the source enters: `prefix` (before the tokens), `cross`
        (cross-attention in every block), or `aligned` (added to the target position by
        position, where both keep time: the length of one divides that of the other).
      head: what scores tokens: `dense` (a layer of its own), `tied` (the table that
        embeds source and target, which must share a vocabulary and be one deep),
        `pointer` (`dense`, and tokens of the source can be copied, see
        `networks/pointer.py`) or `tied_pointer` (`tied`, likewise).
      rotary: whether self-attention sees how far apart positions are, besides where they
        are: what repeats at a distance, as in music, is learned sooner.
      encoder_layers: blocks that the source goes through before, all of it seeing all.
      source_stride: frames of an Array that become one vector, by a convolutional stem.
      ctc: share of the loss that is the CTC loss of the encoder's output, to the tokens
        of b (λ of Kim et al., arXiv 1609.06773); the blank is token 0.
      source_dropout: share of examples that train without a, which guidance needs.
      guidance: 1 samples p(b | a); more moves away from p(b).
      temperature, top_k, top_p: of sampling; temperature 0 is greedy.
      constraint_weight: nats that a token loses in sampling for each fault that the target's
        `rules` find in it, at any temperature: step by step, the tempered p(b | a) is
        multiplied by exp(-constraint_weight · faults of b), before top-k and top-p. 0 samples
        what the model says.
      beam_size: 0 samples; 1 is greedy search; more is beam search. Neither search has a
        use for the three options of sampling.
      length_penalty: of beam search, an exponent; 0 compares log-probabilities, more
        favours longer sequences (Wu et al., arXiv 1609.08144, equation 14).
    """

    target_space: Tokens
    conditioning: Literal["prefix", "cross", "aligned"] = "prefix"
    head: Literal["dense", "tied", "pointer", "tied_pointer"] = "dense"
    rotary: bool = False
    encoder_layers: Natural = 0
    source_stride: Count = 1
    ctc: Rate = 0.0
    source_dropout: Rate = 0.1
    guidance: Guidance = 1.0
    temperature: Temperature = 1.0
    top_k: Natural = 0
    top_p: PositiveFraction = 1.0
    # As many nats as no sum of log-probabilities makes up for, and float32 can hold.
    constraint_weight: Annotated[float, Ge(0), Le(1_000_000)] = 0.0
    beam_size: Natural = 0
    # More is beyond float32 for long sequences.
    length_penalty: Annotated[float, Ge(0), Le(10)] = 0.0

    def __post_init__(self):
        super().__post_init__()
        number = source_length(self.source_space, self.source_stride)
        if self.conditioning == "aligned" and (
            max(number, self.target_space.length)
            % min(number, self.target_space.length)
        ):
            raise ValueError(
                "conditioning 'aligned' needs a source that keeps time with the target: "
                f"{self.source_space} has {number} positions for {self.target_space.length}"
            )
        copies = self.head in ("pointer", "tied_pointer")
        source, target = self.source_space, self.target_space
        same_vocabulary = isinstance(source, Tokens) and (
            (source.depth, source.vocab, source.symbols)
            == (1, target.vocab, target.symbols)
        )
        if self.head != "dense" and not (
            same_vocabulary and target.depth == 1 and (source.padded or not copies)
        ):
            padded = "padded " if copies else ""
            raise ValueError(
                f"head {self.head!r} needs {padded}source Tokens of the target's "
                f"vocabulary, one deep, not {source} for {target}"
            )
        if self.rotary and self.width // self.num_heads % 2:
            raise ValueError(
                "rotary turns pairs of numbers: width / num_heads must be even, not "
                f"{self.width} / {self.num_heads}"
            )
        frames = (
            isinstance(self.source_space, Array) and len(self.source_space.shape) == 2
        )
        if self.source_stride > 1 and not frames:
            raise ValueError(
                f"source_stride {self.source_stride} needs a source Array(time, "
                f"channels), not {self.source_space}"
            )
        if self.ctc and not (
            self.encoder_layers
            and self.target_space.padded
            and self.target_space.depth == 1
        ):
            raise ValueError(
                f"ctc {self.ctc} needs encoder_layers of at least 1 and a padded target "
                f"one token deep, not {self.encoder_layers} and {self.target_space}"
            )
        if self.guidance != 1 and self.source_dropout == 0:
            raise ValueError(
                f"guidance {self.guidance} needs source_dropout above 0: the prediction "
                "without a source would never be trained"
            )
        if self.constraint_weight and self.target_space.constraints is None:
            raise ValueError(
                f"constraint_weight {self.constraint_weight} needs a target with rules, and "
                f"{self.target_space} has none"
            )
        if self.constraint_weight and self.beam_size > 1:
            raise ValueError(
                f"constraint_weight {self.constraint_weight} is of sampling, which beam_size "
                f"{self.beam_size} is not: set one of them to 0"
            )
        if self.beam_size > 1 and self.target_space.depth > 1:
            raise ValueError(
                f"beam_size {self.beam_size} needs a target one token deep, not "
                f"{self.target_space}"
            )
