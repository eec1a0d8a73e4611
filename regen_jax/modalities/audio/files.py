"""Sound files, and rates of samples."""

import io
import logging
import math
import os
from pathlib import Path
from types import ModuleType

import numpy as np

from regen_jax.errors import UserError
from regen_jax.modalities.audio import containers

_BLOCK = 1024
RATES = 1_000, 768_000
"""Samples per second that can be read, at least and at most."""
_MPEG = ("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
_MPEG_SLACK = 1152
"""Samples of MPEG by which decoders may differ from what a header says: a frame."""

logger = logging.getLogger("regen_jax")


def read(path: str | os.PathLike, sample_rate: int) -> np.ndarray:
    """Reads a sound file as one channel of float32 [N] in [-1, 1].

    WAV, FLAC, OGG and what else libsndfile knows, of 8 to 32 bits or floating point. Any
    other rate is resampled to `sample_rate`, in Hz, and channels are averaged.
    Floating-point samples beyond [-1, 1] are divided by their peak, and a file that is
    cut short is read up to the cut. Each of these is logged in one line.

    Raises:
      UserError: the file is missing, empty, damaged or of an unknown format, has
        samples that are not numbers, or the package `soundfile` is missing.
    """
    file = os.path.expanduser(path)
    if os.path.isdir(file):
        raise UserError(f"{str(path)!r} is a folder, not a sound file")
    if not os.path.isfile(file):
        raise UserError(f"there is no sound file {str(path)!r}")
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise UserError(
            f"sound file {str(path)!r} cannot be read: {error.strerror}"
        ) from error
    what = f"sound file {str(path)!r}"
    samples, rate = _decode(data, what)
    if rate != sample_rate or samples.shape[1] > 1:
        logger.info(
            "%s: %d Hz, %d channels; brought to %d Hz and one channel",
            *(what, rate, samples.shape[1], sample_rate),
        )
    return _as_wave(samples, rate, sample_rate, what)


def decode(data: bytes, sample_rate: int, what: str) -> np.ndarray:
    """The content of a sound file, as `read` gives it; errors begin with `what`."""
    samples, rate = _decode(data, what)
    return _as_wave(samples, rate, sample_rate, what)


def _decode(data: bytes, what: str) -> tuple[np.ndarray, int]:
    """Returns floating-point samples [N, channels], about in [-1, 1], and their rate."""
    soundfile = _require("soundfile")
    if not data:
        raise UserError(f"{what} is empty")
    header = containers.parse(data)
    _check_rate(header.rate, what)
    blocks: list[np.ndarray] = []
    try:
        with soundfile.SoundFile(_Bytes(header.data)) as file:
            rate, subtype, frames = file.samplerate, file.subtype, file.frames
            _check_rate(rate, what)
            dtype = "float64" if subtype == "DOUBLE" else "float32"
            # Of a file that is cut short, the blocks before the cut can be read.
            while len(block := file.read(_BLOCK, dtype, always_2d=True)):
                blocks.append(block)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        if not blocks:
            reason = getattr(error, "error_string", str(error))
            state = "damaged or of an unknown format"
            if header.declared and header.present < header.declared:
                state = f"cut short, at {header.present:,} of {header.declared:,} bytes"
            raise UserError(
                f"{what} is {state}: {' '.join(reason.split()).rstrip('.')}; convert "
                "it, for example by `ffmpeg -i FILE sound.wav`"
            ) from error
    if not blocks:
        raise UserError(f"{what} has no samples")
    samples = np.concatenate(blocks)
    if header.declared and header.present < header.declared:
        frames = math.ceil(len(samples) * header.declared / header.present)
    slack = 0
    if subtype in _MPEG:
        # Without a length in the file, libsndfile estimates one.
        slack = _MPEG_SLACK if containers.has_mpeg_length(data) else frames
    if len(samples) < frames - slack:
        logger.warning(
            "%s is cut short: %d of the %d samples that its header declares are there "
            "and read",
            *(what, len(samples), frames),
        )
    if not np.isfinite(samples).all():
        raise UserError(
            f"{what} has {np.count_nonzero(~np.isfinite(samples))} samples that are not "
            "numbers: write it without NaN and infinity"
        )
    peak = np.abs(samples).max()
    if subtype in ("FLOAT", "DOUBLE") and peak > 1:
        logger.warning(
            "%s has samples up to %.4g, beyond 1: all are divided by that; write samples "
            "in [-1, 1] to keep their level",
            *(what, peak),
        )
        samples = samples / peak
    return samples, rate


class _Bytes(io.BytesIO):
    """Ignores a seek before the start, which damaged files have libsndfile attempt.

    An exception in this callback would be printed with its traceback, not raised.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _check_rate(rate: int | None, what: str) -> None:
    if rate is not None and not RATES[0] <= rate <= RATES[1]:
        raise UserError(
            f"{what} declares a rate of {rate} Hz: from {RATES[0]} to {RATES[1]} Hz can "
            "be read"
        )


def _as_wave(samples: np.ndarray, rate: int, sample_rate: int, what: str) -> np.ndarray:
    """One channel float32 [N] in [-1, 1] at the sample rate."""
    wave = resample(samples.mean(axis=1), rate, sample_rate)
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
