"""Processes that turn data into noise."""
