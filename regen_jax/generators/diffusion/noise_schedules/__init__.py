"""Noise schedules of processes that preserve variance."""
