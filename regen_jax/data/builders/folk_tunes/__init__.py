"""The data set `folk_tunes`."""
