"""Two learning rates, three seeds: python -m experiments.sweep.run --workdir=runs/x.

The same runs as `launch.sweep` with `configs/sweeps/digits_learning_rate.py`, one by one.
"""

from experiments.digits.run import ACCURACY
from experiments.study import Column, Row, Study, main

SHORT = {"train.prior.steps": 300, "evaluate.every": 100}
ROWS = tuple(
    Row(
        f"learning rate {rate}, seed {seed}",
        "digits.py",
        {"train.prior.schedule.learning_rate": rate, "seed": seed, **SHORT},
    )
    for rate in (5e-4, 1.5e-3)
    for seed in range(3)
)
COLUMNS = (
    Column("nats per token", "prior/nll", "{:.3f}"),
    ACCURACY,
    Column("Fréchet distance", "samples/frechet", "{:.1f}"),
)

if __name__ == "__main__":
    main(Study("learning_rate_by_seed", ROWS, COLUMNS))
