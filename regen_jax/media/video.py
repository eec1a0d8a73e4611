"""Clips as GIF and MP4 files, in grids, and as strips of frames."""

import dataclasses
import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regen_jax import extras, files
from regen_jax.media.image_grid import image_grid

_PERIOD = 10
"""Milliseconds that the duration of a frame in a GIF is a multiple of."""
_TIME_BASE = 90_000
"""Ticks per second of the times in an MP4 file."""


@dataclasses.dataclass(frozen=True)
class Video:
    """A clip, and the sound that belongs to it.

    Attributes:
      frames: u8[T, H, W, 3].
      rate: frames per second.
      sound: a wave f32[N] in [-1, 1]; None for none.
      sample_rate: of the sound, in Hz.
    """

    frames: np.ndarray
    rate: float
    sound: np.ndarray | None = None
    sample_rate: int = 0

    def __post_init__(self):
        frames = self.frames
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise ValueError(
                "a video needs uint8 [T, H, W, 3], "
                f"not {frames.dtype} {list(frames.shape)}"
            )
        if not frames.size:
            raise ValueError(f"a video needs frames, not {list(frames.shape)}")


def encode_gif(video: Video) -> bytes:
    """Returns the frames as an animated GIF that repeats.

    Its durations are multiples of 10 ms, the nearest ones: the whole has the right length.
    """
    ends = np.arange(1, len(video.frames) + 1) * (1000 / video.rate / _PERIOD)
    durations = np.diff(np.round(ends), prepend=0).astype(int) * _PERIOD
    first, *others = map(Image.fromarray, video.frames)
    file = io.BytesIO()
    first.save(
        file,
        format="GIF",
        save_all=True,
        append_images=others,
        duration=np.maximum(durations, _PERIOD).tolist(),
        loop=0,
    )
    return file.getvalue()


def write_mp4(path: str | Path, video: Video) -> None:
    """Writes frames as H.264 and the sound as AAC; odd sizes gain a row or column.

    A sound is resampled to the nearest sample rate that AAC has, if its own is none.

    Raises:
      UserError: PyAV is not installed.
      OSError: the file cannot be written; the former one is unchanged.
    """
    av = extras.require("av", "video", "an MP4 file")
    frames = _with_even_sizes(video.frames)
    with (
        files.replaced(Path(path)) as partial,
        av.open(str(partial), "w", format="mp4") as container,
    ):
        rate = Fraction(video.rate).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options={"crf": "16"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        sound = None
        if video.sound is not None:
            rates = av.Codec("aac", "w").audio_rates
            nearest = min(rates, key=lambda rate: abs(rate - video.sample_rate))
            sound = container.add_stream("aac", rate=nearest, layout="mono")
        for index, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array))
            frame.pts = round(index * _TIME_BASE / rate)
            frame.time_base = Fraction(1, _TIME_BASE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _mux_sound(av, container, sound, video)


def video_grid(
    clips: np.ndarray, columns: int, *, captions: Sequence[str] = (), scale: int = 2
) -> np.ndarray:
    """Lays out clips that run beside one another, as `image_grid` does images.

    Args:
      clips: u8[N, T, H, W, C] with 1 or 3 channels.
      columns: clips per row.
      captions: text below each clip, or empty.
      scale: integer factor by which clips are enlarged.

    Returns:
      u8[T, H', W', 3].
    """
    frames = [
        image_grid(images, columns, captions=captions, scale=scale)
        for images in np.moveaxis(clips, 1, 0)
    ]
    return np.stack([np.broadcast_to(f, (*f.shape[:2], 3)) for f in frames])


def film_strip(
    clips: np.ndarray,
    num_frames: int,
    *,
    labels: Sequence[str] = (),
    scale: int = 2,
    num_source: int = 0,
) -> np.ndarray:
    """Lays out frames of clips as a picture, one row per clip from left to right.

    Args:
      clips: u8[N, T, H, W, C] with 1 or 3 channels.
      num_frames: the most frames of each clip, evenly spread from first to last.
      labels: text at the left of each row, or empty.
      scale: integer factor by which frames are enlarged.
      num_source: first frames of each clip that are given, not generated: `source` stands
        above their columns.

    Returns:
      u8[H', W', C].
    """
    length = clips.shape[1]
    count = min(num_frames, length)
    chosen = np.linspace(0, length - 1, count).round().astype(int)
    frames = clips[:, chosen].reshape(-1, *clips.shape[2:])
    above = ["source" if frame < num_source else "" for frame in chosen]
    return image_grid(
        frames,
        count,
        row_labels=labels,
        column_labels=above if num_source else (),
        scale=scale,
        gap=4,
    )


def _with_even_sizes(frames: np.ndarray) -> np.ndarray:
    """Repeats the last row or column of frames [T, H, W, C] of an odd height or width."""
    odd = [(0, size % 2) for size in frames.shape[1:3]]
    return np.pad(frames, ((0, 0), *odd, (0, 0)), mode="edge")


def _mux_sound(av: Any, container: Any, stream: Any, video: Video) -> None:
    """Encodes the sound of a video into a stream of an open file."""
    wave = np.clip(np.asarray(video.sound, np.float32), -1, 1)
    rate = stream.codec_context.sample_rate
    if rate != video.sample_rate and len(wave):
        resampler = av.AudioResampler("fltp", "mono", rate)
        whole = _audio_frame(av, wave, video.sample_rate)
        frames = [*resampler.resample(whole), *resampler.resample(None)]
        wave = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    size = stream.codec_context.frame_size or 1024
    for start in range(0, len(wave), size):
        frame = _audio_frame(av, wave[start : start + size], rate)
        frame.pts = start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _audio_frame(av: Any, wave: np.ndarray, rate: int) -> Any:
    """Returns a wave f32[N] as a frame of PyAV, from time 0 on."""
    wave = np.ascontiguousarray(wave[None])
    frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    frame.time_base = Fraction(1, rate)
    return frame
