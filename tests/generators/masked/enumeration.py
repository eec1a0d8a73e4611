"""The exact distribution of samples of a masked model, by enumeration in NumPy.

A state is a tuple of all tokens, levels of a position side by side, MASK where masked.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.masked.masked import Masked
from regen_jax.generators.masked.orders.halton import Halton, halton_order
from regen_jax.spaces import Tokens
from tests.generators.autoregressive.padded_models import all_targets

State = tuple[int, ...]


def targets_of(space: Tokens) -> np.ndarray:
    """All values of a space as states, i32[number, tokens]."""
    if space.padded:
        return all_targets(space).reshape(-1, space.length * space.depth)
    number = space.length * space.depth
    return np.array(list(itertools.product(range(space.vocab), repeat=number)))


def states_of(space: Tokens) -> list[State]:
    """All states that a value of the space can be masked to."""
    masks = itertools.product([False, True], repeat=space.length * space.depth)
    targets = targets_of(space)
    return sorted(
        {
            tuple(state)
            for mask in masks
            for state in np.where(mask, space.vocab, targets).tolist()
        }
    )


def possible_tokens(space: Tokens, state: State) -> np.ndarray:
    """Which tokens values that agree with a state have, bool[tokens, V]."""
    targets, known = targets_of(space), np.array(state) < space.vocab
    agreeing = targets[np.all((targets == state) | ~known, axis=1)]
    return (agreeing[..., None] == np.arange(space.vocab)).any(axis=0)


@functools.partial(jax.jit, static_argnums=0)
def network_logits(model: Masked, variables, source, tokens, drop) -> jax.Array:
    predictions = model.network.apply(variables, source, tokens, drop)
    return predictions.logits.reshape(len(tokens), -1, model.target_space.vocab)


class Enumeration:
    """Guided predictions of a model at every state, given one source."""

    def __init__(self, model: Masked, variables, source):
        self.model, self.space = model, model.target_space
        states = states_of(self.space)
        tokens = jnp.array(states).reshape(-1, *self.space.shape)
        sources = jnp.broadcast_to(source, (len(states), *source.shape))

        def logits(drop: bool) -> np.ndarray:
            drops = jnp.full(len(states), drop)
            logits = network_logits(model, variables, sources, tokens, drops)
            return np.float64(logits)

        self.logits = dict(
            zip(states, zip(logits(False), logits(True), strict=True), strict=True)
        )

    def probabilities(self, state: State, guidance: float) -> np.ndarray:
        """Probabilities of tokens without temperature and top-k, f64[tokens, V]."""
        conditional, unconditional = self.logits[state]
        guided = guidance * conditional + (1 - guidance) * unconditional
        weights = np.exp(guided - guided.max(axis=1, keepdims=True))
        weights = np.where(possible_tokens(self.space, state), weights, 0)
        return weights / weights.sum(axis=1, keepdims=True)

    def candidates(self, p: np.ndarray) -> np.ndarray:
        """Probabilities with which each candidate is sampled, f64[tokens, V]."""
        p = p ** (1 / self.model.temperature)
        if self.model.top_k:
            lowest = np.sort(p, axis=1)[:, -self.model.top_k][:, None]
            p = np.where(p >= lowest, p, 0)
        return p / p.sum(axis=1, keepdims=True)

    def distribution(
        self, num_masked: list[int], start: State | None = None
    ) -> dict[State, float]:
        """Probability of each sample, by the number of tokens masked after each call.

        All tokens are masked at first, or those of `start`.
        """
        calls, guidance = len(num_masked), self.model.guidance
        all_masked = (self.space.vocab,) * len(next(iter(self.logits)))
        reached = {all_masked if start is None else start: 1.0}
        for call, remaining in enumerate(num_masked):
            if self.model.ramp_guidance:
                scale = 1 + (guidance - 1) * call / (calls - 1)
            else:
                scale = guidance
            after: dict[State, float] = {}
            for state, weight in reached.items():
                for next_state, p in self._next_states(state, scale, remaining):
                    after[next_state] = after.get(next_state, 0) + weight * p
            reached = after
        return reached

    def _next_states(self, state: State, scale: float, remaining: int):
        """Yields what one call makes of a state, and its probability."""
        p = self.probabilities(state, scale)
        sampled = self.candidates(p)
        masked = [i for i, token in enumerate(state) if token == self.space.vocab]
        for tokens in itertools.product(range(self.space.vocab), repeat=len(masked)):
            weight = np.prod(
                [sampled[i, v] for i, v in zip(masked, tokens, strict=True)]
            )
            if weight == 0:
                continue
            candidates = dict(zip(masked, tokens, strict=True))
            ordered = self._ordered(p, candidates)
            revealed = ordered[: len(masked) - remaining]
            next_state = list(state)
            for i in revealed:
                next_state[i] = candidates[i]
            yield tuple(next_state), weight

    def _ordered(self, p: np.ndarray, candidates: dict[int, int]) -> list[int]:
        """Masked tokens in the order in which they are revealed."""
        if not isinstance(self.model.order, Halton):
            return sorted(candidates, key=lambda i: -p[i, candidates[i]])
        positions = halton_order(self.space.grid or (self.space.length,)).tolist()
        depth = self.space.depth
        order = [i * depth + level for level in range(depth) for i in positions]
        return [i for i in order if i in candidates]
