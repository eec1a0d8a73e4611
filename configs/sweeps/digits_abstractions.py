"""Which Y′ suits digits: learned codes and the direct baselines, over three seeds.

--config=configs/digits.py
"""

from launch.algebra import Sweep, config_choice, grid, product


def get_sweep() -> Sweep:
    """Fifteen runs; those of a seed share one judge."""
    abstractions = config_choice(
        "abstraction", "vq", "fsq", "rvq", "downsample", "identity"
    )
    return product(abstractions, grid("seed", 0, 1, 2))
