import itertools

import numpy as np
import pytest

from regen_jax.metrics import music

C_MAJOR = (0, 2, 4, 5, 7, 9, 11)


def violations(*voices):
    """Counts fifths, octaves and crossings of voices from high to low.

    A voice has a pitch per step; `-` continues a note, 0 is silence.
    """
    pitches, onsets = [], []
    for voice in voices:
        sounds, begins = [0], []
        for symbol in voice.split():
            sounds.append(sounds[-1] if symbol == "-" else int(symbol))
            begins.append(symbol not in "-0")
        pitches.append(sounds[1:])
        onsets.append(begins)
    counts = music.voice_leading_violations(np.array(pitches).T, np.array(onsets).T)
    assert list(counts) == ["parallel_fifths", "parallel_octaves", "crossings"]
    return tuple(counts.values())


def random_score(seed, steps=300, voices=4):
    rng = np.random.default_rng(seed)
    onsets = rng.random((steps, voices)) < 0.8
    onsets[0] = True
    drawn = rng.choice([48, 50, 51, 55, 57, 60, 62, 67], (steps, voices))
    drawn -= 5 * np.arange(voices)
    last = np.maximum.accumulate(np.where(onsets, np.arange(steps)[:, None], 0))
    return np.take_along_axis(drawn, last, axis=0), onsets


@pytest.mark.parametrize(
    ("high", "low", "expected"),
    [
        ("67 69", "60 62", (1, 0, 0)),  # a textbook parallel fifth
        ("79 81", "60 62", (1, 0, 0)),  # a twelfth is one as well
        ("67 81", "60 62", (1, 0, 0)),  # as is a fifth that becomes a twelfth
        ("67 69 71", "60 62 64", (2, 0, 0)),
        ("72 74", "60 62", (0, 1, 0)),
        ("60 62", "60 62", (0, 1, 0)),  # unisons
        ("72 71", "60 59", (0, 1, 0)),
        ("69 67", "53 48", (0, 0, 0)),  # hidden: from a tenth to a twelfth
        ("64 67", "57 60", (1, 0, 0)),
        ("71 72", "65 65", (0, 0, 0)),  # one voice alone moves
        ("71 72", "64 65", (1, 0, 0)),
        ("71 72", "65 66", (0, 0, 0)),  # both are diminished
        ("67 67", "60 60", (0, 0, 0)),  # repeated
        ("67 -", "60 -", (0, 0, 0)),  # held
        ("67 69", "60 -", (0, 0, 0)),
        ("67 65", "60 70", (0, 0, 1)),  # contrary, and crossed
        ("67 74", "60 55", (0, 0, 0)),  # contrary: a fifth to a twelfth
        ("60 72", "60 48", (0, 0, 0)),  # contrary: a unison to two octaves
        ("67 - 69", "60 62 62", (0, 0, 0)),  # one after the other
        ("67 - 69 -", "60 - 62 -", (1, 0, 0)),
        ("67 0 69", "60 - 62", (1, 0, 0)),  # a rest between two notes hides nothing
        ("67 0 69", "60 61 62", (0, 0, 0)),
    ],
)
def test_parallels_of_two_voices_are_counted(high, low, expected):
    assert violations(high, low) == expected


def test_third_voice_does_not_hide_a_parallel():
    assert violations("67 - 69", "64 65 -", "60 - 62") == (1, 0, 0)


def test_parallels_equal_music21():
    music21 = pytest.importorskip("music21")
    rng = np.random.default_rng(0)
    white = np.array([p for p in range(36, 97) if p % 12 in C_MAJOR])
    # Voices an octave or more apart: music21 distinguishes unisons from octaves.
    counts = np.zeros(2, int)
    for _ in range(300):
        start, above, move = (
            rng.integers(0, 14),
            rng.integers(7, 15),
            rng.integers(-3, 4),
        )
        other = move if rng.random() < 0.7 else rng.integers(-3, 4)
        low = white[[start + 3, start + 3 + move]]
        high = white[[start + 3 + above, start + 3 + above + other]]
        notes = [music21.note.Note(int(p)) for p in (*high, *low)]
        quartet = music21.voiceLeading.VoiceLeadingQuartet(*notes)
        expected = [
            quartet.parallelMotion(name, allowOctaveDisplacement=True)
            for name in ("P5", "P8")
        ]
        pair = violations(" ".join(map(str, high)), " ".join(map(str, low)))
        assert list(pair[:2]) == expected
        counts += expected
    assert counts.min() > 20


@pytest.mark.parametrize(
    ("high", "low", "crossings"),
    [
        ("67 67 67", "60 69 60", 1),
        ("67 67 67 67", "69 - 70 60", 1),  # one stretch of three steps
        ("67 67 67 67", "69 60 69 60", 2),
        ("60 60", "60 60", 0),
        ("0 0", "60 60", 0),
        ("60 60 60", "62 0 62", 2),
    ],
)
def test_crossings_are_counted_per_run_of_steps(high, low, crossings):
    assert violations(high, low)[2] == crossings


def test_crossings_count_per_pair_of_voices():
    assert violations("60 60", "64 60", "67 60") == (0, 0, 3)


def test_parallels_equal_plain_loop():
    pitches, onsets = random_score(3)
    fifths = octaves = 0
    times = [t for t in range(len(pitches)) if onsets[t].any()]
    for before, after in itertools.pairwise(times):
        for i in range(4):
            for j in range(i + 1, 4):
                a, b = pitches[before, [i, j]].tolist(), pitches[after, [i, j]].tolist()
                if a[0] == b[0] or a[1] == b[1] or (b[0] > a[0]) != (b[1] > a[1]):
                    continue
                intervals = abs(a[0] - a[1]) % 12, abs(b[0] - b[1]) % 12
                fifths += intervals == (7, 7)
                octaves += intervals == (0, 0)
    assert min(fifths, octaves) > 2
    counts = music.voice_leading_violations(pitches, onsets)
    assert (counts["parallel_fifths"], counts["parallel_octaves"]) == (fifths, octaves)


def test_transposition_preserves_violations_and_intervals():
    pitches, onsets = random_score(0)
    notes = np.where(onsets, pitches, 0)
    higher = np.where(onsets, pitches + 5, 0)
    expected = music.voice_leading_violations(pitches, onsets)
    assert min(expected.values()) > 0
    assert music.voice_leading_violations(pitches + 5, onsets) == expected
    np.testing.assert_array_equal(
        music.interval_histogram(higher), music.interval_histogram(notes)
    )
    np.testing.assert_array_equal(
        music.pitch_class_histogram(higher),
        np.roll(music.pitch_class_histogram(notes), 5),
    )
    moved = tuple((degree + 5) % 12 for degree in C_MAJOR)
    fractions = (
        music.in_key_fraction(notes, C_MAJOR),
        music.in_key_fraction(higher, moved),
    )
    assert fractions[0] == fractions[1] and 0.4 < fractions[0] < 1


def test_in_key_fraction_of_known_notes():
    assert music.in_key_fraction(np.array([60, 0, 61, 62, 64]), C_MAJOR) == 0.75
    assert music.in_key_fraction(np.zeros((3, 2), int), C_MAJOR) == 0


def test_in_chord_fraction_of_known_notes():
    tones = np.zeros((3, 12), bool)
    tones[0, [0, 4, 7]] = tones[1, [2, 7, 11]] = True
    pitches = np.array([[60, 64, 0, 62], [59, 60, 67, 74], [61, 61, 61, 61]])
    assert music.in_chord_fraction(pitches, tones) == 5 / 7
    assert music.in_chord_fraction(pitches[2:], tones[2:]) == 0


def test_onset_f1_of_known_rhythms():
    rhythms, other = np.array([[1, 0, 1, 0], [1, 1, 0, 0]]), np.array([1, 0, 0, 1])
    assert music.onset_f1(rhythms[0], rhythms[0]) == 1
    assert music.onset_f1(rhythms[0], other) == 0.5
    assert music.onset_f1(rhythms, np.stack([other, other])) == 0.5
    assert music.onset_f1(np.zeros(4), np.zeros(4)) == 1
    assert music.onset_f1(np.zeros(4), other) == 0


def test_histograms_of_known_notes():
    notes = np.array([[60, 48], [0, 0], [62, 72], [74, 0], [50, 71]])
    expected = np.zeros(25, int)
    # 2, 12 and -24 above; 24 and -1 below.
    expected[[12 + 2, 11]] = 1
    expected[[24, 0]] = 2, 1
    np.testing.assert_array_equal(music.interval_histogram(notes), expected)
    assert music.interval_histogram(notes[:1]).sum() == 0
    classes = music.pitch_class_histogram(notes)
    assert classes.tolist() == [3, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_histogram_distance_of_known_counts():
    assert music.histogram_distance([1, 3], [2, 6]) == 0
    assert music.histogram_distance([1, 0], [0, 5]) == 1
    assert music.histogram_distance([1, 3], [1, 1]) == 0.25
    assert music.histogram_distance([0, 0], [0, 2]) == 1
    assert music.histogram_distance([0, 0], [0, 0]) == 0
