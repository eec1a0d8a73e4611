"""Sound files, and rates of samples."""

import io
import logging
import os
from types import ModuleType

import numpy as np

from regen_jax.errors import UserError

logger = logging.getLogger("regen_jax")


def read(path: str | os.PathLike, sample_rate: int) -> np.ndarray:
    """Reads a sound file as one channel of float32 [N] in [-1, 1].

    WAV, FLAC, OGG and what else libsndfile knows, of 8 to 32 bits or floating point. Any
    other rate is resampled to `sample_rate`, in Hz, and channels are averaged, which a
    line of the log says; floating point beyond [-1, 1] is clipped.

    Raises:
      UserError: the file is missing, empty, damaged or of an unknown format, has
        samples that are not numbers, or the package `soundfile` is missing.
    """
    if not os.path.isfile(path):
        raise UserError(f"there is no sound file {str(path)!r}")
    with open(path, "rb") as file:
        data = file.read()
    what = f"sound file {str(path)!r}"
    wave = decode(data, sample_rate, what)
    info = _require("soundfile").info(io.BytesIO(data))
    if info.samplerate != sample_rate or info.channels > 1:
        logger.info(
            "%s: %d Hz, %d channels; brought to %d Hz and one channel",
            *(what, info.samplerate, info.channels, sample_rate),
        )
    return wave


def decode(data: bytes, sample_rate: int, what: str) -> np.ndarray:
    """The content of a sound file, as `read` gives it; errors begin with `what`."""
    soundfile = _require("soundfile")
    if not data:
        raise UserError(f"{what} is empty")
    try:
        wave_NxC, rate = soundfile.read(
            io.BytesIO(data), dtype="float32", always_2d=True
        )
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = getattr(error, "error_string", str(error))
        raise UserError(
            f"{what} is damaged or of an unknown format: {' '.join(reason.split())}"
        ) from error
    if not np.isfinite(wave_NxC).all():
        raise UserError(f"{what} has samples that are not numbers")
    wave = resample(wave_NxC.mean(axis=1), rate, sample_rate)
    if not len(wave):
        raise UserError(f"{what} has no samples")
    return np.clip(wave, -1, 1)


def write(path: str | os.PathLike, wave: np.ndarray, sample_rate: int) -> None:
    """Writes float [N], clipped to [-1, 1], as a WAV file of 16 bits and one channel.

    Raises:
      UserError: the folder does not exist, or the package `soundfile` is missing.
    """
    soundfile = _require("soundfile")
    try:
        soundfile.write(
            path, to_int16(wave), sample_rate, format="WAV", subtype="PCM_16"
        )
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(
            f"cannot write the sound file {str(path)!r}: {' '.join(str(error).split())}"
        ) from error


def resample(wave: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """float32 [N] at `rate` Hz as float32 [about N * new_rate / rate] at `new_rate`.

    Raises:
      UserError: the package `soxr` is missing.
    """
    wave = np.asarray(wave, np.float32)
    if rate == new_rate:
        return wave
    return _require("soxr").resample(wave, rate, new_rate, quality="HQ")


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] as 16-bit integers; those beyond are clipped."""
    return np.clip(np.rint(np.asarray(wave) * 2**15), -(2**15), 2**15 - 1).astype(
        np.int16
    )


def _require(package: str) -> ModuleType:
    try:
        return __import__(package)
    except ImportError as error:
        raise UserError(
            f"sound needs the package {package}: run `pip install 'regen-jax[speech]'`"
        ) from error
    except OSError as error:
        raise UserError(f"the package {package} does not work here: {error}") from error
