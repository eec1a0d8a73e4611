"""Scores, MIDI, chords, keys and rhythm."""
