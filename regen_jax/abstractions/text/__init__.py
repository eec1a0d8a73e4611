"""Abstractions of texts."""
