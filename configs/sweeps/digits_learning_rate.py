"""Two learning rates of the prior, over three seeds.

--config=configs/digits.py
"""

from launch.algebra import Sweep, grid, product


def get_sweep() -> Sweep:
    """Six runs; those of a seed share one judge and one tokenizer."""
    return product(
        grid("train.prior.schedule.learning_rate", 5e-4, 1.5e-3),
        grid("seed", 0, 1, 2),
    )
