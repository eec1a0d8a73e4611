"""What a step costs: its program, FLOPs, memory and profile."""
