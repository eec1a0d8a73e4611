"""Regeneration learning in JAX: X → Y′ → Y."""
