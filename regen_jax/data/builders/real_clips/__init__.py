"""The data set `real_clips`."""
