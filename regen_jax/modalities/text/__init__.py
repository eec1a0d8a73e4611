"""Characters, words, subwords and phonemes of texts."""
