"""p(target | source) of tokens, one after another."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.autoregressive.ancestral import Kept, ancestral_sampling
from regen_jax.generators.autoregressive.beam import beam_search
from regen_jax.generators.autoregressive.ctc import ctc_nats
from regen_jax.generators.autoregressive.decoding import Caches, Step
from regen_jax.generators.autoregressive.delay import delay, undelay
from regen_jax.generators.autoregressive.options import AutoregressiveOptions
from regen_jax.generators.sampling.logits import (
    classifier_free_guidance,
    sample_token,
)
from regen_jax.generators.token_network import build_network
from regen_jax.interfaces import Generator, Key, LossOutput, Variables
from regen_jax.loss_output import masked_mean
from regen_jax.networks.embeddings import source_dropouts
from regen_jax.networks.perturbation import kept_positions, replace_tokens
from regen_jax.networks.token_logits import (
    accuracies,
    loss_mask,
    mask_after_end,
    mask_invalid,
    token_log_probs,
    token_weights,
)
from regen_jax.networks.transformer import Predictions, Transformer
from regen_jax.spaces import Record, Tokens, Value, lengths, zeros


@dataclasses.dataclass(frozen=True)
class Autoregressive(AutoregressiveOptions, Generator):
    """Factors log p(target | source) = Σ log p(target_i | target_<i, source).

    Each factor is predicted by a causal transformer. The 0 that ends a padded target is
    predicted too, and nothing after it. A target of several levels follows the delay
    pattern of `delay.py`; if padded, its first level ends it and no level is 0 before.
    """

    sources = (*Generator.sources, Record)
    targets = (Tokens,)
    has_log_prob = True
    sampling = frozenset(
        {
            *("guidance", "temperature", "top_k", "top_p", "constraint_weight"),
            *("beam_size", "length_penalty"),
        }
    )

    @property
    def network(self) -> Transformer:
        return build_network(self, self._num_steps, ctc=self.ctc > 0)

    @property
    def num_calls(self) -> int | None:
        return None if self.target_space.padded else self._num_steps

    @property
    def _num_steps(self) -> int:
        # The last level of a stack comes `depth - 1` steps after the first.
        return self.target_space.length + self.target_space.depth - 1

    def init(self, rng: jax.Array) -> Variables:
        source, target = zeros(self.source_space, 1), zeros(self.target_space, 1)
        drop = jnp.zeros(1, bool)
        return self.network.init(rng, source, self._network_target(target), drop)

    def loss(
        self,
        variables: Variables,
        keys: Key,
        source: Value,
        target: jax.Array,
        train: bool,
    ) -> LossOutput:
        """Computes the cross-entropy in nats per token.

        Every token of a batch weighs the same, whatever the length of its text: the mean
        is what `log_prob` gives, divided by the number of tokens. With `ctc`, that
        fraction of the loss is the CTC loss, divided by the same number. It is 0 for an
        example whose source is withheld, or too short for its tokens. With `input_noise`,
        the network reads some wrong tokens before those that it predicts.
        """
        drop = source_dropouts(keys, self.source_dropout, train)
        inputs = target
        if train and self.input_noise:
            inputs = replace_tokens(self.target_space, keys, target, self.input_noise)
        predictions = self._predict(
            variables, source, inputs, drop, keys if train else None
        )
        logits, mask = predictions.logits, loss_mask(self.target_space, target)
        loss = masked_mean(-token_log_probs(logits, target), mask)
        metrics = accuracies(self.target_space, logits, target)
        if self.ctc:
            nats = ctc_nats(
                predictions.source_logits,
                predictions.source_mask,
                target,
                lengths(self.target_space, target),
            )
            metrics["ctc_loss"] = jnp.where(drop, 0, nats / mask.sum(axis=1))
            loss = (1 - self.ctc) * loss + self.ctc * metrics["ctc_loss"]
        weights = token_weights(self.target_space, target, ("loss", "ctc_loss"))
        return LossOutput(loss=loss, metrics=metrics, weights=weights)

    def log_prob(
        self, variables: Variables, source: Value, target: jax.Array
    ) -> jax.Array:
        """Computes log p(target | source) exactly, f32[B]; padding has no part in it."""
        drop = jnp.zeros(target.shape[0], bool)
        logits = self._predict(variables, source, target, drop).logits
        log_probs = token_log_probs(logits, target)
        mask = loss_mask(self.target_space, target)
        if mask is not None:
            log_probs = jnp.where(mask, log_probs, 0)
        return log_probs.sum(axis=range(1, target.ndim))

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> jax.Array:
        """Samples or searches with key-value caches, until every example has ended."""
        if self.beam_size > 1:
            return self._search(variables, source)
        return self._sample(variables, keys, source)

    def resample(
        self,
        variables: Variables,
        keys: jax.Array,
        source: Value,
        target: jax.Array,
        fraction: float,
    ) -> jax.Array:
        """Samples token by token, each given the tokens before it, true or sampled.

        A beam search of more than one is a greedy one here.
        """
        space = self.target_space
        positions = kept_positions(space, keys, 1 - fraction)
        tokens = mask_after_end(space, target)
        if space.depth == 1:
            kept = Kept(positions, tokens)
        else:
            stacks = jnp.broadcast_to(positions[..., None], tokens.shape)
            kept = Kept(delay(stacks, False), delay(tokens, space.vocab))
        return self._sample(variables, keys, source, kept)

    def _sample(
        self,
        variables: Variables,
        keys: jax.Array,
        source: Value,
        kept: Kept | None = None,
    ) -> jax.Array:
        """Samples token by token, but for those that are kept; greedily for a search."""
        temperature = 0.0 if self.beam_size else self.temperature

        def sample_fn(
            keys: jax.Array, logits: jax.Array, penalties: jax.Array | float
        ) -> jax.Array:
            return sample_token(
                keys, logits, temperature, self.top_k, self.top_p, penalties
            )

        logits, step, caches = self._prefill(variables, source)
        return ancestral_sampling(
            step,
            logits,
            caches,
            keys,
            self.target_space,
            sample_fn,
            self.constraint_weight,
            kept,
        )

    def alignment(
        self, variables: Variables, source: Value, target: jax.Array
    ) -> jax.Array | None:
        """Returns the weights of cross-attention, averaged over heads and layers.

        They are f32[B, L, S], for the S vectors of the source; None without
        cross-attention.
        """
        network = self.network
        if not network.conditioning.cross:
            return None
        drop = jnp.zeros(target.shape[0], bool)
        target = self._network_target(target)
        weights = network.apply(variables, source, target, drop, method="alignment")
        return weights[:, : self.target_space.length]

    def _search(self, variables: Variables, source: Value) -> jax.Array:
        """Returns the best target of beam search, i32[B, L]."""
        logits, step, caches = self._prefill(variables, source, self.beam_size)
        # Both predictions of guidance move together, as one row of the search.
        rows = self._rows

        def log_prob_step(token: jax.Array, index: jax.Array, caches: Caches) -> tuple:
            logits, caches = step(token, index, _merge(caches))
            return jax.nn.log_softmax(logits), _split(caches, rows)

        target, _ = beam_search(
            log_prob_step,
            jax.nn.log_softmax(logits),
            _split(caches, rows),
            size=self.beam_size,
            length=self.target_space.length,
            ends=self.target_space.padded,
            length_penalty=self.length_penalty,
        )
        return target

    @property
    def _rows(self) -> int:
        """Rows per example: one with the source, and with guidance one without."""
        return 1 if self.guidance == 1 else 2

    def _prefill(
        self, variables: Variables, source: Value, beams: int = 1
    ) -> tuple[jax.Array, Step, Caches]:
        """Returns the first logits [B, ...], a step of B · beams rows, and caches.

        With guidance, adjacent rows of the caches are with the source and without.
        """
        network, rows = self.network, self._rows

        def guided(logits: jax.Array) -> jax.Array:
            if rows == 2:
                logits = classifier_free_guidance(
                    logits[::2], logits[1::2], self.guidance
                )
            return mask_invalid(self.target_space, logits)

        def step(token: jax.Array, index: jax.Array, caches: Caches) -> tuple:
            token = _repeat(token, rows)
            logits, caches = network.apply(
                variables, token, index, source_state, caches, unstacked, method="step"
            )
            return guided(logits), caches

        unstacked = network.apply(variables, method="unstack")
        source = _repeat(source, rows)
        size = jax.tree.leaves(source)[0].shape[0]
        drop = jnp.arange(size) % rows == 1
        logits, source_state, caches = network.apply(
            variables, source, drop, method="prefill"
        )
        source_state = _merge(_repeat(_split(source_state, rows), beams))
        return guided(logits), step, caches

    def _predict(
        self,
        variables: Variables,
        source: Value,
        target: jax.Array,
        drop: jax.Array,
        keys: jax.Array | None = None,
    ) -> Predictions:
        """Returns predictions whose logits are those of the target's tokens."""
        predictions = self.network.apply(
            variables, source, self._network_target(target), drop, keys
        )
        logits = predictions.logits
        logits = logits if self.target_space.depth == 1 else undelay(logits)
        return predictions._replace(logits=mask_invalid(self.target_space, logits))

    def _network_target(self, target: jax.Array) -> jax.Array:
        """Returns the target as the network reads it: 0 after its end, and delayed."""
        target = mask_after_end(self.target_space, target)
        if self.target_space.depth == 1:
            return target
        return delay(target, self.target_space.vocab)


def _repeat(tree: Caches, times: int) -> Caches:
    """Repeats every row of every array, copies side by side."""
    if times == 1:
        return tree
    return jax.tree.map(lambda x: jnp.repeat(x, times, axis=0), tree)


def _split(tree: Caches, rows: int) -> Caches:
    """Reshapes arrays [N · rows, ...] to [N, rows, ...]."""
    return jax.tree.map(lambda x: x.reshape(-1, rows, *x.shape[1:]), tree)


def _merge(tree: Caches) -> Caches:
    """Inverts `_split`."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)
