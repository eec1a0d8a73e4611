"""Reads clips of talking faces with their sound."""

import dataclasses
import functools
import io
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.readers import raw_records
from regen_jax.data.tfds import prepared
from regen_jax.errors import LimitError, UserError
from regen_jax.modalities.audio import files
from regen_jax.modalities.faces.face import SIZE
from regen_jax.modalities.faces.likeness import drawn_snr
from regen_jax.modalities.image.files import read_picture
from regen_jax.spaces import Padded

FEATURES = ("audio", "frames", "text", "tracks")
MIN_SNR = 4.5
"""Decibels of `drawn_snr` below which a picture is taken for no face of the renderer."""
logger = logging.getLogger("regen_jax")


@dataclasses.dataclass(frozen=True, eq=False)
class TalkingFaces:
    """Random access to clips; longer ones are cut to their first `num_frames`.

    `self[i]` has `speech`, a `Padded` f32[num_frames, S] of S samples per frame in
    [-1, 1], `picture` u8[H, W, 3], the first frame, `clip`, a `Padded`
    u8[num_frames, H, W, 3], `text`, and the true `tracks` f32[T, 7].

    Attributes:
      records: with arrays `audio` i16[N], `frames` u8[T, H, W, 3] and `tracks`.
      num_frames: T of the longest clip that is returned.
      rate: frames per second.
      sample_rate: of the sound, in Hz.
    """

    records: Sequence[dict[str, Any]] = dataclasses.field(repr=False)
    num_frames: int
    rate: int
    sample_rate: int

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = self.records[index]
        frames = record["frames"][: self.num_frames]
        wave = record["audio"].astype(np.float32) / 2**15
        size = self.sample_rate // self.rate
        speech = wave[: len(frames) * size].reshape(-1, size)
        return {
            "speech": pad(speech, self.num_frames),
            "picture": frames[0],
            "clip": pad(frames, self.num_frames),
            "text": record["text"].decode(),
            "tracks": record["tracks"][: self.num_frames],
        }


@functools.lru_cache(maxsize=8)
def open_talking_faces(
    name: str, split: str, num_frames: int, data_dir: str = ""
) -> TalkingFaces:
    """Opens a split of a prepared set with the features of `talking_faces`.

    Args:
      name: of the set.
      split: see `raw_records.load`.
      num_frames: of the longest clip; longer ones are cut.
      data_dir: the folder that holds the sets; TFDS's default if empty.

    Raises:
      UserError: the set is not prepared in that folder, lacks the split or a feature, is
        damaged, or has an audio that does not fit its frames.
    """
    builder = prepared.require(name, split, data_dir)
    metadata = builder.info.metadata or {}
    if not (
        set(FEATURES) <= set(builder.info.features)
        and {"sample_rate", "frame_rate"} <= set(metadata)
    ):
        raise UserError(
            f"data set {name!r} has the features "
            f"{', '.join(sorted(builder.info.features))}: needed are "
            f"{', '.join(FEATURES)}, and the metadata sample_rate and frame_rate"
        )
    rate, sample_rate = metadata["frame_rate"], metadata["sample_rate"]
    decoders = {"frames": tfds.decode.SkipDecoding()}
    try:
        source = raw_records.open_source(builder, split, decoders)
        records = [_decode(record) for record in source]
    except (OSError, RuntimeError) as error:
        raise prepared.damaged(name, builder.data_dir, data_dir) from error
    for record in records:
        if len(record["audio"]) * rate != len(record["frames"]) * sample_rate:
            raise UserError(
                f"data set {name!r} has a clip of {len(record['frames'])} frames with "
                f"{len(record['audio'])} samples: needed are {sample_rate / rate:g} "
                "samples per frame"
            )
    return TalkingFaces(records, num_frames, rate, sample_rate)


def pad(values: np.ndarray, size: int) -> Padded:
    """Pads values [T, …] with zeros to [size, …]."""
    padding = [(0, size - len(values))] + [(0, 0)] * (values.ndim - 1)
    return Padded(np.pad(values, padding), np.int32(len(values)))


def read_speech(path: str, num_frames: int, rate: int, sample_rate: int) -> Padded:
    """Reads a sound file as the speech of a clip, whose last frame is filled up.

    Returns:
      f32[num_frames, samples per frame].

    Raises:
      UserError: it cannot be read.
      LimitError: it lasts longer than the frames.
    """
    wave = files.read(path, sample_rate)
    size = sample_rate // rate
    count = -(-len(wave) // size)
    if count > num_frames:
        raise LimitError(
            f"{path} lasts {count / rate:.2f} s in whole frames",
            f"at most {num_frames / rate:.2f} s of speech fit; train with a larger "
            "config.data.max_seconds, or with a prior that joins chunks",
            {"max_seconds": count / rate},
        )
    wave = np.pad(wave, (0, count * size - len(wave)))
    return pad(wave.reshape(count, size), num_frames)


def read_face(path: str) -> np.ndarray:
    """Reads the picture of a face that the renderer draws, u8[SIZE, SIZE, 3].

    Raises:
      UserError: it cannot be read, see `read_picture`, or is no such face.
    """
    picture = read_picture(path, SIZE)
    if (snr := drawn_snr(picture)) < MIN_SNR:
        raise UserError(
            f"picture {path!r} is not a face that the renderer draws (SNR {snr:.1f} dB, "
            f"below {MIN_SNR:g}): use the first frame of a clip"
        )
    return picture


def _decode(record: dict[str, Any]) -> dict[str, Any]:
    """Returns a record with its frames u8[T, W, W, 3] in place of the PNG file."""
    with Image.open(io.BytesIO(record["frames"])) as image:
        film = np.asarray(image.convert("RGB"))
    width = film.shape[1]
    return record | {"frames": film.reshape(-1, width, width, 3)}
