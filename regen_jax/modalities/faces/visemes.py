"""Mouth shapes of phonemes, and tracks of them with coarticulation.

Shapes are set by hand after the classes of Massaro, "Perceiving Talking Faces" (1998). The
tracks follow Cohen and Massaro, "Modeling coarticulation in synthetic visual speech"
(1993): each segment pulls by a dominance that falls with the distance in time, so that
lips round before a rounded vowel and open less beside a closed consonant.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from regen_jax.modalities.text.espeak import PAUSE


class Viseme(NamedTuple):
    """A mouth shape and its dominance.

    Attributes:
      jaw: opening, in [0, 1].
      width: of the lips, in [-1, 1].
      rounding: of the lips, in [0, 1].
      dominance: of the shape over that of its neighbors; for closures it is high.
    """

    jaw: float
    width: float
    rounding: float
    dominance: float = 1.0


_REST = Viseme(0.0, 0.0, 0.0, 1.0)
_VOWELS = {
    "a": Viseme(0.95, 0.1, 0.0),
    "ɑ": Viseme(1.0, -0.1, 0.0),
    "æ": Viseme(0.8, 0.5, 0.0),
    "ɐ": Viseme(0.6, 0.1, 0.0),
    "ʌ": Viseme(0.6, 0.0, 0.0),
    "ɛ": Viseme(0.55, 0.4, 0.0),
    "e": Viseme(0.45, 0.5, 0.0),
    "ə": Viseme(0.35, 0.0, 0.0, 0.6),
    "ɚ": Viseme(0.3, -0.1, 0.3, 0.8),
    "ɜ": Viseme(0.35, -0.1, 0.3),
    "ᵻ": Viseme(0.3, 0.3, 0.0, 0.6),
    "ɪ": Viseme(0.3, 0.4, 0.0),
    "i": Viseme(0.2, 0.8, 0.0),
    "ɔ": Viseme(0.7, -0.2, 0.6),
    "o": Viseme(0.5, -0.2, 0.8),
    "ʊ": Viseme(0.25, -0.2, 0.7),
    "u": Viseme(0.15, -0.2, 1.0),
}
_CONSONANTS = {
    **dict.fromkeys("pbm", Viseme(0.0, 0.0, 0.0, 4.0)),
    **dict.fromkeys("fv", Viseme(0.08, 0.2, 0.0, 2.5)),
    "w": Viseme(0.1, -0.2, 1.0, 1.5),
    "ɹ": Viseme(0.25, -0.1, 0.5, 0.8),
    **dict.fromkeys("ʃʒ", Viseme(0.15, -0.1, 0.7, 1.2)),
    **dict.fromkeys("sz", Viseme(0.1, 0.4, 0.0, 1.2)),
    **dict.fromkeys("td", Viseme(0.18, 0.2, 0.0, 0.7)),
    **dict.fromkeys("nlɾ", Viseme(0.25, 0.2, 0.0, 0.6)),
    **dict.fromkeys("θð", Viseme(0.25, 0.2, 0.0, 0.8)),
    **dict.fromkeys("kɡŋ", Viseme(0.3, 0.1, 0.0, 0.5)),
    "j": Viseme(0.15, 0.6, 0.0, 0.8),
    **dict.fromkeys("hʔ", Viseme(0.35, 0.0, 0.0, 0.2)),
}
VISEMES = _VOWELS | _CONSONANTS
"""By the symbols of the IPA that espeak-ng writes for English."""

_SPREAD, _LEAST = 0.35, 0.025
"""Decay time of a dominance: a fraction of the segment, and the least in seconds."""


def shapes_of(phoneme: str) -> tuple[Viseme, ...]:
    """Returns the mouth shapes of a phoneme in order: two of diphthongs and affricates.

    Stress and length marks, and symbols without a shape, are ignored; a pause, or a name
    of none but these, is the mouth at rest.
    """
    if phoneme == PAUSE:
        return (_REST,)
    return tuple(VISEMES[s] for s in phoneme if s in VISEMES) or (_REST,)


def mouth_tracks(
    phonemes: Sequence[tuple[str, float]], end: float, times: np.ndarray
) -> np.ndarray:
    """Returns jaw, width and rounding of the mouth at some times, f32[T, 3].

    Args:
      phonemes: names in IPA and when each starts, in seconds, ascending.
      end: of the last one, in seconds; the mouth is at rest before the first and then.
      times: f64[T] in seconds.
    """
    edges = [start for _, start in phonemes] + [end]
    segments = [(_REST, edges[0] - 0.1, edges[0])]
    for (name, _), start, stop in zip(phonemes, edges, edges[1:], strict=False):
        shapes = shapes_of(name)
        cuts = np.linspace(start, stop, len(shapes) + 1)
        segments += zip(shapes, cuts, cuts[1:], strict=False)
    segments.append((_REST, end, end + 0.1))
    targets, starts, stops = zip(*segments, strict=True)
    starts, stops = np.array(starts), np.array(stops)
    centers, durations = (starts + stops) / 2, stops - starts
    # The rest lasts before and after all speech: no time is far from it.
    distance = abs(times[:, None] - centers)
    distance[:, 0] *= times >= centers[0]
    distance[:, -1] *= times <= centers[-1]
    weights = np.array([target.dominance for target in targets])
    weights = weights * np.minimum(durations / 0.04, 1)
    decay = np.maximum(_SPREAD * durations, _LEAST)
    # In logarithms, so that far from all segments the nearest one still counts.
    logits = np.log(np.maximum(weights, 1e-6)) - distance / decay
    dominance = np.exp(logits - logits.max(axis=1, keepdims=True))
    values = np.array([target[:3] for target in targets])
    return (dominance @ values / dominance.sum(axis=1, keepdims=True)).astype(
        np.float32
    )
