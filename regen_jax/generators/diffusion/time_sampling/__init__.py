"""Densities of the time in training."""
