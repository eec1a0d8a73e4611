"""Speech and phonemes by espeak-ng, from the library in `espeakng-loader`.

The interface is that of `speak_lib.h`, revision 12. The library has global state, so
calls are serialized, and `restart` resets it.
"""

import _ctypes
import ctypes
import functools
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from regen_jax.errors import UserError, quote
from regen_jax.extras import require

SAMPLE_RATE = 22_050
"""Sample rate of the formant synthesizer in Hz."""
PAUSE = "_"
"""Symbol of a pause, or of a transition that has no name in the IPA."""

_SYNCHRONOUS = 2
_PHONEME_EVENTS_IN_IPA = 0x1 | 0x2
_NO_EXIT = 0x8000
_UTF8 = 1
_RATE, _PITCH = 1, 3
_PHONEME_EVENT = 7
_lock = threading.Lock()


def speak(
    text: str, voice: str = "en-us", rate: int = 175, pitch: int = 50
) -> tuple[np.ndarray, list[tuple[str, int]]]:
    """Synthesizes speech.

    The phase and flutter of the synthesizer continue from text to text: the same texts
    in the same order, after a `restart`, give the same samples, but a single text may
    differ by a millisecond.

    Args:
      text: a text in the language of the voice.
      voice: a voice of espeak-ng, such as `en-us` or `es`, and after a plus sign one of
        its variants, such as `en-us+f3`.
      rate: words per minute, from 80 to 450.
      pitch: from 0 to 100, around the middle of the voice's range.

    Returns:
      The wave i16[N] at `SAMPLE_RATE`, and the phonemes in IPA, with stress marks before
      them and including `PAUSE`, each with the sample at which it starts.

    Raises:
      UserError: the package `espeakng-loader` is missing or has no such voice, the rate
        or pitch is out of range, or the text has nothing to speak.
    """
    if not any(map(str.isalnum, text)):
        raise UserError(f"there is nothing to speak in the text {quote(text)}")
    if not 80 <= rate <= 450:
        raise UserError(f"{rate} words a minute cannot be spoken: choose 80 to 450")
    if not 0 <= pitch <= 100:
        raise UserError(f"a voice has no pitch {pitch}: choose 0 to 100")
    with _lock:
        chunks, phones = _synthesize(text, voice, rate, pitch)
    return np.frombuffer(b"".join(chunks), np.int16), phones


def restart() -> None:
    """Resets the synthesizer to its state at the start of a process.

    A data set is the same then, whatever was spoken before it.

    Raises:
      UserError: the package `espeakng-loader` is missing or damaged.
    """
    with _lock:
        library = _library()
        library.espeak_Terminate()
        _library.cache_clear()
        # Its variables keep their values until the library itself is unloaded.
        _ctypes.dlclose(library._handle)


@functools.lru_cache(maxsize=2**16)
def phonemize(text: str, voice: str = "en-us") -> tuple[str, ...]:
    """Converts a text to IPA phonemes, those of `speak` without pauses."""
    return tuple(phone for phone, _ in speak(text, voice)[1] if phone != PAUSE)


class _Id(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event)
)


def _synthesize(
    text: str, voice: str, rate: int, pitch: int
) -> tuple[list[bytes], list[tuple[str, int]]]:
    library = _library()
    if library.espeak_SetVoiceByName(voice.encode()):
        raise UserError(
            f"espeak-ng has no voice {voice!r}: choose en-us, en-gb, es, de or another "
            "of its language codes"
        )
    # A variant that the library does not have is ignored by it.
    _, plus, variant = voice.partition("+")
    if plus and not (data_folder() / "voices" / "!v" / variant).is_file():
        raise UserError(
            f"espeak-ng has no variant {variant!r} of its voices: choose f1 to f5, m1 to "
            "m8 or another of its variants"
        )
    library.espeak_SetParameter(_RATE, rate, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    chunks, phones = [], []
    callback = _Callback(_make_callback(chunks, phones))
    library.espeak_SetSynthCallback(callback)
    # The library ends the text at a zero byte.
    data = text.replace("\0", " ").encode()
    status = library.espeak_Synth(
        data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8, None, None
    )
    if status:
        raise UserError(f"espeak-ng cannot speak {quote(text)}: its error {status}")
    return chunks, phones


def _make_callback(chunks: list[bytes], phones: list[tuple[str, int]]) -> Callable:
    def collect(wave: int | None, size: int, events: ctypes.POINTER(_Event)) -> int:
        if wave and size:
            chunks.append(ctypes.string_at(wave, 2 * size))
        index = 0
        while events[index].type:
            if events[index].type == _PHONEME_EVENT:
                # A name of all eight bytes has no terminating zero.
                name = ctypes.string_at(ctypes.addressof(events[index].id), 8)
                name = name.split(b"\0")[0].decode(errors="ignore")
                phones.append((name or PAUSE, events[index].sample))
            index += 1
        return 0

    return collect


def data_folder() -> Path:
    """Returns the folder of voices and dictionaries; `UserError` without the package."""
    espeakng_loader = require("espeakng_loader", "speech", "espeak-ng")
    return Path(espeakng_loader.get_data_path())


@functools.cache
def _library() -> ctypes.CDLL:
    espeakng_loader = require("espeakng_loader", "speech", "espeak-ng")
    try:
        data = data_folder()
        # Without its data the library fails silently or ends the process.
        (data / "phontab").stat()
        # Last: what stays open here is never unloaded, and `restart` changes nothing.
        library = ctypes.CDLL(espeakng_loader.get_library_path())
    except (OSError, RuntimeError) as error:
        raise UserError(f"the package espeakng-loader is damaged: {error}") from error
    options = _PHONEME_EVENTS_IN_IPA | _NO_EXIT
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data), options)
    if rate != SAMPLE_RATE:
        _ctypes.dlclose(library._handle)
        raise UserError(f"espeak-ng cannot use its data in {data}")
    # It seeds the noise of breathy voices with the time.
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    return library
