"""The data set `simple_bible`."""
