"""The data set `pronunciations`."""
