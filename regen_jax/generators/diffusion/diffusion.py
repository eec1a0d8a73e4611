"""p(b | a) of arrays as a flow from noise to data.

Flow matching (Lipman et al., arXiv 2210.02747) along straight paths (rectified flow;
Liu, Gong and Liu, arXiv 2209.03003).
"""

import dataclasses
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from regen_jax.generators.sampling.logits import classifier_free_guidance
from regen_jax.interfaces import Generator, LossOutput, Variables
from regen_jax.losses.squared_error import mean_square, normalized, with_alignment
from regen_jax.networks.conditioning import DiTOptions
from regen_jax.networks.duration_encoder import Canvas
from regen_jax.networks.embeddings import source_dropouts
from regen_jax.ranges import Count, Fraction, Guidance, Rate
from regen_jax.spaces import Array, Padded, Value

# What an example's key is folded with; `source_dropouts` takes 0.
_TIME, _NOISE, _DROPOUT = 1, 2, 3


@dataclasses.dataclass(frozen=True)
class Diffusion(DiTOptions, Generator):
    """Moves x_t = (1 - t) noise + t b at the velocity E[b - noise | x_t, a].

    b is normalized to [-1, 1]; that of an unbounded space is taken as it is, and should
    have a scale near 1.

    Attributes:
      source_dropout: share of examples that train without a, which guidance needs.
      times: density of t in training: `logit_normal` (Esser et al., arXiv 2403.03206,
        section 3.1; more of the middle, which is the hardest) or `uniform`.
      solver: of the sampling ODE: `heun` (order 2, two calls a step but for the last)
        or `euler`.
      num_steps: equal steps of the solver from noise to data.
      guidance: 1 samples p(b | a); more moves away from p(b), at twice the cost.
      guidance_interval: times at which a guided step may start; the others follow
        p(b | a) at half the cost (Kynkäänniemi et al., arXiv 2404.07724).
    """

    source_dropout: Rate = 0.1
    times: str = "logit_normal"
    solver: str = "heun"
    num_steps: Count = 12
    guidance: Guidance = 1.0
    guidance_interval: tuple[Fraction, Fraction] = (0.0, 1.0)

    targets = (Array,)
    sampling = frozenset({"solver", "num_steps", "guidance", "guidance_interval"})

    def __post_init__(self):
        super().__post_init__()
        if self.times not in ("logit_normal", "uniform"):
            raise ValueError(
                f"times must be 'logit_normal' or 'uniform', not {self.times!r}"
            )
        if self.solver not in ("heun", "euler"):
            raise ValueError(f"solver must be 'heun' or 'euler', not {self.solver!r}")
        if self.guidance != 1 and self.source_dropout == 0:
            raise ValueError(
                f"guidance {self.guidance} needs source_dropout above 0: the prediction "
                "without a source would never be trained"
            )
        low, high = self.guidance_interval
        if low > high:
            raise ValueError(
                "guidance_interval must be two rising times in [0, 1], not "
                f"{self.guidance_interval}"
            )

    def init(self, rng: jax.Array) -> Variables:
        target = jnp.zeros((1, *self.target_space.shape))
        return self.start(rng, jnp.zeros(1, bool), target, jnp.zeros(1))

    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        source: Value,
        target: Value,
        train: bool,
    ) -> LossOutput:
        """Squared error of the velocity at one time an example, a mean over values."""
        dropout_keys = _fold(keys, _DROPOUT) if train else None
        found = (
            self.align(variables, source, target, dropout_keys)
            if self.aligned
            else None
        )
        noise, data = self._noise(keys), normalized(self.target_space, target)
        time_B = self._times(keys)
        time = time_B.reshape(-1, *[1] * (data.ndim - 1))
        velocity = self.network.apply(
            variables,
            found.canvas if found else source,
            source_dropouts(keys, self.source_dropout, train),
            (1 - time) * noise + time * data,
            time_B,
            dropout_keys,
        )
        loss = mean_square(velocity - (data - noise), target)
        return with_alignment("velocity_loss", loss, found, self.alignment_weight)

    def velocity(
        self,
        variables: Variables,
        source: Value | Canvas,
        x: jax.Array,
        time: jax.Array,
        guidance: float,
    ) -> jax.Array:
        """dx/dt at x [B, *target.shape] and one time; guided in one call of 2 B."""
        batch = x.shape[0]
        drop = jnp.full(batch, guidance == 0)
        if guided := guidance not in (0, 1):
            source, x = jax.tree.map(lambda v: jnp.concatenate([v, v]), (source, x))
            drop = jnp.concatenate([drop, ~drop])
        time_B = jnp.full(x.shape[0], time)
        y = self.network.apply(variables, source, drop, x, time_B)
        return classifier_free_guidance(y[:batch], y[batch:], guidance) if guided else y

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        """Solves the ODE from noise: a loop for each run of steps done alike."""
        told = self.plan(variables, source)
        times = jnp.linspace(0, 1, self.num_steps + 1)
        x = self._noise(keys)
        for (solver, guidance), run in itertools.groupby(
            range(self.num_steps), self._manner
        ):
            steps = list(run)
            x = integrate(
                lambda x, time, w=guidance: self.velocity(variables, told, x, time, w),
                x,
                times[steps[0] : steps[-1] + 2],
                solver,
            )
        return self.finish(x, told)

    def alignment(
        self, variables: Variables, source: Value, target: Padded
    ) -> jax.Array | None:
        return self.path(variables, source, target)

    def _manner(self, step: int) -> tuple[str, float]:
        """Solver and guidance of one step."""
        low, high = self.guidance_interval
        guided = low <= step / self.num_steps <= high
        # Data on a manifold make the field singular at t = 1, where Heun would look;
        # one Euler step there leaves the order of the whole at 2 (Karras et al., arXiv
        # 2206.00364, algorithm 1).
        last = step == self.num_steps - 1
        return "euler" if last else self.solver, self.guidance if guided else 1.0

    def _times(self, keys: jax.Array) -> jax.Array:
        keys = _fold(keys, _TIME)
        if self.times == "uniform":
            return jax.vmap(jax.random.uniform)(keys)
        return jax.nn.sigmoid(jax.vmap(jax.random.normal)(keys))

    def _noise(self, keys: jax.Array) -> jax.Array:
        def draw(key: jax.Array) -> jax.Array:
            return jax.random.normal(key, self.target_space.shape)

        return jax.vmap(draw)(_fold(keys, _NOISE))


def integrate(
    velocity: Callable[[jax.Array, jax.Array], jax.Array],
    x: jax.Array,
    times: jax.Array,
    solver: str,
) -> jax.Array:
    """Solves dx/dt = velocity(x, t) from times[0] to times[-1], a step an interval.

    `solver` is `euler` (error of order 1 in the step) or `heun` (order 2), also known
    as the explicit trapezoid.
    """

    def step(x: jax.Array, interval: tuple[jax.Array, jax.Array]):
        start, end = interval
        slope = velocity(x, start)
        if solver == "heun":
            ahead = velocity(x + (end - start) * slope, end)
            slope = (slope + ahead) / 2
        return x + (end - start) * slope, None

    return jax.lax.scan(step, x, (times[:-1], times[1:]))[0]


def _fold(keys: jax.Array, number: int) -> jax.Array:
    """A stream of its own from each example's key."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)
