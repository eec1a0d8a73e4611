"""Signal processing of sampled sound as pure functions of arrays."""
