"""The vocabulary of music: a score on a grid of steps, one event a voice and step.

| symbol | event |
|---|---|
| (empty) | padding, behind the end of a score |
| `-` | what sounded in the step before goes on, be it a note or silence |
| `r` | silence begins |
| `C4`, `C#4`, … | a note begins: C2 to C6, MIDI pitches 36 to 84; sharps alone |
| `C4^`, … | a note begins under a fermata, which in chorales ends a phrase |

Every task and template on music writes its notes with these symbols.
"""

import numpy as np

from regen_jax.spaces import Tokens

LOWEST, HIGHEST = 36, 84
"""MIDI pitches that have a symbol."""
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
PADDING, HOLD, REST = 0, 1, 2

_PITCHES = range(LOWEST, HIGHEST + 1)
_FIRST_NOTE = 3
_FIRST_FERMATA = _FIRST_NOTE + len(_PITCHES)


def name(pitch: int) -> str:
    """A MIDI pitch by its pitch class and octave: 60 is `C4`."""
    return f"{PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}"


_NAMES = tuple(name(pitch) for pitch in _PITCHES)
SYMBOLS = ("", "-", "r", *_NAMES, *(f"{note}^" for note in _NAMES))


def space(steps: int, voices: int = 1) -> Tokens:
    """The space of scores of at most that many steps; voices go from high to low."""
    return Tokens(steps, len(SYMBOLS), voices, padded=True, symbols=SYMBOLS)


def is_space(candidate: object) -> bool:
    """Whether a space is one of scores."""
    return isinstance(candidate, Tokens) and candidate.symbols == SYMBOLS


def note(pitch: int, fermata: bool = False) -> int:
    """The id of a note that begins; `ValueError` where its pitch has no symbol."""
    if not LOWEST <= pitch <= HIGHEST:
        raise ValueError(
            f"pitch {pitch} is outside {LOWEST} to {HIGHEST} "
            f"({name(LOWEST)} to {name(HIGHEST)})"
        )
    return (_FIRST_FERMATA if fermata else _FIRST_NOTE) + pitch - LOWEST


def begins(ids: np.ndarray) -> np.ndarray:
    """bool, the shape of ids: where a note begins."""
    return np.asarray(ids) >= _FIRST_NOTE


def fermatas(ids: np.ndarray) -> np.ndarray:
    """bool, the shape of ids: where a note under a fermata begins."""
    return np.asarray(ids) >= _FIRST_FERMATA


def onsets(ids: np.ndarray) -> np.ndarray:
    """int, the shape of ids: the MIDI pitch of each note that begins, 0 elsewhere."""
    ids = np.asarray(ids)
    pitches = LOWEST + (ids - _FIRST_NOTE) % len(_PITCHES)
    return np.where(begins(ids), pitches, 0)


def sounding(ids: np.ndarray) -> np.ndarray:
    """int, the shape of ids [T, ...]: the MIDI pitch at each step, 0 in silence.

    A hold that nothing goes before is silence, as is padding.
    """
    ids = np.asarray(ids)
    pitches = onsets(ids)
    steps = np.arange(len(ids)).reshape(-1, *[1] * (ids.ndim - 1))
    last = np.maximum.accumulate(np.where(ids == HOLD, 0, steps), axis=0)
    return np.take_along_axis(pitches, last, axis=0)


def transpose(ids: np.ndarray, semitones: int) -> np.ndarray:
    """The same score higher; `ValueError` where a note would have no symbol."""
    ids = np.asarray(ids)
    pitches = onsets(ids)[begins(ids)] + semitones
    if pitches.size and not (LOWEST <= pitches.min() and pitches.max() <= HIGHEST):
        raise ValueError(
            f"{semitones:+d} semitones lead out of {name(LOWEST)} to {name(HIGHEST)}"
        )
    return np.where(begins(ids), ids + semitones, ids)
