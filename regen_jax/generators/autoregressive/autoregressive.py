"""p(b | a) of tokens, one after the other."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.autoregressive.ancestral import ancestral_sampling
from regen_jax.generators.autoregressive.beam import Caches, Step, beam_search
from regen_jax.generators.autoregressive.ctc import ctc_nats
from regen_jax.generators.autoregressive.delay import delay, undelay
from regen_jax.generators.autoregressive.network import build_network
from regen_jax.generators.autoregressive.options import AutoregressiveOptions
from regen_jax.generators.sampling.logits import draw, guide
from regen_jax.interfaces import Generator, LossOutput, Variables
from regen_jax.networks.embeddings import source_dropouts
from regen_jax.networks.token_logits import (
    accuracies,
    counted,
    ended,
    mean_counted,
    possible,
    token_log_probs,
    token_weights,
)
from regen_jax.networks.transformer import Transformer
from regen_jax.spaces import Tokens, Value, lengths, zeros


@dataclasses.dataclass(frozen=True)
class Autoregressive(AutoregressiveOptions, Generator):
    """log p(b | a) = Σ log p(b_i | b_<i, a), each factor by a causal transformer.

    Of a padded target, the 0 that ends it is predicted too, and nothing behind it. A
    target of several levels follows the delay pattern of `delay.py`; where it is padded,
    its first level ends it and no level is 0 before.
    """

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
        return build_network(self)

    def init(self, rng: jax.Array) -> Variables:
        source, target = (
            zeros(self.source_space, 1),
            self._read(zeros(self.target_space, 1)),
        )
        return self.network.init(rng, source, target, jnp.zeros(1, bool))

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        source: Value,
        target: jax.Array,
        train: bool,
    ) -> LossOutput:
        """Cross-entropy in nats a token that counts; with `ctc`, its share of CTC's.

        Every token of a batch weighs the same, whatever the length of its text: the mean
        is what `log_prob` gives, divided by the number of tokens. The CTC loss is divided
        by the same number. It is 0 for an example whose source is withheld, or too short
        for its tokens.
        """
        drop = source_dropouts(keys, self.source_dropout, train)
        predictions = self.network.apply(
            variables, source, self._read(target), drop, keys if train else None
        )
        logits = self._by_position(predictions.logits)
        counts = counted(self.target_space, target)
        loss = mean_counted(-token_log_probs(logits, target), counts)
        metrics = accuracies(self.target_space, logits, target)
        if self.ctc:
            nats = ctc_nats(
                predictions.source_logits,
                predictions.source_mask,
                target,
                lengths(self.target_space, target),
            )
            metrics["ctc_loss"] = jnp.where(drop, 0, nats / counts.sum(axis=1))
            loss = (1 - self.ctc) * loss + self.ctc * metrics["ctc_loss"]
        weights = token_weights(self.target_space, target, ("loss", "ctc_loss"))
        return LossOutput(loss=loss, metrics=metrics, weights=weights)

    def log_prob(
        self, variables: Variables, source: Value, target: jax.Array
    ) -> jax.Array:
        """Exact log p(b | a), f32[B], of the target as its space means it."""
        predictions = self.network.apply(
            variables, source, self._read(target), jnp.zeros(target.shape[0], bool)
        )
        logits = self._by_position(predictions.logits)
        log_probs, counts = (
            token_log_probs(logits, target),
            counted(self.target_space, target),
        )
        if counts is not None:
            log_probs = jnp.where(counts, log_probs, 0)
        return log_probs.sum(axis=range(1, target.ndim))

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> jax.Array:
        """Draws or searches over key-value caches, until every example has ended."""
        if self.beam_size > 1:
            return self._search(variables, source)
        temperature = 0.0 if self.beam_size else self.temperature

        def choose(
            keys: jax.Array, logits: jax.Array, penalties: jax.Array | float
        ) -> jax.Array:
            return draw(keys, logits, temperature, self.top_k, self.top_p, penalties)

        logits, step, caches = self._predictor(variables, source)
        return ancestral_sampling(
            step,
            logits,
            caches,
            keys,
            self.target_space,
            choose,
            self.constraint_weight,
        )

    def alignment(
        self, variables: Variables, source: Value, target: jax.Array
    ) -> jax.Array | None:
        """Weights of cross-attention f32[B, L, S], a mean over heads and layers.

        S is the number of vectors of the source. None without cross-attention.
        """
        network = self.network
        if not network.conditioning.cross:
            return None
        drop = jnp.zeros(target.shape[0], bool)
        weights = network.apply(
            variables, source, self._read(target), drop, method="alignment"
        )
        return weights[:, : self.target_space.length]

    def _search(self, variables: Variables, source: Value) -> jax.Array:
        logits, step, caches = self._predictor(variables, source, self.beam_size)
        # Both predictions of guidance move together, as one row of the search.
        rows = 1 if self.guidance == 1 else 2

        def log_probs(token: jax.Array, index: jax.Array, caches: Caches) -> tuple:
            logits, caches = step(token, index, _merge(caches))
            return jax.nn.log_softmax(logits), _split(caches, rows)

        target, _ = beam_search(
            log_probs,
            jax.nn.log_softmax(logits),
            _split(caches, rows),
            size=self.beam_size,
            length=self.target_space.length,
            ends=self.target_space.padded,
            length_penalty=self.length_penalty,
        )
        return target

    def _predictor(
        self, variables: Variables, source: Value, beams: int = 1
    ) -> tuple[jax.Array, Step, Caches]:
        """First logits [B, ...], a function that reads tokens [B · beams, ...], caches.

        With guidance, adjacent rows of the caches are with the source and without.
        """
        network, rows = self.network, 1 if self.guidance == 1 else 2

        def finish(logits: jax.Array) -> jax.Array:
            if rows == 2:
                logits = guide(logits[::2], logits[1::2], self.guidance)
            return possible(self.target_space, logits)

        def step(token: jax.Array, index: jax.Array, caches: Caches) -> tuple:
            logits, caches = network.apply(
                variables, _repeat(token, rows), index, memory, caches, method="step"
            )
            return finish(logits), caches

        source = _repeat(source, rows)
        size = jax.tree.leaves(source)[0].shape[0]
        drop = jnp.arange(size) % rows == 1
        logits, memory, caches = network.apply(
            variables, source, drop, method="prefill"
        )
        memory = _merge(_repeat(_split(memory, rows), beams))
        return finish(logits), step, caches

    def _read(self, target: jax.Array) -> jax.Array:
        """B as the network reads it: 0 behind its end, and delayed."""
        target = ended(self.target_space, target)
        return (
            target
            if self.target_space.depth == 1
            else delay(target, self.target_space.vocab)
        )

    def _by_position(self, logits: jax.Array) -> jax.Array:
        """Logits of every step as those of the tokens of b: [B, L, (K), V]."""
        return possible(
            self.target_space,
            logits if self.target_space.depth == 1 else undelay(logits),
        )


def _repeat(tree: Caches, times: int) -> Caches:
    """Every row of every array `times` times, adjacent."""
    if times == 1:
        return tree
    return jax.tree.map(lambda x: jnp.repeat(x, times, axis=0), tree)


def _split(tree: Caches, rows: int) -> Caches:
    """Arrays [N · rows, ...] as [N, rows, ...]."""
    return jax.tree.map(lambda x: x.reshape(-1, rows, *x.shape[1:]), tree)


def _merge(tree: Caches) -> Caches:
    """The inverse of `_split`."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)
