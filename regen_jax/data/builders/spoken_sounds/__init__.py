"""The data set `spoken_sounds`."""
