"""Scores: their events as tokens, their analysis, and files and pictures of them."""
