"""Figures of batches of scores are those of their scores one by one."""

import numpy as np
import pytest

from regen_jax.data.scores import Piece
from regen_jax.metrics import music
from regen_jax.music import events
from regen_jax.music.score import Note, Score
from regen_jax.tasks import scored
from regen_jax.tasks.harmony import Harmony
from regen_jax.tasks.melody import Melody


def drawn(number, space):
    """Scores in which most notes go on, and each begins with one that goes on."""
    some = [events.REST, events.note(60), *[events.sustained(60)] * 4]
    ids = np.random.default_rng(0).choice(some, (number, *space.shape))
    ids[:, 0] = events.sustained(60)
    return ids


@pytest.mark.parametrize("task", [Harmony(max_beats=4), Melody(max_beats=4)])
def test_units_are_the_notes_of_each(task):
    y = drawn(5, task.y)
    name, counts = task.units(y)
    assert name == "note"
    assert counts.tolist() == [events.begins(ids).sum() for ids in y]
    assert counts.tolist() != events.begins(y).reshape(5, -1).sum(axis=1).tolist()


@pytest.mark.parametrize("kind", [Harmony, Melody])
def test_rhythm_and_notes_are_those_of_each(kind, music_dir):
    task = kind(dir=music_dir)
    held_out = task.examples("test")
    prompts = {k: np.stack([e[k] for e in held_out[:3]]) for k in ("x", "y")}
    y = drawn(3, task.y)
    found = task.judging({})(prompts, y)
    one, other = (np.stack(list(map(events.begins, ids))) for ids in (y, prompts["y"]))
    assert found["rhythm_agreement"] == music.rhythm_agreement(one, other)
    if kind is Harmony:
        kept = task.judging({})(prompts, prompts["y"])["soprano_kept"]
        assert kept == 1 > found["soprano_kept"]
    if kind is Melody:
        per_note = found["notes_per_syllable"] / one.sum()
        true = task.judging({})(prompts, prompts["y"])["notes_per_syllable"]
        assert true == pytest.approx(per_note * other.sum())
        # A chorale has few syllables of more than a note or two.
        assert 1 <= true < 2


def test_scores_that_the_grid_cuts_can_be_left_out(monkeypatch):
    # Eight steps a quarter note; the grid has two.
    kept = Score(((Note(0, 4, 60), Note(4, 4, 62)),), division=8)
    cut = Score(((Note(0, 2, 60), Note(2, 2, 62), Note(4, 4, 64)),), division=8)
    found = [Piece("kept", kept), Piece("cut", cut)]
    monkeypatch.setattr(scored, "load_scores", lambda *args: found)
    task = Melody(transpose=0)
    assert [title for title, _ in task.pieces("train")] == ["kept", "cut"]
    assert [title for title, _ in task.pieces("train", whole=True)] == ["kept"]
