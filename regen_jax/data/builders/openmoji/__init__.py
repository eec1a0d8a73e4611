"""The data set `openmoji`."""
