"""Abstractions of music."""
