"""Captions and motions of clips."""
