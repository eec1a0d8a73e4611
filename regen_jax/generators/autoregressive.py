"""p(b | a) of tokens, one after the other."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.ancestral import ancestral_sampling
from regen_jax.generators.beam import Caches, Step, beam_search
from regen_jax.generators.ctc import ctc_nats
from regen_jax.generators.decoding import counted, draw, guide
from regen_jax.generators.delay import delay, undelay
from regen_jax.interfaces import Generator, Objective, Variables
from regen_jax.networks.embeddings import drop_sources
from regen_jax.networks.options import TransformerOptions
from regen_jax.networks.transformer import Transformer
from regen_jax.spaces import Array, Tokens, Value, lengths, within, zeros


@dataclasses.dataclass(frozen=True)
class Autoregressive(TransformerOptions, Generator):
    """log p(b | a) = Σ log p(b_i | b_<i, a), each factor by a causal transformer.

    Of a padded target, the 0 that ends it is predicted too, and nothing behind it. A
    target of several levels follows the delay pattern of `delay.py`; where it is padded,
    its first level ends it and no level is 0 before.

    Attributes:
      conditioning: how a enters: `prefix` (in front of the tokens) or `cross`
        (cross-attention in every block).
      encoder_layers: blocks that the source goes through before, all of it seeing all.
      source_stride: frames of an Array that become one vector, by a convolutional stem.
      ctc: share of the loss that is the CTC loss of the encoder's output, to the tokens
        of b (λ of Kim et al., arXiv 1609.06773); the blank is token 0.
      drop_source: share of examples that train without a, which guidance needs.
      guidance: 1 samples p(b | a); more moves away from p(b).
      temperature, top_k, top_p: of sampling; temperature 0 is greedy.
      beam_size: 0 samples; 1 is greedy search; more is beam search. Neither search has a
        use for the three options of sampling.
      length_penalty: of beam search, an exponent; 0 compares log-probabilities, more
        favours longer sequences (Wu et al., arXiv 1609.08144, equation 14).
    """

    target: Tokens
    conditioning: str = "prefix"
    encoder_layers: int = 0
    source_stride: int = 1
    ctc: float = 0.0
    drop_source: float = 0.1
    guidance: float = 1.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    beam_size: int = 0
    length_penalty: float = 0.0

    targets = (Tokens,)
    has_log_prob = True

    def __post_init__(self):
        super().__post_init__()
        if self.conditioning not in ("prefix", "cross"):
            raise ValueError(
                f"conditioning must be 'prefix' or 'cross', not {self.conditioning!r}"
            )
        for name in ("encoder_layers", "temperature", "top_k", "length_penalty"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.source_stride < 1:
            raise ValueError(
                f"source_stride must be at least 1, not {self.source_stride}"
            )
        frames = isinstance(self.source, Array) and len(self.source.shape) == 2
        if self.source_stride > 1 and not frames:
            raise ValueError(
                f"source_stride {self.source_stride} needs a source Array(time, "
                f"channels), not {self.source}"
            )
        for name in ("drop_source", "ctc"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), not {getattr(self, name)}")
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
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], not {self.top_p}")
        if self.beam_size < 0:
            raise ValueError(f"beam_size must be 0 or more, not {self.beam_size}")
        if self.beam_size > 1 and self.target.depth > 1:
            raise ValueError(
                f"beam_size {self.beam_size} needs a target one token deep, not "
                f"{self.target}"
            )

    @property
    def network(self) -> Transformer:
        return Transformer(
            source=self.source,
            length=self.steps,
            vocab=self.target.vocab,
            width=self.width,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            dropout=self.dropout,
            cross=self.conditioning == "cross",
            remat=self.remat,
            dtype=jnp.dtype(self.dtype),
            depth=self.target.depth,
            encoder_layers=self.encoder_layers,
            source_stride=self.source_stride,
            ctc=self.ctc > 0,
        )

    @property
    def steps(self) -> int:
        """Steps to generate b: its length, and the delay of its last level."""
        return self.target.length + self.target.depth - 1

    def init(self, rng: jax.Array) -> Variables:
        a, b = zeros(self.source, 1), self._read(zeros(self.target, 1))
        return self.network.init(rng, a, b, jnp.zeros(1, bool))

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        a: Value,
        b: jax.Array,
        train: bool,
    ) -> Objective:
        """Cross-entropy in nats a token that counts; with `ctc`, its share of CTC's.

        The CTC loss is divided by the same number of tokens. It is 0 for an example whose
        source is withheld, or too short for its tokens.
        """
        drop = drop_sources(keys, self.drop_source, train)
        result = self.network.apply(
            variables, a, self._read(b), drop, keys if train else None
        )
        logits, *frames = result if self.ctc else (result,)
        logits, counts = self._by_position(logits), counted(self.target, b)
        loss = _mean(-_token_log_probs(logits, b), counts)
        hits = jnp.argmax(logits, axis=-1) == b
        metrics = {"token_accuracy": _mean(hits, counts)}
        if counts is not None:
            right = jnp.all(hits | ~counts, axis=range(1, b.ndim))
            metrics["sequence_accuracy"] = right.astype(jnp.float32)
        if self.ctc:
            nats = ctc_nats(*frames, b, lengths(self.target, b))
            metrics["ctc_loss"] = jnp.where(drop, 0, nats / counts.sum(axis=1))
            loss = (1 - self.ctc) * loss + self.ctc * metrics["ctc_loss"]
        return Objective(loss=loss, metrics=metrics)

    def log_prob(self, variables: Variables, a: Value, b: jax.Array) -> jax.Array:
        """Exact log p(b | a), f32[B], of the target as its space means it."""
        result = self.network.apply(
            variables, a, self._read(b), jnp.zeros(b.shape[0], bool)
        )
        logits = self._by_position(result[0] if self.ctc else result)
        log_probs, counts = _token_log_probs(logits, b), counted(self.target, b)
        if counts is not None:
            log_probs = jnp.where(counts, log_probs, 0)
        return log_probs.sum(axis=range(1, b.ndim))

    def sample(self, variables: Variables, keys: jax.Array, a: Value) -> jax.Array:
        """Draws or searches over key-value caches, until every example has ended."""
        if self.beam_size > 1:
            return self._search(variables, a)
        temperature = 0.0 if self.beam_size else self.temperature

        def choose(keys: jax.Array, logits: jax.Array) -> jax.Array:
            return draw(keys, logits, temperature, self.top_k, self.top_p)

        logits, step, caches = self._predictor(variables, a)
        return ancestral_sampling(step, logits, caches, keys, self.target, choose)

    def alignment(
        self, variables: Variables, a: Value, b: jax.Array
    ) -> jax.Array | None:
        """Weights of cross-attention f32[B, L, S], a mean over heads and layers.

        S is the number of vectors of the source. None with the conditioning `prefix`.
        """
        if self.conditioning != "cross":
            return None
        drop = jnp.zeros(b.shape[0], bool)
        _, kept = self.network.apply(
            variables, a, self._read(b), drop, mutable="alignment"
        )
        weights = jnp.stack(jax.tree.leaves(kept)).mean(axis=0)
        return weights[:, : self.target.length]

    def _search(self, variables: Variables, a: Value) -> jax.Array:
        logits, step, caches = self._predictor(variables, a, self.beam_size)
        # Both predictions of guidance move together, as one row of the search.
        rows = 1 if self.guidance == 1 else 2

        def log_probs(token: jax.Array, index: jax.Array, caches: Caches) -> tuple:
            logits, caches = step(token, index, _merge(caches))
            return jax.nn.log_softmax(logits), _split(caches, rows)

        b, _ = beam_search(
            log_probs,
            jax.nn.log_softmax(logits),
            _split(caches, rows),
            size=self.beam_size,
            length=self.target.length,
            ends=self.target.padded,
            length_penalty=self.length_penalty,
        )
        return b

    def _predictor(
        self, variables: Variables, a: Value, beams: int = 1
    ) -> tuple[jax.Array, Step, Caches]:
        """First logits [B, ...], a function that reads tokens [B · beams, ...], caches.

        With guidance, adjacent rows of the caches are with the source and without.
        """
        network, rows = self.network, 1 if self.guidance == 1 else 2

        def finish(logits: jax.Array) -> jax.Array:
            if rows == 2:
                logits = guide(logits[::2], logits[1::2], self.guidance)
            return self._possible(logits)

        def step(token: jax.Array, index: jax.Array, caches: Caches) -> tuple:
            logits, caches = network.apply(
                variables, _repeat(token, rows), index, memory, caches, method="step"
            )
            return finish(logits), caches

        a = _repeat(a, rows)
        size = jax.tree.leaves(a)[0].shape[0]
        drop = jnp.arange(size) % rows == 1
        logits, memory, caches = network.apply(variables, a, drop, method="prefill")
        memory = _merge(_repeat(_split(memory, rows), beams))
        return finish(logits), step, caches

    def _read(self, b: jax.Array) -> jax.Array:
        """b as the network reads it: 0 behind its end, and delayed."""
        if self.target.padded:
            keep = within(lengths(self.target, b), self.target.length)
            b = jnp.where(keep if b.ndim == 2 else keep[..., None], b, 0)
        return b if self.target.depth == 1 else delay(b, self.target.vocab)

    def _by_position(self, logits: jax.Array) -> jax.Array:
        """Logits of every step as those of the tokens of b: [B, L, (K), V]."""
        return self._possible(logits if self.target.depth == 1 else undelay(logits))

    def _possible(self, logits: jax.Array) -> jax.Array:
        """Logits [..., K, V] without 0 in the levels of a padded target but the first."""
        if self.target.depth == 1 or not self.target.padded:
            return logits
        level, token = jnp.indices(logits.shape[-2:], sparse=True)
        return jnp.where((level > 0) & (token == 0), -jnp.inf, logits)


def _token_log_probs(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """f32[B, L]: log-probability of each token under its logits [B, L, V]."""
    log_probs = jax.nn.log_softmax(logits)
    return jnp.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]


def _mean(x: jax.Array, counts: jax.Array | None) -> jax.Array:
    """f32[B]: the mean of x [B, ...] over what counts."""
    if counts is None:
        return x.mean(axis=range(1, x.ndim))
    axes = tuple(range(1, x.ndim))
    return jnp.where(counts, x, 0).sum(axes) / counts.sum(axes)


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
