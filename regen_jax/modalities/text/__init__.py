"""Characters, words, pieces and phonemes."""
