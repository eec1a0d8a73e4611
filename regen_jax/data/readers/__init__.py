"""Readers of prepared data sets, one per kind of data."""
