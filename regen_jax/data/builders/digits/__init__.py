"""The data set `digits`."""
