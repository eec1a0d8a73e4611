"""Metrics of batches of scores equal those of each score."""

import dataclasses
import math

import mido
import numpy as np
import pytest

from regen_jax.data.readers.scores import Piece, load_scores
from regen_jax.errors import UserError
from regen_jax.interfaces import Generated
from regen_jax.metrics import music
from regen_jax.modalities.music import events, midi
from regen_jax.modalities.music.score import Note, Score
from regen_jax.tasks import scored
from regen_jax.tasks.harmony import Harmony
from regen_jax.tasks.melody import Melody


def drawn(number, space):
    """Draws scores of mostly sustained notes, which begin with a sustained one."""
    some = [events.REST, events.note_id(60), *[events.sustained_id(60)] * 4]
    ids = np.random.default_rng(0).choice(some, (number, *space.shape))
    ids[:, 0] = events.sustained_id(60)
    return ids


@pytest.mark.parametrize("task", [Harmony(max_beats=4), Melody(max_beats=4)])
def test_likelihood_unit_counts_notes_per_example(task):
    y = drawn(5, task.y)
    name, counts = task.likelihood_unit(y)
    assert name == "note"
    assert counts.tolist() == [events.onset_mask(ids).sum() for ids in y]
    assert counts.tolist() != events.onset_mask(y).reshape(5, -1).sum(axis=1).tolist()


@pytest.mark.parametrize("kind", [Harmony, Melody])
def test_metrics_of_rhythm_and_notes_equal_those_per_example(kind, music_dir):
    task = kind(dir=music_dir)
    held_out = task.examples("test")
    prompts = {k: np.stack([e[k] for e in held_out[:3]]) for k in ("x", "y")}
    y = drawn(3, task.y)
    found = task.sample_metrics({})(Generated(prompts, y))
    assert set(found) >= {"in_key", "pitch_class_distance", "interval_distance"}
    one, other = (
        np.stack(list(map(events.onset_mask, ids))) for ids in (y, prompts["y"])
    )
    assert found["rhythm_agreement"] == music.onset_f1(one, other)
    if kind is Harmony:
        kept = task.sample_metrics({})(Generated(prompts, prompts["y"]))["soprano_kept"]
        assert kept == 1 > found["soprano_kept"]
    if kind is Melody:
        per_note = found["notes_per_syllable"] / one.sum()
        true = task.sample_metrics({})(Generated(prompts, prompts["y"]))[
            "notes_per_syllable"
        ]
        assert true == pytest.approx(per_note * other.sum())
        # A chorale has few syllables of more than a note or two.
        assert 1 <= true < 2


def test_scores_that_the_grid_cuts_are_left_out_and_logged(monkeypatch):
    # Eight steps per quarter note; the grid has two.
    kept = Score(((Note(0, 4, 60), Note(4, 4, 62)),), division=8)
    cut = Score(((Note(0, 2, 60), Note(2, 2, 62), Note(4, 4, 64)),), division=8)
    found = [Piece("kept", kept), Piece("cut", cut)]
    monkeypatch.setattr(scored, "load_scores", lambda *args: found)
    task = Melody(transpose=0)
    assert [title for title, _ in task.pieces("train")] == ["kept", "cut"]
    assert [title for title, _ in task.pieces("train", whole=True)] == ["kept"]


@pytest.mark.parametrize(
    ("task", "ample"),
    [
        (Harmony(max_beats=36), Harmony(max_beats=96, division=4)),
        (Harmony(max_beats=36, division=1), Harmony(transpose=0)),
        (Melody(max_beats=36), Melody(max_beats=96, max_pieces=400)),
        (Melody(max_pieces=75), Melody(max_pieces=400, division=1)),
    ],
)
def test_core_list_does_not_depend_on_options(task, ample, music_dir):
    task, ample = (dataclasses.replace(one, dir=music_dir) for one in (task, ample))
    core, every = task.core_list("validation"), ample.core_list("validation")
    assert core.too_long and not core.whole and not every.too_long
    assert len(core.rows) == len(task.examples("validation"))
    assert len(core.rows) + len(core.too_long) == len(every.rows) == 3
    assert len(task.prompts(0, "validation")) == len(core.rows)
    # What is too long comes as the data set has it.
    titles = {record["title"].decode() for record in core.too_long}
    pieces = load_scores("chorales", "validation", music_dir)
    assert titles < {piece.title for piece in pieces}


def test_pieces_beyond_the_core_list_are_examples_too(music_dir):
    """One of the four pieces for validation has 65 quarter notes."""
    task = Harmony(dir=music_dir, max_beats=96)
    core, pieces = task.core_list("validation"), task.pieces("validation")
    beats = np.array([score.length / score.division for _, score in pieces])
    assert core.whole and len(beats) == len(task.examples("validation")) == 4
    assert core.rows.tolist() == np.flatnonzero(beats <= 64).tolist()
    assert not dataclasses.replace(task, max_beats=64).core_list("validation").whole


@pytest.mark.parametrize("kind", [Harmony, Melody])
def test_example_that_is_too_long_scores_as_an_empty_output(kind, music_dir):
    """The score equals that of a prompt whose Y is padding alone."""
    task, short = kind(dir=music_dir), kind(dir=music_dir, max_beats=36)
    every = task.examples("validation")
    true = {k: np.stack([example[k] for example in every]) for k in ("x", "y")}
    lengths = (true["y"].reshape(len(every), task.steps, -1)[..., 0] > 0).sum(axis=1)
    fit = lengths <= short.steps
    assert fit.any() and not fit.all()
    y = true["y"].copy()
    y[~fit] = 0
    whole = task.sample_metrics({})(Generated(true, y))
    part = {k: v[fit] for k, v in true.items()}
    found = task.sample_metrics({})(
        Generated(part, y[fit], short.core_list("validation").too_long)
    )
    for name in {"rhythm_agreement", "soprano_kept"} & set(whole):
        assert found[name] == pytest.approx(whole[name])
        assert found[name] < task.sample_metrics({})(Generated(part, y[fit]))[name]
    # Empty outputs have no notes to be in a key or in parallels.
    assert found["in_key"] == pytest.approx(whole["in_key"])


@pytest.mark.parametrize("kind", [Harmony, Melody])
@pytest.mark.parametrize("symbol", [events.PADDING, events.REST])
def test_scores_without_a_note_have_no_metric_of_notes(kind, symbol, music_dir):
    task = kind(dir=music_dir)
    held_out = task.examples("test")
    prompts = {k: np.stack([e[k] for e in held_out[:2]]) for k in ("x", "y")}
    y = np.full((2, *task.y.shape), symbol)
    with np.errstate(all="raise"):
        found = task.sample_metrics({})(Generated(prompts, y))
        alone = task.sample_metrics({})(Generated({"x": prompts["x"]}, y))
    assert not {"in_key", "pitch_class_distance", "interval_distance"} & set(found)
    assert found["rhythm_agreement"] == 0 and "rhythm_agreement" not in alone
    assert all(map(math.isfinite, found.values()))
    assert ("faults" in found) == (kind is Harmony and symbol == events.REST)


def test_held_out_pieces_are_never_transposed(music_dir):
    task = Melody(dir=music_dir, max_beats=96, folk_tunes="")
    counts = {
        split: len(load_scores("chorales", split, music_dir))
        for split in ("train", "validation", "test")
    }
    for split in ("validation", "test"):
        assert len(list(task.pieces(split))) == counts[split]
    assert len(list(task.pieces("train"))) > 3 * counts["train"]


def tune(path, meter, *lengths, ticks=480):
    """Writes a MIDI file of consecutive notes of these lengths, in ticks."""
    track = mido.MidiTrack()
    beats, unit = meter
    track.append(mido.MetaMessage("time_signature", numerator=beats, denominator=unit))
    for index, length in enumerate(lengths):
        track.append(mido.Message("note_on", note=60 + index % 12, velocity=80))
        track.append(mido.Message("note_off", note=60 + index % 12, time=length))
    mido.MidiFile(tracks=[track], ticks_per_beat=ticks).save(path)
    return str(path)


@pytest.mark.parametrize("division", [2, 4])
@pytest.mark.parametrize(
    "meter", [(3, 8), (6, 8), (7, 8), (2, 2), (4, 4), (1, 4), (8, 8), (6, 16), (1, 1)]
)
def test_soprano_of_a_midi_file_keeps_its_meter(tmp_path, meter, division):
    task = Harmony(division=division)
    # A quarter and a half: less than a bar, or several.
    x = task.parse_prompt("midi", tune(tmp_path / "a.mid", meter, 480, 960))["x"]
    y = np.where(x[:, :1] > 0, events.note_id(60), events.PADDING).repeat(4, axis=1)
    score = task.score({"x": x[None]}, 0, y)
    assert score.meter == meter
    midi.write(tmp_path / "b.mid", score)
    assert midi.read(tmp_path / "b.mid", division).meter == meter
    # Steps count from each bar line on, the first of which says the meter.
    names = [task.x.symbols[i] for i in x[:, 1] if i]
    bar = 4 * division * meter[0] // meter[1]
    assert names == [
        f"|{step % bar + 1}" if step else f"{meter[0]}/{meter[1]}"
        for step in range(3 * division)
    ]


@pytest.mark.parametrize(
    ("meter", "lengths", "division", "words"),
    [
        (
            (3, 16),
            [480],
            2,
            "meter 3/16 does not fit: .*steps of 1/8: set division=4",
        ),
        ((3, 8), [480], 1, "the meter 3/8 does not fit: .*set division=2"),
        ((5, 4), [480], 2, "a bar of 5/4 is longer than 4 quarter notes"),
        ((4, 32), [480], 4, "the meter 4/32 is unknown: beats of 1/1 to 1/16"),
        ((4, 4), [120] * 8, 2, "3 of 8 notes would be lost, .*: division=4 keeps them"),
        ((4, 4), [160] * 6, 2, "2 of 6 notes would be lost, .*: division=4 keeps them"),
        ((4, 4), [360, 120, 480], 2, "1 of 3 notes would be lost, .*division=4 keeps"),
        ((4, 4), [60] * 8, 4, "3 of 8 notes would be lost, .*no division of 1, 2, 4"),
        ((4, 4), [480] * 65, 2, "the score lasts 65 quarter notes: at most 64 fit"),
    ],
)
def test_soprano_that_the_grid_cannot_hold_raises_user_error(
    tmp_path, meter, lengths, division, words
):
    task = Harmony(division=division)
    with pytest.raises(UserError, match=words) as caught:
        task.parse_prompt("midi", tune(tmp_path / "a.mid", meter, *lengths))
    assert "\n" not in str(caught.value)


def test_triplets_on_a_grid_of_sixteenths_are_moved_and_logged(tmp_path, caplog):
    path = tune(tmp_path / "a.mid", (4, 4), *[160] * 3, 480)
    x = Harmony(division=4).parse_prompt("midi", path)["x"]
    assert np.flatnonzero(events.onset_mask(x[:, :1])[:, 0]).tolist() == [0, 1, 3, 4]
    (record,) = caplog.records
    assert record.message.endswith(
        "2 of 4 notes begin between the steps of 1/16 and go to the nearest"
    )
    caplog.clear()
    Harmony().parse_prompt("midi", tune(tmp_path / "a.mid", (4, 4), 360, 120))
    (record,) = caplog.records
    assert "1 of 2 notes begin between the steps of 1/8" in record.message
    assert record.message.endswith("to the nearest: division=4 would keep their times")


def test_lyrics_in_a_meter_outside_the_training_data_raise_user_error(music_dir):
    task = Melody(dir=music_dir)
    for meter in ("4/4", "3/4", "04/4", "\ufeff4/4"):
        task.parse_prompt("text", f"{meter} G: Wach auf")
    for meter in ("444/4", "6/8", "0/4", "4/0", "4/3", "9" * 5000 + "/4"):
        with pytest.raises(UserError, match=r"^the meter .* choose 3/4 or 4/4$"):
            task.parse_prompt("text", f"{meter} G: Wach auf")
    for meter in ("４/4", "٤/٤", "-4/4", "4.5/4", "C"):
        with pytest.raises(UserError, match="^lyrics begin with meter, key"):
            task.parse_prompt("text", f"{meter} G: Wach auf")


def test_any_sample_is_written_in_all_formats(tmp_path):
    """Also silence, sustained notes without onset, and padding within a score."""
    rng = np.random.default_rng(0)
    for division, meter in ((1, (2, 2)), (2, (7, 8)), (4, (3, 16))):
        task = Harmony(division=division, max_beats=4)
        x = np.zeros((3, *task.x.shape), np.int32)
        x[:, 0, 1] = task.x.symbols.index(f"{meter[0]}/{meter[1]}")
        y = rng.integers(0, task.y.vocab, (3, *task.y.shape))
        y[0, 0, 0], y[1], y[2, 1:] = events.REST, events.REST, events.PADDING
        names = {
            path.suffix for path in task.render_samples({"x": x}, y).save(tmp_path)
        }
        assert names == {".png", ".wav", ".mid", ".musicxml"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"division": 3}, "division must be 1, 2 or 4, not 3"),
        ({"max_beats": 0}, "max_beats must be at least 1, not 0"),
        ({"transpose": -1}, "transpose must be 0 or more, not -1"),
    ],
)
def test_option_out_of_range_raises_value_error(options, words):
    with pytest.raises(ValueError, match=words):
        Harmony(**options)
