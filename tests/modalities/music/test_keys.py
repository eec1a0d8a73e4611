import numpy as np
import pytest

from regen_jax.modalities.music import keys
from regen_jax.modalities.music.score import scale


@pytest.fixture(scope="module")
def music21():
    return pytest.importorskip("music21")


@pytest.mark.parametrize("work", ["bwv66.6", "bwv269", "bwv277", "bwv347"])
def test_correlations_of_chorales_equal_music21(music21, work):
    chorale = music21.corpus.parse(f"bach/{work}")
    weights = np.zeros(12)
    for note in chorale.flatten().notes:
        for pitch in note.pitches:
            weights[pitch.pitchClass] += float(note.quarterLength)
    analysis = music21.analysis.discrete.KrumhanslKessler()
    best = analysis.getSolution(chorale)
    correlations = keys.key_correlations(weights)
    solutions = [best, *best.alternateInterpretations]
    assert len(solutions) == 24
    for solution in solutions:
        index = solution.tonic.pitchClass + 12 * (solution.mode == "minor")
        assert correlations[index] == pytest.approx(
            solution.correlationCoefficient, abs=1e-9
        )
    assert keys.estimate_key(weights) == best.tonic.pitchClass + 12 * (
        best.mode == "minor"
    )


@pytest.mark.parametrize("name", ["C", "F#", "A#", "a", "f#", "d"])
def test_scale_with_its_triad_is_in_its_key(name):
    tonic = keys.KEYS.index(name) % 12
    weights = np.zeros(12)
    weights[list(scale(name))] = 1
    third = 3 if name[0].islower() else 4
    weights[[tonic, (tonic + third) % 12, (tonic + 7) % 12]] += 2
    assert keys.KEYS[keys.estimate_key(weights)] == name


def test_correlations_are_equivariant_to_transposition():
    weights = np.random.default_rng(1).integers(0, 20, 12)
    before = keys.key_correlations(weights).reshape(2, 12)
    for semitones in range(12):
        after = keys.key_correlations(np.roll(weights, semitones)).reshape(2, 12)
        np.testing.assert_array_equal(after, np.roll(before, semitones, axis=1))


def test_equal_weights_have_no_correlation():
    for weights in (np.zeros(12, int), np.full(12, 7)):
        np.testing.assert_array_equal(keys.key_correlations(weights), np.zeros(24))
        assert keys.estimate_key(weights) == 0


def test_pitch_class_durations_count_steps_of_all_voices():
    pitches = np.array([[72, 60], [72, 0], [73, 48]])
    np.testing.assert_array_equal(
        keys.pitch_class_durations(pitches), [4, 1] + [0] * 10
    )
