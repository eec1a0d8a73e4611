import numpy as np
import pytest

from regen_jax.modalities.music.cadences import CADENCES, cadences
from regen_jax.modalities.music.chords import CHORDS
from regen_jax.modalities.music.keys import KEYS


def found(key, named):
    """Names of the cadences of chords; `^` marks those under a fermata."""
    chords = named.split()
    index = np.array([CHORDS.index(chord.rstrip("^")) for chord in chords])
    fermata = np.array([chord.endswith("^") for chord in chords])
    return [CADENCES[i] for i in cadences(index, fermata, KEYS.index(key))]


@pytest.mark.parametrize(
    ("key", "chords", "last"),
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
def test_of_a_phrase(key, chords, last):
    assert found(key, chords) == ["."] * (len(chords.split()) - 1) + [last]


def test_only_at_fermatas():
    assert found("C", "C^ F G C^ G^ C") == [
        *("other", ".", ".", "authentic", "half", ".")
    ]


def test_no_beats():
    assert cadences(np.zeros(0, int), np.zeros(0, bool), 0).shape == (0,)
