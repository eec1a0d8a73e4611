"""The cost of a step: its program, FLOPs, memory and profile."""
