"""Diffusion and flow matching: process, time sampling, solver."""
