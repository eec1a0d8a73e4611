"""Mel-cepstral distortion of speech, and log-spectral distance of sounds."""

import numpy as np

from regen_jax.metrics.dynamic_time_warping import dtw


def mel_cepstral_distortion(
    reference: np.ndarray, other: np.ndarray, num_coefficients: int = 13
) -> float:
    """Computes the mel-cepstral distortion of two utterances after time warping.

    The distance of two frames is `10 / ln 10 * sqrt(2 * sum_d (c_d - c'_d)^2)`, d from 1
    to `num_coefficients`; c0, the level, is ignored (Kubichek, "Mel-cepstral distance
    measure for objective speech quality assessment", 1993). Dynamic time warping pairs
    the frames, and the result is the mean over pairs. Compare values only at equal
    frames, bands and coefficients.

    Args:
      reference: log-mel magnitudes (natural log), float[T, num_mels].
      other: log-mel magnitudes of the other utterance, float[T', num_mels].
      num_coefficients: number of cepstral coefficients.

    Returns:
      The distortion in dB.

    Raises:
      ValueError: an array has another shape or is empty.
    """
    _check_frames(reference, other, "mel-cepstral distortion needs log-mel")
    cepstrum, other_cepstrum = (
        mel_cepstrum(log_mel, num_coefficients) for log_mel in (reference, other)
    )
    squares = np.sum((cepstrum[:, None] - other_cepstrum[None]) ** 2, axis=-1)
    total, path = dtw(10 / np.log(10) * np.sqrt(2 * squares))
    return total / len(path)


def mel_cepstrum(log_mel: np.ndarray, num_coefficients: int) -> np.ndarray:
    """Computes mel-cepstral coefficients c1, c2, … of log-mel magnitudes.

    Band k of num_mels is `c0 + sum_d c_d cos(pi d (k + 1/2) / num_mels)`, as
    `ln |H| = sum_d c_d cos(d w)` defines the mel-cepstrum of a spectrum. With this
    scale the distortion is, apart from the level, the root mean square difference of
    smoothed spectra in dB.

    Args:
      log_mel: float[T, num_mels].
      num_coefficients: from 1 to num_mels - 1.

    Returns:
      f64[T, num_coefficients].

    Raises:
      ValueError: the number of coefficients is out of range.
    """
    log_mel = np.asarray(log_mel, np.float64)
    num_mels = log_mel.shape[-1]
    if not 1 <= num_coefficients < num_mels:
        raise ValueError(
            f"{num_mels} mel bands have 1 to {num_mels - 1} cepstral coefficients beside "
            f"c0, not {num_coefficients}"
        )
    orders = np.arange(1, num_coefficients + 1)
    angles = np.pi / num_mels * np.outer(np.arange(num_mels) + 0.5, orders)
    return log_mel @ np.cos(angles) * (2 / num_mels)


def log_spectral_distance(
    reference: np.ndarray, other: np.ndarray, range_db: float = 60.0
) -> float:
    """Computes the log-spectral distance of two sounds after time warping.

    The distance of two frames is the root mean square difference of their spectra in dB
    over the bins (Gray and Markel, "Distance measures for speech processing", 1976, p = 2).
    What is more than `range_db` below the loudest bin of the reference counts as equally
    quiet, and quiet frames at the end of either sound are left out, but for its first
    frame. Dynamic time warping pairs the frames, and the result is the mean over pairs.
    Compare values only at equal frames, bins and range.

    Args:
      reference: STFT magnitudes float[T, F].
      other: STFT magnitudes of the other sound, float[T', F].
      range_db: above which spectra are compared.

    Returns:
      The distance in dB.

    Raises:
      ValueError: an array has another shape or is empty.
    """
    _check_frames(reference, other, "the log-spectral distance needs magnitudes")
    magnitudes = [np.asarray(m, np.float64) for m in (reference, other)]
    floor = max(magnitudes[0].max() * 10 ** (-range_db / 20), np.finfo(float).tiny)
    a, b = (_sounding(20 * np.log10(np.maximum(m, floor) / floor)) for m in magnitudes)
    squares = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2 * a @ b.T
    total, path = dtw(np.sqrt(np.maximum(squares, 0) / a.shape[1]))
    return total / len(path)


def _sounding(decibels: np.ndarray) -> np.ndarray:
    """Returns the frames of dB f64[T, F] up to the last that is not 0 throughout."""
    loud = np.flatnonzero(decibels.any(axis=1))
    return decibels[: loud[-1] + 1] if loud.size else decibels[:1]


def _check_frames(reference: np.ndarray, other: np.ndarray, needs: str) -> None:
    """Raises a ValueError unless two sounds have frames [T, bands] of as many bands."""
    shapes = np.shape(reference), np.shape(other)
    if any(len(s) != 2 or 0 in s for s in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(
            f"{needs} [T, bands] and [T', bands], not {list(shapes[0])} and "
            f"{list(shapes[1])}"
        )
