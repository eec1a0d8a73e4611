"""p(target | source) of arrays as a path from noise to data."""

import dataclasses
import itertools
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax import ranges
from regen_jax.generators.array_generator import ArrayGenerator
from regen_jax.generators.diffusion.guidance.classifier_free import ClassifierFree
from regen_jax.generators.diffusion.guide import init_guide, update_guide
from regen_jax.generators.diffusion.interfaces import (
    Components,
    Denoiser,
    GuidanceMethod,
    Inputs,
    Interval,
    Predict,
    Process,
    Solver,
    SolverState,
    TimeSampling,
)
from regen_jax.generators.diffusion.processes.flow_matching import FlowMatching
from regen_jax.generators.diffusion.solvers.heun import Heun
from regen_jax.generators.diffusion.time_sampling.logit_normal import LogitNormal
from regen_jax.interfaces import Key, LossOutput, Variables
from regen_jax.losses.squared_error import mean_square, normalize_target
from regen_jax.networks.embeddings import source_dropouts
from regen_jax.random import fold_keys
from regen_jax.ranges import Count, Natural, Positive, Rate
from regen_jax.spaces import Value, zeros

# What an example's key is folded with; `source_dropouts` takes 0.
_TIME, _NOISE, _DROPOUT, _SOLVER = 1, 2, 3, 4

_Times = TypeVar("_Times", jax.Array, np.ndarray)


@dataclasses.dataclass(frozen=True)
class Diffusion(ArrayGenerator):
    """Carries noise to the normalized target along the ODE of a process.

    An unbounded target is not normalized, and should have a scale near 1.

    Attributes:
      process: how data become noise, and what the network predicts.
      time_sampling: density of the time in training.
      time_shift: factor of the noise levels at the times of flow matching, in training and
        in sampling (Esser et al., arXiv 2403.03206, equation 23): √(m / n) for targets of m
        positions, where targets of n positions need none. Other processes have their times
        moved as much.
      solver: of the sampling ODE.
      num_steps: steps of the solver from noise to data, at the times of the process.
      guidance: scale at which samples follow their source; 1 samples p(target | source).
      guidance_method: how the scale combines predictions, such as those with and without
        a source.
      source_dropout: fraction of examples that train without source, which guidance by
        `classifier_free` needs.
      guide_steps: training steps after which an average of the parameters stays as it is,
        the guide of `autoguidance`, such as a sixteenth of all; 0 keeps none.
    """

    process: Process = dataclasses.field(default_factory=FlowMatching)
    time_sampling: TimeSampling = dataclasses.field(default_factory=LogitNormal)
    time_shift: Positive = 1.0
    solver: Solver = dataclasses.field(default_factory=Heun)
    num_steps: Count = 12
    guidance: ranges.Guidance = 1.0
    guidance_method: GuidanceMethod = dataclasses.field(default_factory=ClassifierFree)
    source_dropout: Rate = 0.1
    guide_steps: Natural = 0

    sampling = frozenset({"solver", "num_steps", "guidance", "guidance_method"})

    def __post_init__(self):
        super().__post_init__()
        if self.guidance == 1:
            return
        if self.guidance_method.needs_dropout and self.source_dropout == 0:
            raise ValueError(
                f"guidance {self.guidance} needs source_dropout above 0: the prediction "
                "without a source would never be trained"
            )
        if self.guidance_method.needs_guide and self.guide_steps == 0:
            raise ValueError(
                f"guidance {self.guidance} by {type(self.guidance_method).__name__} needs "
                "guide_steps above 0: training would keep no guide"
            )

    @property
    def num_calls(self) -> int:
        before_last = self.solver.num_calls * (self.num_steps - 1)
        return before_last + self.solver.last.num_calls

    def init(self, rng: jax.Array) -> Variables:
        target = jnp.zeros((1, *self.target_space.shape))
        source, drop = zeros(self.source_space, 1), jnp.zeros(1, bool)
        variables = self.module.init(rng, source, drop, target, jnp.zeros(1))
        return init_guide(variables) if self.guide_steps else variables

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Returns the mean squared error of a prediction at one time per example."""
        data = normalize_target(self.target_space, target)
        truth = Components(data, self._noise(keys))
        time_B = self.time_sampling.sample(fold_keys(keys, _TIME), self.process)
        time_B = self._shifted(time_B)
        x = self.process.corrupt(truth, time_B)
        prediction = self.module.apply(
            variables,
            source,
            source_dropouts(keys, self.source_dropout, train),
            *self.process.network_inputs(x, time_B),
            fold_keys(keys, _DROPOUT) if train else None,
        )
        error = self.process.error(prediction, truth, time_B)
        return LossOutput(mean_square(error, target))

    def update(
        self, variables: Variables, rng: jax.Array, loss_output: LossOutput
    ) -> Variables:
        return update_guide(variables, self.guide_steps)

    def denoiser(
        self, variables: Variables, source: Value, guidance: float
    ) -> Denoiser:
        """Returns guided estimates at x [B, *target.shape] and one time f32[]."""

        def network(params: Variables) -> Predict:
            def predict(inputs: Inputs, drop: jax.Array) -> jax.Array:
                return self.module.apply(
                    {**variables, "params": params},
                    inputs.source,
                    drop,
                    *self.process.network_inputs(inputs.x, inputs.time_B),
                )

            return predict

        guide = network(variables["guide"]["params"]) if self.guide_steps else None

        def estimate(x: jax.Array, time: jax.Array) -> Components:
            inputs = Inputs(source, x, jnp.full(x.shape[0], time))
            prediction = self.guidance_method.predict(
                network(variables["params"]), guide, inputs, guidance
            )
            return self.process.estimate(prediction, x, inputs.time_B)

        return Denoiser(self.process, estimate)

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        """Solves the ODE from noise: one loop for each run of steps of equal config."""
        return self._from_noise(variables, keys, source, self._noise(keys))

    def sample_segment(
        self, variables: Variables, keys: jax.Array, source: Value, first: jax.Array
    ) -> Value:
        return self._from_noise(variables, keys, source, self._noise_from(keys, first))

    def _from_noise(
        self, variables: Variables, keys: jax.Array, source: Value, noise: jax.Array
    ) -> Value:
        times = self._shifted(self.process.times(self.num_steps))
        x = self.process.scales(jnp.float32(times[0])).sigma * noise
        state = SolverState(x, fold_keys(keys, _SOLVER), self.solver.init(x))

        def config(step: int) -> tuple[Solver, float]:
            last = step == self.num_steps - 1
            solver = self.solver.last if last else self.solver
            return solver, self.guidance_method.scale_at(times[step], self.guidance)

        for (solver, scale), run in itertools.groupby(range(self.num_steps), config):
            steps = list(run)
            denoiser = self.denoiser(variables, source, scale)
            ends = times[steps[0] : steps[-1] + 2]
            state = integrate(denoiser, solver, state, ends)
        return self.to_data_space(state.x, source)

    def _shifted(self, time: _Times) -> _Times:
        if self.time_shift == 1:
            return time
        return time / (time + self.time_shift * (1 - time))

    def _noise(self, keys: jax.Array) -> jax.Array:
        def draw(key: jax.Array) -> jax.Array:
            return jax.random.normal(key, self.target_space.shape)

        return jax.vmap(draw)(fold_keys(keys, _NOISE))

    def _noise_from(self, keys: jax.Array, first: jax.Array) -> jax.Array:
        """Draws noise of which each position has a key, `first` i32[B] being the first."""
        frames, *shape = self.target_space.shape

        def draw(key: jax.Array, position: jax.Array) -> jax.Array:
            return jax.random.normal(jax.random.fold_in(key, position), shape)

        positions = first[:, None] + jnp.arange(frames)
        draw_all = jax.vmap(jax.vmap(draw, (None, 0)))
        return draw_all(fold_keys(keys, _NOISE), positions)


def integrate(
    denoiser: Denoiser, solver: Solver, state: SolverState, times: np.ndarray
) -> SolverState:
    """Moves a state from times[0] to times[-1], a step of the solver per interval."""
    ends = jnp.asarray(times, jnp.float32)

    def step(state: SolverState, interval: Interval) -> tuple[SolverState, None]:
        return solver.step(denoiser, state, interval), None

    return jax.lax.scan(step, state, (ends[:-1], ends[1:]))[0]
