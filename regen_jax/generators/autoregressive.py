"""p(b | a) of tokens, one after the other."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.decoding import draw, guide
from regen_jax.interfaces import Generator, Objective, Variables
from regen_jax.networks.embeddings import drop_sources
from regen_jax.networks.transformer import Transformer
from regen_jax.spaces import Space, Tokens, zeros


@dataclasses.dataclass(frozen=True)
class Autoregressive(Generator):
    """log p(b | a) = Σ log p(b_i | b_<i, a), each factor by a causal transformer.

    Attributes:
      source: the space of a.
      target: the space of b, one token deep.
      conditioning: how a enters: `prefix` (in front of the tokens) or `cross`
        (cross-attention in every block).
      dropout: of each block's output, in training.
      drop_source: share of examples that train without a, which guidance needs.
      guidance: 1 samples p(b | a); more moves away from p(b).
      temperature, top_k, top_p: of sampling; temperature 0 is greedy.
      dtype: compute dtype; logits are float32.
      remat: recompute activations in the backward pass, to save memory.
    """

    source: Space
    target: Tokens
    width: int = 128
    num_layers: int = 4
    num_heads: int = 4
    mlp_ratio: float = 4.0
    conditioning: str = "prefix"
    dropout: float = 0.0
    drop_source: float = 0.1
    guidance: float = 1.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    dtype: str = "float32"
    remat: bool = False

    targets = (Tokens,)
    has_log_prob = True

    def __post_init__(self):
        if self.conditioning not in ("prefix", "cross"):
            raise ValueError(
                f"conditioning must be 'prefix' or 'cross', not {self.conditioning!r}"
            )
        if min(self.width, self.num_layers, self.num_heads) < 1:
            raise ValueError(
                "width, num_layers and num_heads must be at least 1, not "
                f"{self.width}, {self.num_layers} and {self.num_heads}"
            )
        if self.width % self.num_heads:
            raise ValueError(
                f"num_heads {self.num_heads} does not divide width {self.width}"
            )
        if self.target.depth > 1 or self.target.padded:
            raise ValueError(f"generates one token a position, not {self.target}")
        if self.mlp_ratio <= 0:
            raise ValueError(f"mlp_ratio must be above 0, not {self.mlp_ratio}")
        for name in ("dropout", "drop_source"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), not {getattr(self, name)}")
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(
                f"dtype must be 'float32' or 'bfloat16', not {self.dtype!r}"
            )
        if self.guidance != 1 and self.drop_source == 0:
            raise ValueError(
                f"guidance {self.guidance} needs drop_source above 0: the prediction "
                "without a source would never be trained"
            )
        if self.temperature < 0:
            raise ValueError(f"temperature must be 0 or more, not {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be 0 or more, not {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], not {self.top_p}")

    @property
    def network(self) -> Transformer:
        return Transformer(
            source=self.source,
            length=self.target.length,
            vocab=self.target.vocab,
            width=self.width,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            dropout=self.dropout,
            cross=self.conditioning == "cross",
            remat=self.remat,
            dtype=jnp.dtype(self.dtype),
        )

    def init(self, rng: jax.Array) -> Variables:
        a, b = zeros(self.source, 1), zeros(self.target, 1)
        return self.network.init(rng, a, b, jnp.zeros(1, bool))

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        a: jax.Array,
        b: jax.Array,
        train: bool,
    ) -> Objective:
        """Cross-entropy in nats a token."""
        drop = drop_sources(keys, self.drop_source, train)
        logits = self.network.apply(variables, a, b, drop, keys if train else None)
        nats = -_token_log_probs(logits, b)
        hits = jnp.argmax(logits, axis=-1) == b
        return Objective(
            loss=nats.mean(axis=1), metrics={"token_accuracy": hits.mean(axis=1)}
        )

    def log_prob(self, variables: Variables, a: jax.Array, b: jax.Array) -> jax.Array:
        logits = self.network.apply(variables, a, b, jnp.zeros(b.shape[0], bool))
        return _token_log_probs(logits, b).sum(axis=1)

    def sample(self, variables: Variables, keys: jax.Array, a: jax.Array) -> jax.Array:
        """One loop over a key-value cache; with guidance, both predictions share it."""
        batch, network = a.shape[0], self.network
        guided = self.guidance != 1
        drop = jnp.zeros(batch, bool)
        if guided:
            a, drop = jnp.concatenate([a, a]), jnp.concatenate([drop, ~drop])

        def choose(logits: jax.Array, index: jax.Array) -> jax.Array:
            if guided:
                logits = guide(logits[:batch], logits[batch:], self.guidance)
            now = jax.vmap(jax.random.fold_in, (0, None))(keys, index)
            return draw(now, logits, self.temperature, self.top_k, self.top_p)

        def advance(carry, index):
            token, caches = carry
            read = jnp.concatenate([token, token]) if guided else token
            logits, caches = network.apply(
                variables, read, index, memory, caches, method="step"
            )
            return (choose(logits, index + 1), caches), token

        logits, memory, caches = network.apply(variables, a, drop, method="prefill")
        first = choose(logits, jnp.zeros((), jnp.int32))
        steps = jnp.arange(self.target.length - 1)
        (last, _), tokens = jax.lax.scan(advance, (first, caches), steps)
        return jnp.concatenate([tokens, last[None]]).T


def _token_log_probs(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """f32[B, L]: log-probability of each token under its logits [B, L, V]."""
    log_probs = jax.nn.log_softmax(logits)
    return jnp.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
