"""Captions, motions and files of clips."""
