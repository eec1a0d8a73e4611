import itertools

import numpy as np
import pytest

from regen_jax.modalities.music import chords, events
from regen_jax.modalities.music.keys import KEYS

# Phrases of three chorales by Bach, two steps per beat, from soprano to bass, and chords
# annotated by ear: `?` for beats of two chords, `|` for a seventh that enters late.
BWV_269 = """G
G4 -  G4 -  - -   D5 -   B4 -  -   A4  G4 -   G4 -   - A4   B4 -  A4^ -
D4 -  D4 -  E4 -  D4 -   D4 -  -   -   B3 -   E4 D4  E4 F#4 G4 -  F#4^ -
B3 -  B3 -  C4 B3 A3 -   G3 -  F#3 -   G3 -   C4 B3  C4 -   D4 -  D4^ -
G2 -  G3 -  E3 -  F#3 -  G3 -  D3  -   E3 -   C3 -   B2 A2  G2 -  D3^ -
G     G     C     D      G     D       Em     C      ?      G     D"""
BWV_66_6 = """f#
C#5 B4  A4 -   B4 -   C#5^ -  E5 -   C#5 -   B4 -   A4^ -  C#5 - A4 B4   G#4 -   F#4^ -
E4 -    F#4 -  E4 -   E4 -    E4 -   E4 A4   G#4 -  E4 -   G#4 - F#4 G#4 F4 -    C#4 -
A3 B3   C#4 -  B3 -   A3 -    B3 -   A3 E4   E4 D4  C#4 -  C#4 - C#4 D4  C#4 B3  A3 -
A3 G#3  F#3 -  G#3 -  A3 -    G#3 -  A3 C#3  E3 -   A2 -   F3 -  F#3 B2  C#3 -   F#2 -
A       F#m    E      A       E      A       E|E7   A      C#    ?       C#|C#7  F#m"""
BWV_347 = """A
A4 -    A4 -   A4 -    A4 -    B4 -   G4 -  F#4 -  E4^ -
E4 -    F#4 -  E4 -    F#4 -   F#4 -  E4 -  D#4 -  B3^ -
C#4 -   C#4 -  C#4 B3  A3 G#3  F#3 -  B3 -  - A3   G#3^ -
A3 G#3  F#3 -  C#3 -   D3 -    D#3 -  E3 -  B2 -   E2^ -
A       F#m    A       D       B      Em    B|B7   E"""


@pytest.fixture(scope="module")
def music21():
    return pytest.importorskip("music21")


def notes(*voices):
    """Returns sounding pitches int[T, voices] of symbols of `events`, a line per voice.

    `-` continues a note or silence.
    """
    lines = [voice.split() for voice in voices]
    ids = [[events.SYMBOLS.index(s) if s != "-" else -1 for s in v] for v in lines]
    ids = np.array(ids).T
    last = np.maximum.accumulate(np.where(ids < 0, 0, np.arange(len(ids))[:, None]))
    return np.take_along_axis(events.sounding_pitches(ids), last, axis=0)


def names(chroma, key):
    return [chords.CHORDS[i] for i in chords.recognize_chords(chroma, KEYS.index(key))]


@pytest.mark.parametrize("phrase", [BWV_269, BWV_66_6, BWV_347])
def test_chords_equal_annotations(phrase):
    key, *voices, labels = phrase.splitlines()
    recognized = names(chords.beat_chroma(notes(*voices), 2), key)
    pairs = zip(recognized, labels.split(), strict=True)
    wrong = [
        pair for pair in pairs if pair[1] != "?" and pair[0] not in pair[1].split("|")
    ]
    assert not wrong


def test_roots_of_block_chords_equal_music21(music21):
    # Spelling matters: D# G A# is another chord than Eb G Bb.
    intervals = {0: "P1", 3: "m3", 4: "M3", 6: "d5", 7: "P5", 10: "m7"}
    score = music21.stream.Score([music21.stream.Part() for _ in range(4)])
    expected, pitches = [], []
    for name, (quality, degrees) in itertools.product(
        ("C4", "E-4", "F#4", "A4"), chords.QUALITIES.items()
    ):
        root = music21.pitch.Pitch(name)
        close_position = [root.transpose(intervals[degree]) for degree in degrees]
        for bass in close_position:
            upper = [p for p in close_position if len(degrees) == 3 or p is not bass]
            voices = [*upper[::-1], bass.transpose("-P15")]
            for part, pitch in zip(score.parts, voices, strict=True):
                part.append(music21.note.Note(pitch))
            pitches.append([pitch.midi for pitch in voices])
            expected.append(events.PITCH_CLASSES[root.pitchClass] + quality)
    chroma = chords.beat_chroma(np.repeat(pitches, 2, axis=0), 2)
    recognized = [int(chords.recognize_chords(beat[None], 0)[0]) for beat in chroma]
    assert [chords.CHORDS[i] for i in recognized] == expected
    blocks = score.chordify().recurse().getElementsByClass("Chord")
    roots = [block.root().pitchClass for block in blocks]
    assert roots == [int(chords.chord_roots(i)) for i in recognized]


def test_viterbi_path_is_the_best_of_all_paths():
    rng = np.random.default_rng(0)
    states, beats = 4, 5
    stay, change = np.log(chords.STAY), np.log(1 - chords.STAY)
    for _ in range(5):
        fit = 2 * rng.normal(size=(beats, states))
        prior = np.log(rng.dirichlet(np.ones(states)))

        def total(path, fit=fit, prior=prior):
            moves = [
                max(stay, change + prior[b]) if a == b else change + prior[b]
                for a, b in itertools.pairwise(path)
            ]
            return prior[path[0]] + sum(moves) + fit[range(beats), path].sum()

        best = max(itertools.product(range(states), repeat=beats), key=total)
        assert chords._viterbi(fit, prior).tolist() == list(best)


def test_passing_note_does_not_change_the_chord():
    triad = "C3 - - - - -", "G3 - - - - -"
    chroma = chords.beat_chroma(notes("E4 - - D4 E4 -", *triad), 2)
    assert names(chroma, "C") == ["C", "C", "C"]


def test_silent_beat_has_no_chord():
    chroma = chords.beat_chroma(notes("C4 - r - G4 -", "E3 - r - B2 -"), 2)
    assert names(chroma, "C") == ["C", "N", "G"]
    assert names(np.zeros((2, 12)), "a") == ["N", "N"]
    assert chords.recognize_chords(np.zeros((0, 12)), 0).shape == (0,)
    assert not chords.chord_tones(np.array(chords.NONE)).any()


def test_chroma_is_in_beats_and_counts_the_lowest_voice_twice():
    chroma = chords.beat_chroma(notes("C4 D4", "r E3"), 2)
    expected = np.zeros((1, 12))
    expected[0, [0, 2, 4]] = 0.5, 0.5, 1.0
    np.testing.assert_array_equal(chroma, expected)
    melody = chords.beat_chroma(notes("C4 D4 D4 -"), 2)
    np.testing.assert_array_equal(melody.sum(axis=1), [1, 1])


def test_chroma_ignores_octaves_of_inner_voices_and_order_of_lower_voices():
    pitches = notes(*BWV_269.splitlines()[1:5])
    expected = chords.beat_chroma(pitches, 2)
    np.testing.assert_array_equal(
        chords.beat_chroma(pitches[:, [0, 3, 1, 2]], 2), expected
    )
    octave_higher = pitches + np.array([0, 12, 0, 0])
    np.testing.assert_array_equal(chords.beat_chroma(octave_higher, 2), expected)


@pytest.mark.parametrize("key", ["C", "a"])
def test_chords_are_equivariant_to_transposition(key):
    weights = np.random.default_rng(2).integers(0, 3, (40, 12)) / 2
    index = KEYS.index(key)
    before = chords.recognize_chords(weights, index)
    assert len(set(before.tolist())) > 5
    for semitones in range(12):
        moved = index // 12 * 12 + (index + semitones) % 12
        after = chords.recognize_chords(np.roll(weights, semitones, axis=1), moved)
        np.testing.assert_array_equal(
            chords.chord_tones(after),
            np.roll(chords.chord_tones(before), semitones, axis=1),
        )


def test_chord_tones_are_those_of_the_name():
    index = [chords.CHORDS.index(name) for name in ("C", "Am", "Bo", "G7")]
    expected = [[0, 4, 7], [0, 4, 9], [2, 5, 11], [2, 5, 7, 11]]
    assert [
        np.flatnonzero(row).tolist() for row in chords.chord_tones(index)
    ] == expected
