"""Abstractions of waves and spectrograms."""
