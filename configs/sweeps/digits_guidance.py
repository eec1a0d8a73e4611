"""What guidance brings, and what training for it costs: over three seeds.

--config=configs/digits.py
"""

from launch.algebra import Sweep, chain, grid, product, zip_


def get_sweep() -> Sweep:
    """Fifteen runs; those of a seed share one judge and one tokenizer."""
    without = zip_(grid("prior.source_dropout", 0.0), grid("prior.guidance", 1.0))
    guided = product(
        grid("prior.source_dropout", 0.1, 0.2), grid("prior.guidance", 1.5, 3.0)
    )
    return product(chain(without, guided), grid("seed", 0, 1, 2))
