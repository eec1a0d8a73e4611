"""The data set `chorales`."""
