import math
import re

import pytest

from regen_jax.training.schedules.warmup_cosine import WarmupCosine


@pytest.mark.parametrize(
    "steps, warmup, warmup_steps",
    [(20, 0.25, 5), (20, 0.05, 1), (4, 0.0, 0), (4, 1.0, 4), (1, 1.0, 1), (7, 0.2, 1)],
)
def test_learning_rate_rises_from_the_first_step_and_then_falls(
    steps, warmup, warmup_steps
):
    schedule = WarmupCosine(2e-3, warmup, final_fraction=0.1).by_step(steps)
    expected = []
    for step in range(steps):
        if step < warmup_steps:
            expected.append(2e-3 * (step + 1) / warmup_steps)
        else:
            # The cosine starts at the peak, which is the last step of the warm-up.
            start = max(warmup_steps - 1, 0)
            angle = math.pi * (step - start) / (steps - start)
            expected.append(2e-4 + (2e-3 - 2e-4) * (1 + math.cos(angle)) / 2)
    rates = [float(schedule(step)) for step in range(steps)]
    assert rates == pytest.approx(expected, rel=1e-5)
    assert min(rates) > 0 and schedule(steps) == pytest.approx(2e-4)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"learning_rate": 0.0}, "learning_rate must be above 0, not 0.0"),
        ({"learning_rate": math.nan}, "learning_rate must be finite"),
        ({"final_fraction": -1.0}, "final_fraction must be in [0, 1]"),
        ({"warmup": 1.1}, "warmup must be in [0, 1], not 1.1"),
    ],
)
def test_options_out_of_range_raise_value_error(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        WarmupCosine(**options)
