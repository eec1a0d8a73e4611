"""The chain-rule bound against sums over every Y′ of a tiny vocabulary."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.identity import Identity
from regen_jax.interfaces import Abstraction, Generator, LossOutput
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Category, Tokens

VOCAB = 3
X, Y = Category(2), Tokens(2, VOCAB)
EVERY_Y = jnp.array(list(itertools.product(range(VOCAB), repeat=2)))


@dataclasses.dataclass(frozen=True)
class First(Abstraction):
    """A sequence as its first token."""

    input_space: Tokens

    @property
    def output_space(self) -> Tokens:
        return Tokens(1, self.input_space.vocab)

    def encode(self, variables, y):
        return y[:, :1]


@dataclasses.dataclass(frozen=True)
class Table(Generator):
    """A table of p(target | source) in its variables."""

    source_space: Category | Tokens
    target_space: Tokens

    targets = (Tokens,)
    has_log_prob = True

    def init(self, rng):
        raise NotImplementedError

    def loss(self, variables, keys, a, b, train) -> LossOutput:
        raise NotImplementedError

    def sample(self, variables, keys, a):
        raise NotImplementedError

    def log_prob(self, variables, a, b):
        row = a.reshape(len(a), -1)[:, 0]
        column = b @ VOCAB ** jnp.arange(b.shape[1])[::-1]
        return jnp.log(variables["p"])[row, column]


def table(rows: int, columns: int, seed: int) -> dict[str, jax.Array]:
    p = np.random.default_rng(seed).dirichlet(np.ones(columns), rows)
    return {"p": jnp.asarray(p)}


WHOLE = Regeneration(
    Identity(X), First(Y), Table(X, Tokens(1, VOCAB)), Table(Tokens(1, VOCAB), Y)
)
BATCH = {"x": jnp.ones(len(EVERY_Y), int), "y": EVERY_Y}


def exact(prior, decoder) -> np.ndarray:
    """p(y | x = 1) of every y, by the sum over y′."""
    return np.asarray(prior["p"][1] @ decoder["p"])


def test_bound_is_below_the_exact_likelihood_of_any_decoder():
    prior, decoder = table(2, VOCAB, 0), table(VOCAB, VOCAB**2, 1)
    bound = WHOLE.bound({"prior": prior, "decoder": decoder}, BATCH)
    p = exact(prior, decoder)
    assert p.sum() == pytest.approx(1, rel=1e-6)
    assert np.all(np.exp(bound) < p)
    # What it lacks is the share of the other y′.
    others = [
        sum(prior["p"][1, k] * decoder["p"][k, i] for k in range(VOCAB) if k != y[0])
        for i, y in enumerate(EVERY_Y.tolist())
    ]
    np.testing.assert_allclose(np.exp(bound) + np.array(others), p, rtol=1e-5)


def test_bound_is_exact_where_y_determines_its_y_prime():
    prior, decoder = table(2, VOCAB, 2), table(VOCAB, VOCAB**2, 3)
    own = EVERY_Y[:, 0] == jnp.arange(VOCAB)[:, None]
    p = jnp.where(own, decoder["p"], 0)
    decoder = {"p": p / p.sum(axis=1, keepdims=True)}
    bound = WHOLE.bound({"prior": prior, "decoder": decoder}, BATCH)
    np.testing.assert_allclose(np.exp(bound), exact(prior, decoder), rtol=1e-5)
    assert np.exp(bound).sum() == pytest.approx(1, rel=1e-5)


def test_bound_of_a_direct_model_is_its_likelihood():
    direct = Regeneration(Identity(X), Identity(Y), Table(X, Y))
    variables = {"prior": table(2, VOCAB**2, 4)}
    np.testing.assert_allclose(
        np.exp(direct.bound(variables, BATCH)), variables["prior"]["p"][1], rtol=1e-6
    )
    assert direct.has_bound and WHOLE.has_bound
    assert not dataclasses.replace(WHOLE, decoder=None).has_bound
