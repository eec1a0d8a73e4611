"""Reading, writing and resampling of sound files."""

import io
import logging
import math
import os
from pathlib import Path

import numpy as np

from regen_jax.errors import UserError
from regen_jax.extras import require
from regen_jax.files import write_atomically
from regen_jax.modalities.audio import containers

_BLOCK_SIZE = 1024
RATES = 1_000, 768_000
"""Minimum and maximum sample rate of files that can be read, in Hz."""
_MPEG = ("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
_MPEG_SLACK = 1152
"""Samples by which MPEG decoders may differ from the header: one frame."""

_NEEDED_FOR = "speech", "sound"
"""The extra of the packages, and what needs them."""

logger = logging.getLogger("regen_jax")


def read(path: str | os.PathLike, sample_rate: int) -> np.ndarray:
    """Reads a sound file as a single channel.

    Supported are WAV, FLAC, OGG and other formats of libsndfile, of 8 to 32 bits or
    floating point. Other rates are resampled, and channels are averaged. Floating-point
    samples beyond [-1, 1] are divided by their peak, and a truncated file is read up to
    its end. Each of these is logged in one line.

    Args:
      path: `~` is expanded.
      sample_rate: Hz.

    Returns:
      f32[N] in [-1, 1].

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
    label = f"sound file {str(path)!r}"
    samples, rate = _decode(data, label)
    if rate != sample_rate or samples.shape[1] > 1:
        logger.info(
            "%s: %d Hz, %d channels; converted to %d Hz and one channel",
            *(label, rate, samples.shape[1], sample_rate),
        )
    return _as_wave(samples, rate, sample_rate, label)


def decode(data: bytes, sample_rate: int, label: str) -> np.ndarray:
    """Decodes the bytes of a sound file like `read`; messages begin with `label`."""
    samples, rate = _decode(data, label)
    return _as_wave(samples, rate, sample_rate, label)


def _decode(data: bytes, label: str) -> tuple[np.ndarray, int]:
    """Decodes samples float[N, channels], nominally in [-1, 1], and their rate in Hz."""
    soundfile = require("soundfile", *_NEEDED_FOR)
    if not data:
        raise UserError(f"{label} is empty")
    header = containers.parse(data)
    _check_rate(header.rate, label)
    blocks: list[np.ndarray] = []
    try:
        with soundfile.SoundFile(_Bytes(header.data)) as file:
            rate, subtype, frames = file.samplerate, file.subtype, file.frames
            _check_rate(rate, label)
            dtype = "float64" if subtype == "DOUBLE" else "float32"
            # Of a truncated file, the blocks before its end can be read.
            while len(block := file.read(_BLOCK_SIZE, dtype, always_2d=True)):
                blocks.append(block)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        if not blocks:
            reason = getattr(error, "error_string", str(error))
            state = "damaged or of an unknown format"
            if header.declared and header.present < header.declared:
                state = f"cut short, at {header.present:,} of {header.declared:,} bytes"
            raise UserError(
                f"{label} is {state}: {' '.join(reason.split()).rstrip('.')}; convert "
                "it, for example by `ffmpeg -i FILE sound.wav`"
            ) from error
    if not blocks:
        raise UserError(f"{label} has no samples")
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
            *(label, len(samples), frames),
        )
    if not np.isfinite(samples).all():
        raise UserError(
            f"{label} has {np.count_nonzero(~np.isfinite(samples))} samples that are not "
            "numbers: write it without NaN and infinity"
        )
    peak = np.abs(samples).max()
    if subtype in ("FLOAT", "DOUBLE") and peak > 1:
        logger.warning(
            "%s has samples up to %.4g, beyond 1: all are divided by that; write samples "
            "in [-1, 1] to keep their level",
            *(label, peak),
        )
        samples = samples / peak
    return samples, rate


class _Bytes(io.BytesIO):
    """Ignores seeks before the start, which libsndfile attempts in damaged files.

    An exception in this callback would be printed with its traceback, not raised.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _check_rate(rate: int | None, label: str) -> None:
    if rate is not None and not RATES[0] <= rate <= RATES[1]:
        raise UserError(
            f"{label} declares a rate of {rate} Hz: from {RATES[0]} to {RATES[1]} Hz can "
            "be read"
        )


def _as_wave(
    samples: np.ndarray, rate: int, sample_rate: int, label: str
) -> np.ndarray:
    """Converts [N, channels] to one channel f32[N] in [-1, 1] at the sample rate."""
    wave = resample(samples.mean(axis=1), rate, sample_rate)
    if not len(wave):
        raise UserError(f"{label} has no samples")
    return np.clip(wave, -1, 1)


def write(path: str | os.PathLike, wave: np.ndarray, sample_rate: int) -> None:
    """Writes a wave as a 16-bit WAV file of one channel.

    Args:
      path: path of the file.
      wave: float[N], clipped to [-1, 1].
      sample_rate: Hz.

    Raises:
      UserError: the folder does not exist or its disk is full, where a former file is
        unchanged, or the package `soundfile` is missing.
    """
    soundfile = require("soundfile", *_NEEDED_FOR)
    content = io.BytesIO()
    try:
        soundfile.write(
            content, to_int16(wave), sample_rate, format="WAV", subtype="PCM_16"
        )
        write_atomically(Path(path), content.getvalue())
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(
            f"cannot write the sound file {str(path)!r}: {' '.join(str(error).split())}"
        ) from error


def resample(wave: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Resamples a wave from `rate` to `new_rate`, both in Hz.

    Args:
      wave: float[N].
      rate: sample rate of the wave.
      new_rate: sample rate of the result.

    Returns:
      f32[M], M about N * new_rate / rate.

    Raises:
      UserError: the package `soxr` is missing.
    """
    wave = np.asarray(wave, np.float32)
    if rate == new_rate:
        return wave
    return require("soxr", *_NEEDED_FOR).resample(wave, rate, new_rate, quality="HQ")


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Converts samples in [-1, 1] to i16; others are clipped."""
    return np.clip(np.rint(np.asarray(wave) * 2**15), -(2**15), 2**15 - 1).astype(
        np.int16
    )
