"""Networks that a task trains on real pairs to judge samples."""
