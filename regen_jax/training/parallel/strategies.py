"""Strategies by name."""

from regen_jax.errors import UserError
from regen_jax.training.parallel.options import ParallelOptions
from regen_jax.training.parallel.pmap import PmapStrategy
from regen_jax.training.parallel.sharded import ShardedStrategy
from regen_jax.training.parallel.strategy import Strategy

_STRATEGIES = {"sharded": ShardedStrategy, "pmap": PmapStrategy}


def make_strategy(options: ParallelOptions) -> Strategy:
    """Makes the strategy for this machine's devices; UserError if they are too few."""
    return _STRATEGIES[options.strategy](options)


def check_batch(
    where: str, batch_size: int, accumulate: int, strategy: Strategy
) -> None:
    """Raises a UserError if micro-batches cannot be divided among the devices."""
    count = strategy.num_devices
    if batch_size % (accumulate * count):
        raise UserError(
            f"{where}.batch_size {batch_size} does not divide into {accumulate} "
            f"micro-batches on {count} devices: use a multiple of {accumulate * count}"
        )
