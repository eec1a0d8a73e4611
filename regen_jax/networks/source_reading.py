"""What a transformer has read of a source, for a whole target or for steps of decoding."""

from typing import Any, NamedTuple

import jax

from regen_jax.networks.attention import KeysValues
from regen_jax.networks.decoder_conditioning import SourceInputs
from regen_jax.networks.source_encoder import EncoderOutput


class SourceState(NamedTuple):
    """What steps of decoding read of a source.

    Attributes:
      keys_values: of each layer's cross-attention; None without it.
      mask: bool[B, S], the vectors that cross-attention attends to; None for all.
      prefix_mask, offsets: as in `SourceInputs`.
      head: what the head has read of the source.
    """

    keys_values: list[KeysValues | None]
    mask: jax.Array | None
    prefix_mask: jax.Array | None
    offsets: jax.Array | None
    head: Any


class SourceReading(NamedTuple):
    """What the predictions of a whole target read of a source.

    Attributes:
      encoded: the vectors of the source.
      inputs: what `conditioning` makes of it.
      head: what the head has read of it.
    """

    encoded: EncoderOutput
    inputs: SourceInputs
    head: Any
