"""Data sets that this package builds: a folder each, with its sources in a README."""
