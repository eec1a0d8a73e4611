"""The transforms of SciPy that those of waves are tested against.

They are those of librosa, but need no compiler: its own takes 40 s where nothing is cached.
"""

import numpy as np
import scipy.signal


def stft(wave: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """Returns complex[..., N // hop + 1, n_fft // 2 + 1] of a wave [..., N].

    Frame i is centered at sample i * hop, under a periodic Hann window of sum n_fft / 2.
    """
    _, _, spectrum = scipy.signal.stft(
        wave, window="hann", nperseg=n_fft, noverlap=n_fft - hop, padded=False
    )
    return spectrum.mT * (n_fft / 2)


def istft(spectrum: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """Returns the wave [..., (frames - 1) * hop] whose frames are nearest, by squares."""
    _, wave = scipy.signal.istft(
        spectrum.mT / (n_fft / 2), window="hann", nperseg=n_fft, noverlap=n_fft - hop
    )
    return wave
