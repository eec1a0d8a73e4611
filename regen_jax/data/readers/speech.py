"""Speech beside its text, as the two speech tasks read it."""

import dataclasses
import functools
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval

from regen_jax.data.host_features import Origin
from regen_jax.data.readers.digit_strings import JoinedDigits, open_joined_digits
from regen_jax.data.readers.speech_recordings import open_recordings
from regen_jax.data.tfds import prepared
from regen_jax.errors import UserError
from regen_jax.interfaces import CoreList
from regen_jax.modalities.audio import files
from regen_jax.modalities.text import characters
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Tokens

logger = logging.getLogger("regen_jax")

ALPHABETS = {"english": characters.ENGLISH, "spanish": characters.SPANISH}


@dataclasses.dataclass(frozen=True)
class SpeechOptions:
    """`config.data` of a speech task.

    Attributes:
      name: a prepared set: `spoken_bible` (a synthetic voice that reads real texts),
        `tuxpaint_spanish`, `ljspeech` or another TFDS set of recordings with texts, or
        `spoken_digits` (people's recordings as MFCC, joined to strings).
      dir: where it is prepared; TFDS's default folder if empty.
      alphabet: `english` or `spanish`.
      max_characters: of a text; longer ones are left out.
      max_seconds: of a recording; longer ones are left out.
      sample_rate: to which recordings are brought, in Hz.
      max_digits: most digits in a string of `spoken_digits`; held-out strings of more are
        left out.
    """

    name: str = "spoken_bible"
    dir: str = ""
    alphabet: str = "english"
    max_characters: Count = 40
    max_seconds: Annotated[float, Interval(gt=0, le=3600)] = 2.048
    sample_rate: Annotated[int, Interval(ge=files.RATES[0], le=files.RATES[1])] = 16_000
    max_digits: Count = 5

    def __post_init__(self):
        if self.alphabet not in ALPHABETS:
            raise ValueError(
                f"alphabet must be one of {', '.join(ALPHABETS)}, not {self.alphabet!r}"
            )
        for name in ("max_characters", "max_seconds", "sample_rate", "max_digits"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be above 0 and finite, not {getattr(self, name)}"
                )

        if not round(self.max_seconds * self.sample_rate):
            raise ValueError(
                f"max_seconds must be at least a sample, {1 / self.sample_rate:.1e}, not "
                f"{self.max_seconds}"
            )

    @property
    def text(self) -> Tokens:
        """The space of texts."""
        return characters.character_space(self.max_characters, ALPHABETS[self.alphabet])

    @property
    def wave(self) -> Array:
        """The space of waves at the sample rate."""
        samples = round(self.max_seconds * self.sample_rate)
        return Array((samples,), -1.0, 1.0, padded=True)

    def encode(self, text: str) -> np.ndarray:
        """Ids int32[max_characters] of a text as a user writes it; `UserError`."""
        return characters.encode(self.text, characters.normalize(text))

    def decode(self, ids: np.ndarray) -> list[str]:
        """Texts of ids int[N, max_characters]."""
        return [characters.decode_text(self.text, row) for row in np.asarray(ids)]

    def core_list(self, split: str) -> CoreList:
        """All of a held-out split whose texts have a letter.

        Those left out for these options, `{"text": …}`, are the ones too long.
        """
        speech = open_speech(self, split)
        too_long = tuple({"text": text} for text in speech.left_out)
        return CoreList(np.arange(len(speech)), too_long)

    def read_wave(self, path: str) -> Padded:
        """The wave in a file; `UserError` where it cannot be used."""
        wave = files.read(path, self.sample_rate)
        most = self.wave.shape[0]
        if len(wave) > most:
            raise UserError(
                f"{path} lasts {len(wave) / self.sample_rate:.2f} s: at most "
                f"{most / self.sample_rate:.2f} s fit (config.data.max_seconds)"
            )
        return _padded(wave, most)


@dataclasses.dataclass(frozen=True)
class Speech:
    """Pairs of speech and text, by index, with whatever else the set says of them.

    `self[i]` has `speech` (`Padded` of `space`) and `text` (ids).

    Attributes:
      examples: what `self[i]` reads.
      space: of the speech.
      left_out: texts of the examples that do not fit the options.
      origin: of the prepared set, where an index always is the same example.
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
      x, y: which is the source and which the target: `speech` and `text`, or the other
        way round.
    """

    speech: Speech
    x: str
    y: str

    @property
    def origin(self) -> Origin | None:
        return self.speech.origin

    def __len__(self) -> int:
        return len(self.speech)

    def __getitem__(self, index: int) -> dict[str, Any]:
        found = dict(self.speech[index])
        return {"x": found.pop(self.x), "y": found.pop(self.y), **found}


@functools.lru_cache(maxsize=8)
def open_speech(options: SpeechOptions, split: str) -> Speech:
    """Opens a prepared set; `UserError` where it is missing or not one of speech."""
    return READERS.get(options.name, _read_recordings)(options, split)


def _read_recordings(options: SpeechOptions, split: str) -> Speech:
    found = open_recordings(
        options.name,
        split,
        options.dir,
        options.sample_rate,
        options.max_seconds,
        ALPHABETS[options.alphabet],
    )
    texts = [example["text"] for example in found]
    longer = [text for text in texts if len(text) > options.max_characters]
    rows = [i for i, text in enumerate(texts) if len(text) <= options.max_characters]
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
    left_out = [*found.too_long, *filter(None, found.unwritable), *longer]
    folder = prepared.require(options.name, split, options.dir).data_dir
    origin = Origin(Path(folder), f"{options} {split}")
    return Speech(_Waves(found, rows, options), options.wave, tuple(left_out), origin)


def _read_digits(options: SpeechOptions, split: str) -> Speech:
    strings = open_joined_digits(split, options.dir, max_digits=options.max_digits)
    if strings.y.length > options.max_characters:
        raise UserError(
            f"strings of {options.max_digits} digits have up to {strings.y.length} "
            f"characters: config.data.max_characters {options.max_characters} is too few"
        )
    if strings.too_long:
        logger.info(
            "%s (%s): left out are %d strings of more than %d digits",
            *(options.name, split, len(strings.too_long), options.max_digits),
        )
    examples = _Strings(strings, options.max_characters)
    return Speech(examples, strings.x, strings.too_long)


READERS: dict[str, Callable[[SpeechOptions, str], Speech]] = {
    "spoken_digits": _read_digits
}
"""Sets that are not recordings with texts."""


@dataclasses.dataclass(frozen=True)
class _Waves:
    recordings: Sequence[dict[str, Any]]
    rows: list[int]
    options: SpeechOptions

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        found = dict(self.recordings[self.rows[index]])
        wave = found.pop("audio").astype(np.float32) / 32768
        return found | {
            "speech": _padded(wave, self.options.wave.shape[0]),
            "text": characters.encode(self.options.text, found["text"]),
        }


@dataclasses.dataclass(frozen=True)
class _Strings:
    strings: JoinedDigits
    length: int

    def __len__(self) -> int:
        return len(self.strings)

    def __getitem__(self, index: int) -> dict[str, Any]:
        found = self.strings[index]
        text = np.pad(found["y"], (0, self.length - len(found["y"])))
        return {"speech": found["x"], "text": text}


def _padded(wave: np.ndarray, size: int) -> Padded:
    return Padded(
        np.pad(wave.astype(np.float32), (0, size - len(wave))), np.int32(len(wave))
    )
