"""Speech and phonemes of espeak-ng, by the library that `espeakng-loader` ships.

The interface is that of `speak_lib.h`, revision 12. The library keeps state of its own:
one call at a time.
"""

import ctypes
import functools
import importlib.util
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from regen_jax.errors import UserError

SAMPLE_RATE = 22_050
"""Hz, of the formant synthesizer."""
PAUSE = "_"
"""What stands for a pause, and for a transition that has no name in the IPA."""

_SYNCHRONOUS = 2
_PHONEME_EVENTS_IN_IPA = 0x1 | 0x2
_NO_EXIT = 0x8000
_UTF8 = 1
_RATE = 1
_PHONEME_EVENT = 7
_lock = threading.Lock()


def speak(
    text: str, voice: str = "en-us", rate: int = 175
) -> tuple[np.ndarray, list[tuple[str, int]]]:
    """Reads a text aloud.

    The synthesizer's phase and flutter go on from text to text: the same texts in the
    same order, from the start of a process, give the same samples, and a single text
    may differ by a millisecond.

    Args:
      text: any text of the voice's language.
      voice: a voice of espeak-ng, such as `en-us` or `es`.
      rate: words a minute, from 80 to 450.

    Returns:
      The wave int16[N] at `SAMPLE_RATE`, and each phoneme in IPA, a stress mark before
      it where it has one, with the sample at which it starts. `PAUSE` is among them.

    Raises:
      UserError: the package `espeakng-loader` is missing or has no such voice, the rate
        is out of range, or there is nothing to read in the text.
    """
    if not any(map(str.isalnum, text)):
        raise UserError(f"there is nothing to speak in the text {text!r}")
    if not 80 <= rate <= 450:
        raise UserError(f"{rate} words a minute cannot be spoken: choose 80 to 450")
    with _lock:
        chunks, phones = _synthesize(text, voice, rate)
    return np.frombuffer(b"".join(chunks), np.int16), phones


@functools.lru_cache(maxsize=2**16)
def phonemes(text: str, voice: str = "en-us") -> tuple[str, ...]:
    """Phonemes of a text in IPA, as `speak` gives them, without pauses."""
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
    text: str, voice: str, rate: int
) -> tuple[list[bytes], list[tuple[str, int]]]:
    library = _library()
    if library.espeak_SetVoiceByName(voice.encode()):
        raise UserError(
            f"espeak-ng has no voice {voice!r}: choose en-us, en-gb, es, de or another "
            "of its language codes"
        )
    library.espeak_SetParameter(_RATE, rate, 0)
    chunks, phones = [], []
    callback = _Callback(_collector(chunks, phones))
    library.espeak_SetSynthCallback(callback)
    # A zero byte would end the text for the library.
    data = text.replace("\0", " ").encode()
    status = library.espeak_Synth(
        data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8, None, None
    )
    if status:
        raise UserError(f"espeak-ng cannot speak {text!r}: its error {status}")
    return chunks, phones


def _collector(chunks: list[bytes], phones: list[tuple[str, int]]) -> Callable:
    def collect(wave: int | None, size: int, events: ctypes.POINTER(_Event)) -> int:
        if wave and size:
            chunks.append(ctypes.string_at(wave, 2 * size))
        index = 0
        while events[index].type:
            if events[index].type == _PHONEME_EVENT:
                # A name of the full eight bytes has no zero byte behind it.
                name = ctypes.string_at(ctypes.addressof(events[index].id), 8)
                name = name.split(b"\0")[0].decode(errors="ignore")
                phones.append((name or PAUSE, events[index].sample))
            index += 1
        return 0

    return collect


@functools.cache
def _library() -> ctypes.CDLL:
    if importlib.util.find_spec("espeakng_loader") is None:
        raise UserError(
            "espeak-ng comes with the package espeakng-loader, which is not installed: "
            "run `pip install 'regen-jax[speech]'`"
        )
    import espeakng_loader

    try:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
        # With data that are not there the library answers nothing, or ends the process.
        (data / "phontab").stat()
    except (OSError, RuntimeError) as error:
        raise UserError(f"the package espeakng-loader is damaged: {error}") from error
    options = _PHONEME_EVENTS_IN_IPA | _NO_EXIT
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data), options)
    if rate != SAMPLE_RATE:
        raise UserError(f"espeak-ng cannot use its data in {data}")
    return library
