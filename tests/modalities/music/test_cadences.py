import numpy as np
import pytest

from regen_jax.modalities.music.cadences import CADENCES, classify_cadences
from regen_jax.modalities.music.chords import CHORDS
from regen_jax.modalities.music.keys import KEYS


def classify(key, progression):
    """Classifies the cadences of chords by name; `^` marks a fermata."""
    chords = progression.split()
    index = np.array([CHORDS.index(chord.rstrip("^")) for chord in chords])
    fermata = np.array([chord.endswith("^") for chord in chords])
    return [CADENCES[i] for i in classify_cadences(index, fermata, KEYS.index(key))]


@pytest.mark.parametrize(
    ("key", "progression", "last"),
    [
        ("G", "C D G^", "authentic"),
        ("G", "C D7 G G^", "authentic"),
        ("G", "F#o G^", "authentic"),
        ("G", "D N G^", "authentic"),
        ("G", "D G N G^", "authentic"),
        ("a", "E7 Am^", "authentic"),
        ("a", "E A^", "authentic"),  # with a Picardy third
        ("G", "C G^", "other"),  # plagal
        ("G", "G^", "other"),
        ("G", "Dm G^", "other"),
        ("G", "D G7^", "other"),
        ("G", "C D^", "half"),
        ("f#", "Bm C#7^", "half"),
        ("f#", "Bm C#m^", "other"),
        ("G", "D Em^", "other"),  # deceptive
        ("G", "D N^", "other"),
    ],
)
def test_cadence_of_a_phrase_is_classified(key, progression, last):
    none = ["."] * (len(progression.split()) - 1)
    assert classify(key, progression) == [*none, last]


def test_cadences_are_at_fermatas_only():
    assert classify("C", "C^ F G C^ G^ C") == [
        *("other", ".", ".", "authentic", "half", ".")
    ]


def test_no_beats_have_no_cadences():
    assert classify_cadences(np.zeros(0, int), np.zeros(0, bool), 0).shape == (0,)
