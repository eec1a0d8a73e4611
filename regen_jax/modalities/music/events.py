"""The vocabulary of scores on a grid of steps, one event per voice and step.

| symbol | event |
|---|---|
| (empty) | padding after the end of a score |
| `r` | silence |
| `C4`, `C#4`, … | onset of a note: C2 to C6, MIDI pitches 36 to 84, named by sharps |
| `C4^`, … | onset of a note under a fermata, which in chorales ends a phrase |
| `C4-`, … | continuation of a note |

Each step names its sounding pitch, however long ago the note began, so that a model need
not look back. A `C4-` that does not follow a C4, as in samples, is an onset.

All music tasks and templates use these symbols.
"""

import numpy as np

from regen_jax.spaces import Tokens

LOWEST, HIGHEST = 36, 84
"""Lowest and highest MIDI pitch that have a symbol."""
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
PADDING, REST = 0, 1

_PITCHES = range(LOWEST, HIGHEST + 1)
_FIRST_NOTE = 2
_FIRST_FERMATA = _FIRST_NOTE + len(_PITCHES)
_FIRST_SUSTAINED = _FIRST_FERMATA + len(_PITCHES)
_SOUNDING = np.array([0, 0, *_PITCHES, *_PITCHES, *_PITCHES])


def pitch_name(pitch: int) -> str:
    """Names a MIDI pitch by pitch class and octave: 60 is `C4`."""
    return f"{PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}"


_NAMES = tuple(pitch_name(pitch) for pitch in _PITCHES)
SYMBOLS = (
    *("", "r", *_NAMES),
    *(f"{note}^" for note in _NAMES),
    *(f"{note}-" for note in _NAMES),
)


def space(steps: int, voices: int = 1) -> Tokens:
    """Returns the space of scores of at most `steps` steps, voices from high to low."""
    return Tokens(steps, len(SYMBOLS), voices, padded=True, symbols=SYMBOLS)


def is_space(candidate: object) -> bool:
    """Returns whether a space is one of scores."""
    return isinstance(candidate, Tokens) and candidate.symbols == SYMBOLS


def note_id(pitch: int, fermata: bool = False) -> int:
    """Returns the id of an onset.

    Raises:
      ValueError: the pitch has no symbol.
    """
    return (_FIRST_FERMATA if fermata else _FIRST_NOTE) + _index(pitch)


def sustained_id(pitch: int) -> int:
    """Returns the id of a continuation.

    Raises:
      ValueError: the pitch has no symbol.
    """
    return _FIRST_SUSTAINED + _index(pitch)


def sounding_pitches(ids: np.ndarray) -> np.ndarray:
    """Maps ids int[...] to sounding MIDI pitches int[...], 0 in silence and padding."""
    return _SOUNDING[np.asarray(ids)]


def fermata_mask(ids: np.ndarray) -> np.ndarray:
    """Maps ids int[...] to bool[...], true at onsets of notes under a fermata."""
    ids = np.asarray(ids)
    return (ids >= _FIRST_FERMATA) & (ids < _FIRST_SUSTAINED)


def onset_mask(ids: np.ndarray, axis: int = 0) -> np.ndarray:
    """Returns where notes begin.

    Args:
      ids: int[T] or [T, voices] of a score, or a batch [N, T, ...].
      axis: axis of steps; 1 for a batch.

    Returns:
      bool of the shape of ids.
    """
    ids = np.asarray(ids)
    pitches = sounding_pitches(ids)
    changes = np.diff(pitches, axis=axis, prepend=0) != 0
    return (pitches > 0) & ((ids < _FIRST_SUSTAINED) | changes)


def onset_pitches(ids: np.ndarray, axis: int = 0) -> np.ndarray:
    """Returns the MIDI pitches of notes at their onsets, and 0 elsewhere.

    Args:
      ids: as for `onset_mask`.
      axis: as for `onset_mask`.

    Returns:
      int of the shape of ids.
    """
    return np.where(onset_mask(ids, axis), sounding_pitches(ids), 0)


def transpose(ids: np.ndarray, semitones: int) -> np.ndarray:
    """Transposes a score of ids int[...].

    Raises:
      ValueError: a transposed note has no symbol.
    """
    ids = np.asarray(ids)
    pitches = sounding_pitches(ids)
    is_note = pitches > 0
    pitches = pitches[is_note] + semitones
    if pitches.size and not (LOWEST <= pitches.min() and pitches.max() <= HIGHEST):
        raise ValueError(
            f"{semitones:+d} semitones lead out of {pitch_name(LOWEST)} to "
            f"{pitch_name(HIGHEST)}"
        )
    return np.where(is_note, ids + semitones, ids)


def _index(pitch: int) -> int:
    if not LOWEST <= pitch <= HIGHEST:
        raise ValueError(
            f"pitch {pitch} is outside {LOWEST} to {HIGHEST} "
            f"({pitch_name(LOWEST)} to {pitch_name(HIGHEST)})"
        )
    return pitch - LOWEST
