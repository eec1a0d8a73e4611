"""p(target | source) of tokens that are revealed in a few calls of a network."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.masked.interfaces import MaskSchedule, Order
from regen_jax.generators.masked.masking import draw_masks
from regen_jax.generators.masked.orders.confidence import Confidence
from regen_jax.generators.masked.schedules.cosine import Cosine
from regen_jax.generators.masked.unmasking import Call, mask_impossible, unmask
from regen_jax.generators.sampling.logits import (
    classifier_free_guidance,
    sample_token,
)
from regen_jax.generators.token_network import build_network
from regen_jax.generators.token_options import TokenOptions
from regen_jax.interfaces import Generator, Key, LossOutput, Variables
from regen_jax.loss_output import masked_mean
from regen_jax.networks.embeddings import source_dropouts
from regen_jax.networks.perturbation import kept_positions, replace_tokens
from regen_jax.networks.token_logits import (
    mask_after_end,
    smoothed_log_probs,
)
from regen_jax.networks.transformer import Transformer
from regen_jax.random import fold_keys
from regen_jax.ranges import Count, Rate
from regen_jax.spaces import Record, Tokens, Value, zeros

_DROPOUT = 3
"""What an example's key is folded with; sources and masks are drawn from others."""


@dataclasses.dataclass(frozen=True)
class Masked(TokenOptions, Generator):
    """Predicts masked tokens from the others, and reveals some of them at each call.

    MaskGIT (Chang et al., arXiv 2202.04200). The transformer sees all positions. Every
    token of a stack is masked, predicted and revealed by itself. Padding is a token like
    others, predicted at every position after the end. There is no exact likelihood.
    Constraints of the target are not applied: they are on a token given those before it,
    which a masked order does not know.

    Attributes:
      schedule: how many tokens are masked, in training and in sampling.
      label_smoothing: fraction of the loss in training that is the cross-entropy of a
        uniform distribution.
      num_steps: calls of the network in sampling, no more than there are tokens.
      order: which of the masked tokens are revealed first.
      ramp_guidance: whether guidance grows linearly, from 1 at the first call to `guidance`
        at the last (Chang et al., arXiv 2301.00704, section 2.7).
    """

    schedule: MaskSchedule = dataclasses.field(default_factory=Cosine)
    label_smoothing: Rate = 0.1
    num_steps: Count = 12
    order: Order = dataclasses.field(default_factory=Confidence)
    ramp_guidance: bool = False

    sources = (*Generator.sources, Record)
    targets = (Tokens,)
    sampling = frozenset(
        {
            *("guidance", "ramp_guidance", "temperature", "top_k", "top_p"),
            *("num_steps", "order"),
        }
    )

    def __post_init__(self):
        super().__post_init__()
        self.order.check(self.target_space)

    @property
    def network(self) -> Transformer:
        return build_network(self, self.target_space.length, causal=False)

    @property
    def num_calls(self) -> int:
        return min(self.num_steps, self._num_tokens)

    @property
    def _num_tokens(self) -> int:
        return self.target_space.length * self.target_space.depth

    def init(self, rng: jax.Array) -> Variables:
        source, target = zeros(self.source_space, 1), zeros(self.target_space, 1)
        return self.network.init(rng, source, target, jnp.zeros(1, bool))

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Computes the cross-entropy of the masked tokens, in nats per token.

        How many tokens of an example are masked, and which, is drawn from its key. Every
        masked token of a batch weighs the same. With `input_noise`, some of the tokens
        that are not masked are wrong.
        """
        space = self.target_space
        inputs = target = mask_after_end(space, target)
        if train and self.input_noise:
            inputs = replace_tokens(space, keys, target, self.input_noise)
        masked = draw_masks(self.schedule, space, keys)
        predictions = self.network.apply(
            variables,
            source,
            jnp.where(masked, space.vocab, inputs),
            source_dropouts(keys, self.source_dropout, train),
            fold_keys(keys, _DROPOUT) if train else None,
        )
        logits = mask_impossible(space, predictions.logits, target, masked)
        smoothing = self.label_smoothing if train else 0.0
        nats = -smoothed_log_probs(logits, target, smoothing)
        hits = jnp.argmax(logits, axis=-1) == target
        number = masked.sum(axis=range(1, masked.ndim)).astype(jnp.float32)
        return LossOutput(
            masked_mean(nats, masked),
            {"token_accuracy": masked_mean(hits, masked)},
            weights={"loss": number, "token_accuracy": number},
        )

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> jax.Array:
        """Reveals all tokens in `num_steps` calls of the network."""
        shape = keys.shape[0], *self.target_space.shape
        tokens = jnp.full(shape, self.target_space.vocab, jnp.int32)
        return self._unmask(variables, keys, source, tokens)

    def resample(
        self,
        variables: Variables,
        keys: jax.Array,
        source: Value,
        target: jax.Array,
        fraction: float,
    ) -> jax.Array:
        """Masks that fraction of positions, and samples them given the others."""
        space = self.target_space
        positions = kept_positions(space, keys, 1 - fraction)
        if space.depth > 1:
            positions = positions[..., None]
        tokens = jnp.where(positions, mask_after_end(space, target), space.vocab)
        return self._unmask(variables, keys, source, tokens)

    def _unmask(
        self, variables: Variables, keys: jax.Array, source: Value, tokens: jax.Array
    ) -> jax.Array:
        """Samples the tokens that are masked, `target_space.vocab`, given the others."""
        # With guidance, adjacent rows are with the source and without.
        rows = 1 if self.guidance == 1 else 2
        network, drop = self.network, jnp.arange(rows * keys.shape[0]) % rows == 1
        source = jax.tree.map(lambda x: jnp.repeat(x, rows, axis=0), source)
        reading = network.apply(variables, source, drop, method="read_source")
        unstacked = network.apply(variables, method="unstack")

        def predict(tokens: jax.Array, guidance: jax.Array) -> jax.Array:
            tokens = jnp.repeat(tokens, rows, axis=0)
            logits = network.apply(
                variables, tokens, reading, None, unstacked, method="predict"
            )
            if rows == 1:
                return logits
            return classifier_free_guidance(logits[::2], logits[1::2], guidance)

        def sample_fn(keys: jax.Array, logits: jax.Array) -> jax.Array:
            return sample_token(keys, logits, self.temperature, self.top_k, self.top_p)

        space = self.target_space
        calls = self._calls()
        return unmask(predict, space, keys, tokens, calls, sample_fn, self.order)

    def _calls(self) -> Call:
        """Returns the calls of the network in sampling."""
        num_calls = self.num_calls
        index = jnp.arange(num_calls)
        first = 1.0 if self.ramp_guidance and num_calls > 1 else self.guidance
        return Call(
            index,
            jnp.asarray(self.schedule.num_masked(self._num_tokens, num_calls)),
            (index + 1) / num_calls,
            jnp.linspace(first, self.guidance, num_calls),
        )
