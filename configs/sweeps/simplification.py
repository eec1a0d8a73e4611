"""Does a template pay: verses through one of all their words, and directly.

--config=configs/simplification.py
"""

from launch.algebra import Sweep, config_choice, grid, product


def get_sweep() -> Sweep:
    """Six runs; those of a seed share one judge."""
    return product(
        config_choice("abstraction", "text_template", "identity"), grid("seed", 0, 1, 2)
    )
