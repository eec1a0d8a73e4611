"""Networks that a task trains on real pairs, as a stage, to evaluate samples."""
