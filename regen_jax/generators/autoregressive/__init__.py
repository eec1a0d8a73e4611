"""Autoregressive models of tokens."""
