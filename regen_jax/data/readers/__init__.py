"""From prepared sets to examples in memory."""
