"""Does a template pay: verses through one of all their words, and directly.

--config=configs/simplification.py
"""

from launch.algebra import Sweep, choose, over, product


def get_sweep() -> Sweep:
    """Six runs; those of a seed share one judge."""
    return product(
        choose("abstraction", "text_template", "identity"), over("seed", 0, 1, 2)
    )
