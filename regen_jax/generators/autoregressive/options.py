"""The options of `autoregressive`, and which of them go together."""

import dataclasses
from typing import Annotated

from annotated_types import Ge, Le

from regen_jax.networks.embeddings import source_length
from regen_jax.networks.transformer_options import TransformerOptions
from regen_jax.ranges import (
    Count,
    Guidance,
    Natural,
    Rate,
    Share,
    Temperature,
)
from regen_jax.spaces import Array, Tokens


@dataclasses.dataclass(frozen=True)
class AutoregressiveOptions(TransformerOptions):
    """Those of the network, and how the source enters and tokens are drawn.

    Attributes:
      conditioning: how a enters: `prefix` (in front of the tokens), `cross`
        (cross-attention in every block), or `aligned` (added to b position by position,
        where both keep time: the length of one divides that of the other).
      copy: whether b may take tokens from a, which must have its vocabulary; see
        `networks/pointer.py`.
      tied: whether one table embeds the tokens of a and b, which must be of the same
        vocabulary and one deep, and scores those of b.
      rotary: whether self-attention sees how far apart positions are, besides where they
        are: what repeats at a distance, as in music, is learned sooner.
      encoder_layers: blocks that the source goes through before, all of it seeing all.
      source_stride: frames of an Array that become one vector, by a convolutional stem.
      ctc: share of the loss that is the CTC loss of the encoder's output, to the tokens
        of b (λ of Kim et al., arXiv 1609.06773); the blank is token 0.
      drop_source: share of examples that train without a, which guidance needs.
      guidance: 1 samples p(b | a); more moves away from p(b).
      temperature, top_k, top_p: of sampling; temperature 0 is greedy.
      rule_weight: nats that a token loses in sampling for each fault that the target's
        `rules` find in it, at any temperature: step by step, the tempered p(b | a) is
        multiplied by exp(-rule_weight · faults of b), before top-k and top-p. 0 samples
        what the model says.
      beam_size: 0 samples; 1 is greedy search; more is beam search. Neither search has a
        use for the three options of sampling.
      length_penalty: of beam search, an exponent; 0 compares log-probabilities, more
        favours longer sequences (Wu et al., arXiv 1609.08144, equation 14).
    """

    target: Tokens
    conditioning: str = "prefix"
    copy: bool = False
    tied: bool = False
    rotary: bool = False
    encoder_layers: Natural = 0
    source_stride: Count = 1
    ctc: Rate = 0.0
    drop_source: Rate = 0.1
    guidance: Guidance = 1.0
    temperature: Temperature = 1.0
    top_k: Natural = 0
    top_p: Share = 1.0
    # As many nats as no sum of log-probabilities makes up for, and float32 can hold.
    rule_weight: Annotated[float, Ge(0), Le(1_000_000)] = 0.0
    beam_size: Natural = 0
    # More is beyond float32 for long sequences.
    length_penalty: Annotated[float, Ge(0), Le(10)] = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.conditioning not in ("prefix", "cross", "aligned"):
            raise ValueError(
                "conditioning must be 'prefix', 'cross' or 'aligned', not "
                f"{self.conditioning!r}"
            )
        number = source_length(self.source, self.source_stride)
        if self.conditioning == "aligned" and (
            max(number, self.target.length) % min(number, self.target.length)
        ):
            raise ValueError(
                "conditioning 'aligned' needs a source that keeps time with the target: "
                f"{self.source} has {number} positions for {self.target.length}"
            )
        same = isinstance(self.source, Tokens) and (
            (self.source.depth, self.source.vocab, self.source.symbols)
            == (self.target.depth, self.target.vocab, self.target.symbols)
        )
        for name, fits in (("copy", same and self.source.padded), ("tied", same)):
            if getattr(self, name) and not (fits and self.target.depth == 1):
                padded = "padded " if name == "copy" else ""
                raise ValueError(
                    f"{name} needs {padded}source Tokens of the target's vocabulary, not "
                    f"{self.source} for {self.target}"
                )
        if self.rotary and self.width // self.num_heads % 2:
            raise ValueError(
                "rotary turns pairs of numbers: width / num_heads must be even, not "
                f"{self.width} / {self.num_heads}"
            )
        frames = isinstance(self.source, Array) and len(self.source.shape) == 2
        if self.source_stride > 1 and not frames:
            raise ValueError(
                f"source_stride {self.source_stride} needs a source Array(time, "
                f"channels), not {self.source}"
            )
        if self.ctc and not (
            self.encoder_layers and self.target.padded and self.target.depth == 1
        ):
            raise ValueError(
                f"ctc {self.ctc} needs encoder_layers of at least 1 and a padded target "
                f"one token deep, not {self.encoder_layers} and {self.target}"
            )
        if self.guidance != 1 and self.drop_source == 0:
            raise ValueError(
                f"guidance {self.guidance} needs drop_source above 0: the prediction "
                "without a source would never be trained"
            )
        if self.rule_weight and self.target.rules is None:
            raise ValueError(
                f"rule_weight {self.rule_weight} needs a target with rules, and "
                f"{self.target} has none"
            )
        if self.rule_weight and self.beam_size > 1:
            raise ValueError(
                f"rule_weight {self.rule_weight} is of sampling, which beam_size "
                f"{self.beam_size} is not: set one of them to 0"
            )
        if self.beam_size > 1 and self.target.depth > 1:
            raise ValueError(
                f"beam_size {self.beam_size} needs a target one token deep, not "
                f"{self.target}"
            )
