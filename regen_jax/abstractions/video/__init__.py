"""Abstractions of clips."""
