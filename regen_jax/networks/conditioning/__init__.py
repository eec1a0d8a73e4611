"""Ways for a source to enter a network that generates arrays."""
