"""What guidance brings, and what training for it costs: over three seeds.

--config=configs/digits.py
"""

from launch.algebra import Sweep, chain, over, product, zipped


def get_sweep() -> Sweep:
    """Fifteen runs; those of a seed share one judge and one tokenizer."""
    without = zipped(over("prior.source_dropout", 0.0), over("prior.guidance", 1.0))
    guided = product(
        over("prior.source_dropout", 0.1, 0.2), over("prior.guidance", 1.5, 3.0)
    )
    return product(chain(without, guided), over("seed", 0, 1, 2))
