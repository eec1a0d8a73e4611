import numpy as np

from regen_jax.modalities.audio.envelope import log_envelope
from regen_jax.modalities.audio.mel import mel_filters


def test_envelope_of_flat_spectrum_is_that_spectrum():
    filters = mel_filters(16000, 1024, 40)
    log_mel = np.log(np.full((2, 3, 513), 0.7) @ filters).astype(np.float32)
    envelope = log_envelope(log_mel, 16000, 1024)
    assert envelope.shape == (2, 3, 513) and envelope.dtype == np.float32
    # The narrowest bands hold few bins, and their sums are coarse.
    np.testing.assert_allclose(envelope[..., 200:], np.log(0.7), atol=0.02)
    np.testing.assert_allclose(envelope, np.log(0.7), atol=0.3)


def test_envelope_interpolates_between_bands():
    log_mel = np.arange(40, dtype=np.float32)
    envelope = np.asarray(log_envelope(log_mel, 16000, 1024))
    assert np.all(np.diff(envelope) >= -1e-5)
    peaks = mel_filters(16000, 1024, 40).argmax(axis=0)
    offset = np.log(16000 / 1024)
    np.testing.assert_allclose(envelope[peaks[10:]], log_mel[10:] + offset, atol=0.3)
