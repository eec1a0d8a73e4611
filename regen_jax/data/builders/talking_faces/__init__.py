"""The data set `talking_faces`."""
