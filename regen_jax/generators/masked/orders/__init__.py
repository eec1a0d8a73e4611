"""Which masked tokens are revealed first."""
