"""Solvers of the sampling ODE."""
