"""Reads speech beside its text, for the two speech tasks."""

import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Interval

from regen_jax.data.host_features import Origin
from regen_jax.data.readers import digit_strings
from regen_jax.data.readers.digit_strings import open_digit_strings
from regen_jax.data.readers.raw_records import ParsedRecords
from regen_jax.data.readers.speech_recordings import open_recordings
from regen_jax.data.tfds import prepared
from regen_jax.data.tfds.splits import SetOptions
from regen_jax.errors import UserError
from regen_jax.interfaces import CoreList
from regen_jax.modalities.audio import files
from regen_jax.modalities.text import characters
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Tokens

logger = logging.getLogger("regen_jax")

ALPHABETS = {"english": characters.ENGLISH, "spanish": characters.SPANISH}


@dataclasses.dataclass(frozen=True)
class SpeechOptions(SetOptions):
    """`config.data` of a speech task.

    Attributes:
      name: of a prepared set of recordings with texts, such as `spoken_bible` (a
        synthetic voice), `tuxpaint_spanish` or `ljspeech`; or of one of single digits
        as MFCC, such as `spoken_digits`, which are joined to strings.
      alphabet: `english` or `spanish`.
      max_characters: of a text; examples with longer ones are left out.
      max_seconds: of a recording; longer ones are left out.
      sample_rate: to which recordings are resampled, in Hz.
      max_digits: most digits of a string; held-out strings of more are left out.
    """

    name: str = "spoken_bible"
    alphabet: Literal["english", "spanish"] = "english"
    max_characters: Count = 40
    max_seconds: Annotated[float, Interval(gt=0, le=3600)] = 2.048
    sample_rate: Annotated[int, Interval(ge=files.RATES[0], le=files.RATES[1])] = 16_000
    max_digits: Count = 5

    def __post_init__(self):
        super().__post_init__()
        if not round(self.max_seconds * self.sample_rate):
            raise ValueError(
                f"max_seconds must be at least a sample, {1 / self.sample_rate:.1e}, "
                f"not {self.max_seconds}"
            )

    @property
    def text(self) -> Tokens:
        """The space of texts in characters."""
        return characters.character_space(self.max_characters, ALPHABETS[self.alphabet])

    @property
    def wave(self) -> Array:
        """The space of waves at the sample rate."""
        samples = round(self.max_seconds * self.sample_rate)
        return Array((samples,), -1.0, 1.0, padded=True)

    def encode(self, text: str) -> np.ndarray:
        """Encodes a text as a user writes it.

        Returns:
          Ids i32[max_characters].

        Raises:
          UserError: it is empty, too long or has an unknown character.
        """
        return characters.encode(self.text, characters.normalize(text))

    def decode(self, ids: np.ndarray) -> list[str]:
        """Decodes ids int[N, max_characters] to texts."""
        return [characters.decode_text(self.text, row) for row in np.asarray(ids)]

    def core_list(self, split: str) -> CoreList:
        """Returns the core list: the examples of a split whose texts have a letter.

        The examples that do not fit these options are its `too_long`, as `{"text": …}`.
        """
        speech = open_speech(self, split)
        too_long = tuple({"text": text} for text in speech.left_out)
        return CoreList(np.arange(len(speech)), too_long)

    def read_wave(self, path: str) -> Padded:
        """Reads a sound file, resampled to one channel at the sample rate.

        Raises:
          UserError: it cannot be read or is longer than `max_seconds`.
        """
        wave = files.read(path, self.sample_rate)
        max_samples = self.wave.shape[0]
        if len(wave) > max_samples:
            raise UserError(
                f"{path} lasts {len(wave) / self.sample_rate:.2f} s: at most "
                f"{max_samples / self.sample_rate:.2f} s fit (config.data.max_seconds)"
            )
        return _pad(wave, max_samples)


@dataclasses.dataclass(frozen=True)
class Speech:
    """Random access to pairs of speech and text, with metadata of the set.

    `self[i]` has `speech`, a `Padded` of `space`, and `text`, ids i32[max_characters].

    Attributes:
      examples: what `self[i]` reads.
      space: of the speech.
      left_out: texts of the examples that do not fit the options.
      origin: identifies the examples; None if they depend on more than the prepared
        set.
    """

    examples: Sequence[dict[str, Any]] = dataclasses.field(repr=False)
    space: Array
    left_out: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    origin: Origin | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.examples[index]


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Speech as the examples of a task.

    Attributes:
      speech: the pairs.
      x: which of `speech` and `text` is the source.
      y: the other one, the target.
    """

    speech: Speech
    x: str
    y: str

    @property
    def origin(self) -> Origin | None:
        """Identifies the examples, for cached host features."""
        return self.speech.origin

    def __len__(self) -> int:
        return len(self.speech)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example = dict(self.speech[index])
        return {"x": example.pop(self.x), "y": example.pop(self.y), **example}


@functools.lru_cache(maxsize=8)
def open_speech(options: SpeechOptions, split: str) -> Speech:
    """Opens a split of a prepared set, by its features as recordings or digit strings.

    Raises:
      UserError: the set is not prepared, is damaged, lacks the split or a feature, or
        no example fits the options.
    """
    stored = options.splits.stored(split)
    features = prepared.require(options.name, stored, options.dir).info.features
    if set(digit_strings.FEATURES) <= set(features):
        return _open_digit_strings(options, split)
    return _open_recordings(options, stored)


def _open_recordings(options: SpeechOptions, split: str) -> Speech:
    recordings = open_recordings(
        options.name,
        split,
        options.dir,
        options.sample_rate,
        options.max_seconds,
        ALPHABETS[options.alphabet],
    )
    texts = [recording["text"] for recording in recordings]
    fits = [len(text) <= options.max_characters for text in texts]
    rows = [row for row, fit in enumerate(fits) if fit]
    longer = [text for text, fit in zip(texts, fits, strict=True) if not fit]
    if not rows:
        raise UserError(
            f"no text of {options.name!r} ({split}) has config.data.max_characters "
            f"{options.max_characters} or fewer"
        )
    if longer:
        logger.info(
            "%s (%s): left out are %d texts of more than %d characters",
            *(options.name, split, len(longer), options.max_characters),
        )
    left_out = [*recordings.too_long, *filter(None, recordings.unwritable), *longer]
    folder = prepared.require(options.name, split, options.dir).data_dir
    return Speech(
        ParsedRecords(recordings, rows, functools.partial(_recording_pair, options)),
        options.wave,
        tuple(left_out),
        Origin(Path(folder), f"{options} {split}"),
    )


def _open_digit_strings(options: SpeechOptions, split: str) -> Speech:
    strings = open_digit_strings(
        options.name,
        split,
        options.dir,
        max_digits=options.max_digits,
        splits=options.splits,
    )
    if strings.y.length > options.max_characters:
        raise UserError(
            f"strings of {options.max_digits} digits have up to {strings.y.length} "
            "characters: config.data.max_characters "
            f"{options.max_characters} is too few"
        )
    if strings.too_long:
        logger.info(
            "%s (%s): left out are %d strings of more than %d digits",
            *(options.name, split, len(strings.too_long), options.max_digits),
        )
    parse = functools.partial(_string_pair, options.max_characters)
    examples = ParsedRecords(strings, range(len(strings)), parse)
    return Speech(examples, strings.x, strings.too_long)


def _recording_pair(
    options: SpeechOptions, recording: dict[str, Any]
) -> dict[str, Any]:
    example = dict(recording)
    wave = example.pop("audio").astype(np.float32) / 32768
    return example | {
        "speech": _pad(wave, options.wave.shape[0]),
        "text": characters.encode(options.text, example["text"]),
    }


def _string_pair(max_characters: int, string: dict[str, Any]) -> dict[str, Any]:
    text = np.pad(string["y"], (0, max_characters - len(string["y"])))
    return {"speech": string["x"], "text": text}


def _pad(wave: np.ndarray, size: int) -> Padded:
    """Pads a wave [N] with zeros to f32[size]."""
    return Padded(
        np.pad(wave.astype(np.float32), (0, size - len(wave))), np.int32(len(wave))
    )
