"""The data set `tuxpaint_spanish`."""
