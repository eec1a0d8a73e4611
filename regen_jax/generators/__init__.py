"""p(b | a), for either arrow: one module a generator."""
