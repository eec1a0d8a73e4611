"""Flax modules that abstractions and generators are made of."""
