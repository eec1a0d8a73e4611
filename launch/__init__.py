"""Starts runs on this machine, under Slurm and in sweeps, and reports their metrics."""
