"""Data sets that this package builds: one folder each."""
