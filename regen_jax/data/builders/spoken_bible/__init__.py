"""The data set `spoken_bible`."""
