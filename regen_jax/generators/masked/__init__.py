"""Masked models of tokens."""
