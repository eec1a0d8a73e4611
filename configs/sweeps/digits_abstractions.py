"""Which Y′ suits digits: learned codes and the direct baselines, over three seeds.

--config=configs/digits.py
"""

from launch.algebra import Sweep, choose, over, product


def get_sweep() -> Sweep:
    """Fifteen runs; those of a seed share one judge."""
    abstractions = choose("abstraction", "vq", "fsq", "rvq", "downsample", "identity")
    return product(abstractions, over("seed", 0, 1, 2))
