"""Audio files, spectra, pitch, energy and phase reconstruction."""
