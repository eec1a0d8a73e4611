"""Audio files, spectra, pitch and energy."""
