"""Stages of a pipeline; `test_regeneration.py` and `test_step.py` train such ones."""

import dataclasses

import jax
import numpy as np

from regen_jax.stages import make_stages
from tests.evaluation.test_reports import PARTS, SPACE, Noise, Numbers


@dataclasses.dataclass(frozen=True)
class Counted(Noise):
    """Noise that counts how often its start is traced."""

    starts: list = dataclasses.field(default_factory=list, compare=False)

    def init(self, rng):
        self.starts.append(rng)
        return super().init(rng)


def test_start_of_a_generator_is_traced_once_for_all_runs():
    """Of a run that is checked, trained and read, and whatever the batch is."""
    prior = Counted(Numbers.x, SPACE)
    for size in (2, 5):
        parts = dataclasses.replace(PARTS, prior=prior)
        *_, stage = make_stages(Numbers(), parts)
        batch = {"x": np.zeros(size, np.int32), "y": np.zeros((size, 1), np.float32)}
        shapes = jax.eval_shape(stage.init, jax.random.key(size), batch)
        assert shapes["params"]["unused"].shape == (1,)
    assert len(prior.starts) == 1
