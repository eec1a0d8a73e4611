"""Latents to codes and back: one module a quantizer."""
