"""Reading of video files."""

import logging
import math
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from regen_jax.errors import UserError
from regen_jax.extras import require
from regen_jax.modalities.image.resize import resize_and_crop, resize_short_side

MIN_RATE, MAX_RATE = 0.01, 1000.0
"""The least and the most frames per second of clips that are read and written."""

_MAX_REPEATS = 1000
"""The most times that a frame is repeated on average, to reach a constant rate."""

logger = logging.getLogger("regen_jax")


class Clip(NamedTuple):
    """Frames at a constant rate.

    Attributes:
      frames: u8[T, H, W, 3].
      rate: frames per second.
    """

    frames: np.ndarray
    rate: float


def read(
    path: str | os.PathLike,
    *,
    rate: float | None = None,
    short_side: int | None = None,
    size: int | None = None,
    num_frames: int | None = None,
) -> Clip:
    """Reads the video of a file by PyAV; its sound, if it has any, is ignored.

    Frames are converted to RGB from any pixel format, turned and flipped as the file says
    they are to be shown, and widened or narrowed to square pixels. Where `rate` is another
    one than that of the file, or the file has a variable rate, the frame at each time is
    the one that is shown then. A file that is damaged after some frames is read up to
    there. Each of these but the colors is logged in one line.

    Args:
      path: `~` is expanded.
      rate: frames per second; None for the average rate of the file.
      short_side: pixels of the shorter side; None for that of the file.
      size: height and width of the central square of each frame, in place of
        `short_side`; None for whole frames.
      num_frames: reads the first frames alone, at most as many; None for all.

    Raises:
      UserError: the file is missing, empty, damaged or of an unknown format, has no
        video or no frames, is to be shown turned by another angle than multiples of 90
        degrees, or the package `av` is missing.
    """
    av = require("av", "video", "video")
    file, label = os.path.expanduser(path), f"video file {str(path)!r}"
    if os.path.isdir(file):
        raise UserError(f"{str(path)!r} is a folder, not a video file")
    if not os.path.isfile(file):
        raise UserError(f"there is no video file {str(path)!r}")
    if not os.path.getsize(file):
        raise UserError(f"{label} is empty")

    def resize(image: Image.Image) -> np.ndarray:
        if size is not None:
            return resize_and_crop(image, size)
        return np.asarray(
            image if short_side is None else resize_short_side(image, short_side)
        )

    frames: list[np.ndarray] = []
    times: list[float] = []
    try:
        with av.open(file) as container:
            stream = _video_stream(av, container, label)
            declared = float(stream.average_rate or stream.guessed_rate or 0)
            for time, image in _images(container, stream, label):
                frames.append(resize(image))
                times.append(len(times) / (declared or 1) if time is None else time)
                if num_frames and _covers(times, rate or declared, num_frames):
                    break
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if not frames:
            raise UserError(
                f"{label} is damaged or of an unknown format: {' '.join(reason.split())}; "
                "convert it, for example by `ffmpeg -i FILE clip.mp4`"
            ) from error
        logger.warning(
            "%s is damaged after %d frames, which are read", label, len(times)
        )
    if not frames:
        raise UserError(f"{label} has no frames")
    if len(shapes := {frame.shape for frame in frames}) > 1:
        raise UserError(
            f"{label} changes the size of its frames: {sorted(shapes)}; convert it to one"
        )
    return _at_constant_rate(
        np.stack(frames), np.array(times), declared, rate, num_frames, label
    )


def check_rate(rate: float, origin: str) -> None:
    """Raises a UserError where clips of that many frames per second cannot be written.

    Args:
      rate: frames per second.
      origin: what has that rate, the subject of the error.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UserError(
            f"{origin} has {rate:g} frames/s: {MIN_RATE:g} to {MAX_RATE:g} can be written"
        )


def _covers(times: list[float], rate: float, num_frames: int) -> bool:
    """Returns whether frames at those times suffice for `num_frames` at a rate."""
    span = times[-1] - times[0]
    # One more, as the file may turn out to have a variable rate.
    return len(times) > num_frames and (not rate or span * rate > num_frames)


def _video_stream(av: Any, container: Any, label: str) -> Any:
    """Returns the first stream of video that is no picture on the cover of a sound."""
    cover = av.stream.Disposition.attached_pic
    for stream in container.streams.video:
        if not stream.disposition & cover:
            stream.thread_type = "AUTO"
            return stream
    kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
    raise UserError(f"{label} has no video: it holds {' and '.join(kinds)}")


def _images(
    container: Any, stream: Any, label: str
) -> Iterator[tuple[float | None, Image.Image]]:
    """Yields the time in seconds, if there is one, and the RGB picture of each frame."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    is_first = True
    for frame in container.decode(stream):
        width = max(1, round(frame.width * aspect))
        pixels = frame.reformat(width=width, format="rgb24").to_ndarray()
        signs = _display_signs(frame, label)
        is_unchanged = np.array_equal(signs, np.eye(2))
        if is_first:
            done = [_in_words(signs)] * (not is_unchanged)
            shape = f"{aspect.numerator}:{aspect.denominator}"
            done += [f"pixels of {shape} made square"] * (aspect != 1)
            if done:
                logger.info("%s: %s", label, ", ".join(done))
        is_first = False
        if not is_unchanged:
            # Points (column, row) are rows, which `signs` multiplies from the right.
            pixels = pixels if signs[0, 0] else pixels.swapaxes(0, 1)
            columns, rows = signs.sum(axis=0)
            pixels = np.ascontiguousarray(pixels[::rows, ::columns])
        yield frame.time, Image.fromarray(pixels)


def _display_signs(frame: Any, label: str) -> np.ndarray:
    """Returns where a frame is to be shown, as a signed permutation matrix i64[2, 2].

    Its side data have a matrix that maps points (column, row) as rows, in 16.16 fixed
    point (ISO/IEC 14496-12). Scales are ignored; one that is singular counts as none.

    Raises:
      UserError: it is another one than of turns by 90 degrees and flips.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return np.eye(2, dtype=int)
    matrix = np.frombuffer(bytes(data), "=i4").reshape(3, 3)[:2, :2] / 2**16
    scales = np.linalg.norm(matrix, axis=1, keepdims=True)
    if abs(np.linalg.det(matrix)) <= 1e-3 * scales.prod():
        return np.eye(2, dtype=int)
    matrix /= scales
    signs = np.rint(matrix).astype(int)
    if not np.allclose(matrix, signs, atol=0.01):
        raise UserError(
            f"{label} is to be shown by the matrix {matrix.round(3).tolist()}: turns by "
            "multiples of 90 degrees and flips can be read; convert it, for example by "
            "`ffmpeg -i FILE clip.mp4`"
        )
    return signs


def _in_words(signs: np.ndarray) -> str:
    """Describes a signed permutation matrix as a flip and a turn counterclockwise."""
    is_flipped = np.linalg.det(signs) < 0
    columns, rows = -signs[0] if is_flipped else signs[0]
    angle = round(math.degrees(math.atan2(-rows, columns))) % 360
    return f"{'flipped left to right, ' if is_flipped else ''}turned by {angle} degrees"


def _at_constant_rate(
    frames: np.ndarray,
    times: np.ndarray,
    declared: float,
    rate: float | None,
    num_frames: int | None,
    label: str,
) -> Clip:
    """Returns frames [T, …], shown from times [T] in seconds on, at a constant rate.

    Args:
      frames: in the order they are shown.
      times: of the file, or multiples of the declared rate.
      declared: frames per second that the file declares; 0 for none.
      rate: that of the clip; None for the average rate.
      num_frames: the most frames of the clip; None for all.
      label: of the file, for messages.

    Raises:
      UserError: the file declares no rate and has no times, or a rate above `MAX_RATE`,
        or all frames of a clip are asked for that has more than `_MAX_REPEATS` times as
        many as the file.
    """
    times = np.maximum.accumulate(times - times[0])
    average = (len(times) - 1) / times[-1] if times[-1] > 0 else declared
    if not 0 < average <= MAX_RATE or not math.isfinite(average):
        raise UserError(
            f"{label} declares a rate of {average:g} frames/s: above 0 and up to "
            f"{MAX_RATE:g} can be read"
        )
    is_constant = np.all(np.abs(times * average - np.arange(len(times))) < 0.5)
    # A rate of 30000/1001 is stored in milliseconds by some formats.
    unchanged = rate is None or abs(rate / average - 1) < 0.005
    if is_constant and unchanged:
        # What a file declares is more exact than its times.
        is_declared = abs(declared / average - 1) < 0.005
        kept_rate = rate or (declared if is_declared else average)
        return Clip(frames[:num_frames], kept_rate)
    new_rate = rate or average
    number = max(1, round((times[-1] + 1 / average) * new_rate))
    if num_frames:
        number = min(number, num_frames)
    elif number > _MAX_REPEATS * len(times):
        gap = np.diff(times).max()
        raise UserError(
            f"{label} shows one frame for {gap:.6g} s: {len(times)} frames would become "
            f"{number} at {new_rate:g} frames/s; convert it to a constant rate first"
        )
    shown = np.searchsorted(times, np.arange(number) / new_rate + 1e-6, "right") - 1
    logger.info(
        "%s: %s rate of %.4g frames/s; converted to %.4g frames/s by the frames shown",
        *(label, "constant" if is_constant else "variable", average, new_rate),
    )
    return Clip(frames[shown], new_rate)
