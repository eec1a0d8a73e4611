"""Parameters of networks under test."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np


def random_variables(network: nn.Module, *inputs: Any) -> dict[str, Any]:
    """Draws parameters, as much of a network is exactly zero at its start."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(np.float32),
        jax.eval_shape(network.init, jax.random.key(0), *inputs),
    )
