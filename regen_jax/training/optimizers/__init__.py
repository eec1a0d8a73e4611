"""Optimizers by name, and groups of parameters that are updated apart."""
