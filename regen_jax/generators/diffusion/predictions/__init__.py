"""What networks predict of noised data."""
