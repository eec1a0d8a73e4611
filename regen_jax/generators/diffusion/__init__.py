"""Diffusion and flow matching, by process, time sampling, solver and guidance."""
