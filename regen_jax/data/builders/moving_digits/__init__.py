"""The data set `moving_digits`."""
