"""How many tokens are masked, by progress."""
