"""Data sets, their readers and the input pipeline."""
