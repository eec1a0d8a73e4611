"""p(target | source) of arrays as a path from noise to data."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp

from regen_jax import ranges
from regen_jax.generators.array_generator import ArrayGenerator
from regen_jax.generators.diffusion.guidance.classifier_free import ClassifierFree
from regen_jax.generators.diffusion.interfaces import (
    GuidanceMethod,
    Process,
    Solver,
    TimeSampling,
    Velocity,
)
from regen_jax.generators.diffusion.processes.flow_matching import FlowMatching
from regen_jax.generators.diffusion.solvers.heun import Heun
from regen_jax.generators.diffusion.time_sampling.logit_normal import LogitNormal
from regen_jax.interfaces import Key, LossOutput, Variables
from regen_jax.losses.squared_error import mean_square, normalize_target
from regen_jax.networks.embeddings import source_dropouts
from regen_jax.ranges import Count, Rate
from regen_jax.spaces import Value, zeros

# What an example's key is folded with; `source_dropouts` takes 0.
_TIME, _NOISE, _DROPOUT = 1, 2, 3


@dataclasses.dataclass(frozen=True)
class Diffusion(ArrayGenerator):
    """Carries noise to the normalized target along the ODE of a process.

    An unbounded target is not normalized, and should have a scale near 1.

    Attributes:
      process: how data become noise, and what the network predicts.
      time_sampling: density of the time in training.
      solver: of the sampling ODE.
      num_steps: equal steps of the solver from noise to data.
      guidance: scale at which samples follow their source; 1 samples p(target | source).
      guidance_method: how the scale combines predictions with and without a source.
      source_dropout: fraction of examples that train without source, which guidance needs.
    """

    process: Process = dataclasses.field(default_factory=FlowMatching)
    time_sampling: TimeSampling = dataclasses.field(default_factory=LogitNormal)
    solver: Solver = dataclasses.field(default_factory=Heun)
    num_steps: Count = 12
    guidance: ranges.Guidance = 1.0
    guidance_method: GuidanceMethod = dataclasses.field(default_factory=ClassifierFree)
    source_dropout: Rate = 0.1

    sampling = frozenset({"solver", "num_steps", "guidance", "guidance_method"})

    def __post_init__(self):
        super().__post_init__()
        if self.guidance != 1 and self.source_dropout == 0:
            raise ValueError(
                f"guidance {self.guidance} needs source_dropout above 0: the prediction "
                "without a source would never be trained"
            )

    def init(self, rng: jax.Array) -> Variables:
        target = jnp.zeros((1, *self.target_space.shape))
        source, drop = zeros(self.source_space, 1), jnp.zeros(1, bool)
        return self.module.init(rng, source, drop, target, jnp.zeros(1))

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Returns the mean squared error of a prediction at one time per example."""
        data = normalize_target(self.target_space, target)
        time_B = self.time_sampling.sample(_fold(keys, _TIME))
        x, expected = self.process.corrupt(self._noise(keys), data, time_B)
        prediction = self.module.apply(
            variables,
            source,
            source_dropouts(keys, self.source_dropout, train),
            x,
            time_B,
            _fold(keys, _DROPOUT) if train else None,
        )
        return LossOutput(mean_square(prediction - expected, target))

    def velocity(
        self,
        variables: Variables,
        source: Value,
        x: jax.Array,
        time: jax.Array,
        guidance: float,
    ) -> jax.Array:
        """Returns dx/dt at x [B, *target.shape] and one time f32[], guided."""
        time_B = jnp.full(x.shape[0], time)

        def network(*inputs: jax.Array) -> jax.Array:
            return self.module.apply(variables, *inputs)

        prediction = self.guidance_method.predict(network, source, x, time_B, guidance)
        return self.process.velocity(prediction, x, time_B)

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        """Solves the ODE from noise: one loop for each run of steps of equal config."""
        times = jnp.linspace(0, 1, self.num_steps + 1)
        x = self._noise(keys)
        for (solver, guidance), run in itertools.groupby(
            range(self.num_steps), self._step_config
        ):
            steps = list(run)
            velocity = functools.partial(
                self.velocity, variables, source, guidance=guidance
            )
            x = integrate(velocity, x, times[steps[0] : steps[-1] + 2], solver)
        return self.to_data_space(x, source)

    def _step_config(self, step: int) -> tuple[Solver, float]:
        last = step == self.num_steps - 1
        solver = self.solver.last if last else self.solver
        time = step / self.num_steps
        return solver, self.guidance_method.scale_at(time, self.guidance)

    def _noise(self, keys: jax.Array) -> jax.Array:
        def draw(key: jax.Array) -> jax.Array:
            return jax.random.normal(key, self.target_space.shape)

        return jax.vmap(draw)(_fold(keys, _NOISE))


def integrate(
    velocity: Velocity, x: jax.Array, times: jax.Array, solver: Solver
) -> jax.Array:
    """Solves dx/dt = velocity(x, t) from times[0] to times[-1], a step per interval."""

    def step(x: jax.Array, interval: tuple[jax.Array, jax.Array]):
        return solver.step(velocity, x, *interval), None

    return jax.lax.scan(step, x, (times[:-1], times[1:]))[0]


def _fold(keys: jax.Array, number: int) -> jax.Array:
    """Derives another key from each example's key."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)
