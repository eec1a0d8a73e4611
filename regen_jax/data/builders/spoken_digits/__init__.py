"""The data set `spoken_digits`."""
