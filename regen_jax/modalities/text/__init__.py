"""Rules of language for the host: characters, phonemes and pronunciation."""
