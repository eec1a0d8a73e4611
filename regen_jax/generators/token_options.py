"""The options that generators of tokens by a transformer share."""

import dataclasses
import itertools
from typing import Literal

from regen_jax.networks.embeddings import field_lengths, source_length
from regen_jax.networks.picture_embedding import is_picture
from regen_jax.networks.transformer_options import TransformerOptions
from regen_jax.ranges import (
    Count,
    Guidance,
    Natural,
    PositiveFraction,
    Rate,
    Temperature,
)
from regen_jax.spaces import Array, Record, Tokens


@dataclasses.dataclass(frozen=True)
class TokenOptions(TransformerOptions):
    """Options of a network from a source to tokens, and of sampling from its logits.

    Attributes:
      conditioning: how the source enters: `prefix` (before the tokens), `cross`
        (cross-attention in every block), or `aligned` (added to the target position by
        position, where both are time-aligned: the length of one divides that of the other;
        of a Record it is one field, and the mean of the others is added to every position).
      head: what scores tokens: `dense` (a layer of its own), `tied` (the table that
        embeds source and target, which must share a vocabulary and be one deep),
        `pointer` (`dense`, and tokens of the source can be copied, see
        `networks/pointer.py`) or `tied_pointer` (`tied`, likewise).
      rotary: whether self-attention depends on distances between positions too: what
        repeats at a distance, as in music, is learned sooner.
      encoder_layers: number of blocks of full self-attention over the source.
      source_stride: frames of an Array that become one vector, by a convolutional stem.
      input_noise: probability that a token of the target is replaced by a uniform one where
        the network reads it in training, as it will read wrong ones in sampling; what is
        predicted stays (Han et al., arXiv 2412.04431, for bits).
      source_dropout: fraction of examples that train without source, which guidance
        needs.
      guidance: 1 samples p(target | source); more moves away from p(target).
      temperature: divides the logits in sampling; 0 is greedy.
      top_k: number of likeliest tokens to sample from; 0 for all.
      top_p: probability of the likeliest tokens to sample from; 1 for all.
    """

    target_space: Tokens
    conditioning: Literal["prefix", "cross", "aligned"] = "prefix"
    head: Literal["dense", "tied", "pointer", "tied_pointer"] = "dense"
    rotary: bool = False
    encoder_layers: Natural = 0
    source_stride: Count = 1
    input_noise: Rate = 0.0
    source_dropout: Rate = 0.1
    guidance: Guidance = 1.0
    temperature: Temperature = 1.0
    top_k: Natural = 0
    top_p: PositiveFraction = 1.0

    def __post_init__(self):
        super().__post_init__()
        self._check_source()
        if self.guidance != 1 and self.source_dropout == 0:
            raise ValueError(
                f"guidance {self.guidance} needs source_dropout above 0: the prediction "
                "without a source would never be trained"
            )

    @property
    def num_vectors(self) -> int:
        """Number of vectors that the source is embedded as."""
        return source_length(self.source_space, self.source_stride)

    @property
    def time_aligned_vectors(self) -> range:
        """The vectors of the source that are time-aligned with the target.

        Raises:
          ValueError: there are none, or those of more than one field may do so.
        """
        source, target = self.source_space, self.target_space
        counts = {"source": self.num_vectors}
        if isinstance(source, Record):
            counts = field_lengths(source, self.source_stride)
        ends = itertools.accumulate(counts.values())
        pictures = {n for n, s in getattr(source, "fields", ()) if is_picture(s)}
        timed = [
            range(end - number, end)
            for (name, number), end in zip(counts.items(), ends, strict=True)
            if name not in pictures and (len(counts) == 1 or number > 1)
            if max(number, target.length) % min(number, target.length) == 0
        ]
        if len(timed) != 1:
            numbers = " and ".join(map(str, counts.values()))
            field = " in one field" if isinstance(source, Record) else ""
            raise ValueError(
                f"conditioning 'aligned' needs a source that is time-aligned{field} with "
                f"the target: {source} has {numbers} positions for {target.length}"
            )
        return timed[0]

    def _check_source(self) -> None:
        source, target = self.source_space, self.target_space
        if self.conditioning == "aligned":
            _ = self.time_aligned_vectors
        copies = self.head in ("pointer", "tied_pointer")
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
                "rotary rotates pairs of numbers: width / num_heads must be even, not "
                f"{self.width} / {self.num_heads}"
            )
        fields = source.spaces.values() if isinstance(source, Record) else (source,)
        frames = [s for s in fields if isinstance(s, Array) and len(s.shape) == 2]
        if self.source_stride > 1 and not frames:
            raise ValueError(
                f"source_stride {self.source_stride} needs a source Array(time, "
                f"channels), not {source}"
            )
