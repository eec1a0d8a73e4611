"""Mel-cepstral distortion: how far apart two spoken sounds are in their spectral shape."""

import numpy as np

from regen_jax.metrics.dynamic_time_warping import warp


def mel_cepstral_distortion(
    reference: np.ndarray, other: np.ndarray, num_coefficients: int = 13
) -> float:
    """Mel-cepstral distortion in dB of two utterances, after dynamic time warping.

    A pair of frames is `10 / ln 10 * sqrt(2 * sum_d (c_d - c'_d)^2)` apart, d from 1 to
    `num_coefficients`, so that loudness, c0, does not count (Kubichek, "Mel-cepstral
    distance measure for objective speech quality assessment", 1993). The path of least
    total distance pairs the frames, and the result is the mean over its pairs. It
    compares with other figures only at equal frames, bands and coefficients.

    Arguments:
      reference: log-mel magnitudes, natural log, float [T, num_mels].
      other: the same of the other utterance, [T', num_mels].
      num_coefficients: how many cepstral coefficients count.

    Raises:
      ValueError: for arrays of other shapes.
    """
    shapes = np.shape(reference), np.shape(other)
    if any(len(s) != 2 or 0 in s for s in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(
            "mel-cepstral distortion needs log-mel [T, num_mels] and [T', num_mels], "
            f"not {list(shapes[0])} and {list(shapes[1])}"
        )
    a, b = (mel_cepstrum(x, num_coefficients) for x in (reference, other))
    squares = np.sum((a[:, None] - b[None]) ** 2, axis=-1)
    total, path = warp(10 / np.log(10) * np.sqrt(2 * squares))
    return total / len(path)


def mel_cepstrum(log_mel: np.ndarray, num_coefficients: int) -> np.ndarray:
    """Coefficients c1, c2, … of log-mel [T, num_mels]: float64 [T, num_coefficients].

    Band k of the num_mels is `c0 + sum_d c_d cos(pi d (k + 1/2) / num_mels)`, as
    `ln |H| = sum_d c_d cos(d w)` defines the mel-cepstrum of a spectrum: with it the
    distortion is the root mean square difference of smoothed spectra in dB, but for
    their level.
    """
    log_mel = np.asarray(log_mel, np.float64)
    size = log_mel.shape[-1]
    if not 1 <= num_coefficients < size:
        raise ValueError(
            f"{size} mel bands have 1 to {size - 1} cepstral coefficients beside c0, "
            f"not {num_coefficients}"
        )
    order = np.arange(1, num_coefficients + 1)
    basis = np.cos(np.pi / size * np.outer(np.arange(size) + 0.5, order))
    return log_mel @ basis * (2 / size)
