"""What ancestral sampling and beam search call to decode token after token."""

from collections.abc import Callable
from typing import Any

import jax

Caches = Any
"""A tree of arrays with a leading batch axis."""
Step = Callable[[jax.Array, jax.Array, Caches], tuple[jax.Array, Caches]]
"""Called as (tokens, index, caches): returns the next logits, and caches."""
