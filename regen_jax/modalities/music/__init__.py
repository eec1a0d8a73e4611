"""Scores, their files and tokens, and analysis of key, chords, cadences and rhythm."""
