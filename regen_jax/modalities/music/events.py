"""The vocabulary of music: a score on a grid of steps, one event a voice and step.

| symbol | event |
|---|---|
| (empty) | padding, behind the end of a score |
| `r` | silence |
| `C4`, `C#4`, … | a note begins: C2 to C6, MIDI pitches 36 to 84; sharps alone |
| `C4^`, … | a note begins under a fermata, which in chorales ends a phrase |
| `C4-`, … | the note goes on |

Every step says what sounds, however long ago it began: a model need not look for that.
Where `C4-` follows no C4, as it may in what a model has made, a C4 begins.

Every task and template on music writes its notes with these symbols.
"""

import numpy as np

from regen_jax.spaces import Tokens

LOWEST, HIGHEST = 36, 84
"""MIDI pitches that have a symbol."""
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
PADDING, REST = 0, 1

_PITCHES = range(LOWEST, HIGHEST + 1)
_FIRST_NOTE = 2
_FIRST_FERMATA = _FIRST_NOTE + len(_PITCHES)
_FIRST_SUSTAINED = _FIRST_FERMATA + len(_PITCHES)
_SOUNDING = np.array([0, 0, *_PITCHES, *_PITCHES, *_PITCHES])


def name(pitch: int) -> str:
    """A MIDI pitch by its pitch class and octave: 60 is `C4`."""
    return f"{PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}"


_NAMES = tuple(name(pitch) for pitch in _PITCHES)
SYMBOLS = (
    *("", "r", *_NAMES),
    *(f"{note}^" for note in _NAMES),
    *(f"{note}-" for note in _NAMES),
)


def space(steps: int, voices: int = 1) -> Tokens:
    """The space of scores of at most that many steps; voices go from high to low."""
    return Tokens(steps, len(SYMBOLS), voices, padded=True, symbols=SYMBOLS)


def is_space(candidate: object) -> bool:
    """Whether a space is one of scores."""
    return isinstance(candidate, Tokens) and candidate.symbols == SYMBOLS


def note(pitch: int, fermata: bool = False) -> int:
    """The id of a note that begins; `ValueError` where its pitch has no symbol."""
    return (_FIRST_FERMATA if fermata else _FIRST_NOTE) + _index(pitch)


def sustained(pitch: int) -> int:
    """The id of a note that goes on; `ValueError` where its pitch has no symbol."""
    return _FIRST_SUSTAINED + _index(pitch)


def sounding(ids: np.ndarray) -> np.ndarray:
    """int, the shape of ids: the MIDI pitch that sounds, 0 in silence and padding."""
    return _SOUNDING[np.asarray(ids)]


def fermatas(ids: np.ndarray) -> np.ndarray:
    """bool, the shape of ids: where a note under a fermata begins."""
    ids = np.asarray(ids)
    return (ids >= _FIRST_FERMATA) & (ids < _FIRST_SUSTAINED)


def begins(ids: np.ndarray, axis: int = 0) -> np.ndarray:
    """bool, the shape of ids: where a note begins.

    Arguments:
      ids: int [T] or [T, voices] of one score.
      axis: that of the steps; it is 1 in a batch [N, T, ...] of scores.
    """
    ids = np.asarray(ids)
    pitches = sounding(ids)
    changes = np.diff(pitches, axis=axis, prepend=0) != 0
    return (pitches > 0) & ((ids < _FIRST_SUSTAINED) | changes)


def onsets(ids: np.ndarray, axis: int = 0) -> np.ndarray:
    """int, the shape of ids: the MIDI pitch of each note that begins, 0 elsewhere.

    Ids and axis are those of `begins`.
    """
    return np.where(begins(ids, axis), sounding(ids), 0)


def transpose(ids: np.ndarray, semitones: int) -> np.ndarray:
    """The same score higher; `ValueError` where a note would have no symbol."""
    ids = np.asarray(ids)
    sounds = sounding(ids) > 0
    pitches = sounding(ids)[sounds] + semitones
    if pitches.size and not (LOWEST <= pitches.min() and pitches.max() <= HIGHEST):
        raise ValueError(
            f"{semitones:+d} semitones lead out of {name(LOWEST)} to {name(HIGHEST)}"
        )
    return np.where(sounds, ids + semitones, ids)


def _index(pitch: int) -> int:
    if not LOWEST <= pitch <= HIGHEST:
        raise ValueError(
            f"pitch {pitch} is outside {LOWEST} to {HIGHEST} "
            f"({name(LOWEST)} to {name(HIGHEST)})"
        )
    return pitch - LOWEST
