"""Guidance of samples by their source."""
