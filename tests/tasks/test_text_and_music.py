"""Each task on texts and scores from its config to files, and what bad input gets."""

import json
import math

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.sample_run import sample_run, save_samples
from regen_jax.errors import UserError
from regen_jax.evaluation import outputs
from regen_jax.metrics import text as text_metrics
from regen_jax.metrics.significance import ratio_of_sums
from regen_jax.modalities.music import events, midi, musicxml
from regen_jax.modalities.music.score import Note, Score
from regen_jax.tasks.harmony import Harmony

LYRICS = "4/4 G: Wach auf, mein Herz, / und sin-ge"


@pytest.fixture(scope="module")
def trained_on(train_once, text_dir, music_dir):
    """The workdir of a tiny run of a config, for all workers."""
    # All in one batch, so that each program has one shape.
    flags = "--config.evaluate.batch_size=64"
    return lambda name: train_once(f"{name}.py:size=tiny", music_dir, flags)


def drawn(workdir, out, num=2, **inputs) -> dict[str, np.ndarray]:
    """Arrays of samples whose files are written into `out`, as `sample` does.

    In this process, so that a program is compiled once for all samples of a run.
    """
    save_samples(sample_run(workdir, num, **inputs), out, seed=0)
    return np.load(out / "samples.npz")


def assert_raises(message, workdir, **inputs):
    """One line, which `sample` prints; nothing is drawn."""
    with pytest.raises(UserError) as error:
        sample_run(workdir, **inputs)
    assert message in str(error.value) and "\n" not in str(error.value)


def reported(workdir) -> dict[str, float]:
    """Metrics of all stages on held-out data, as training logged them."""
    lines = (workdir.parent / "log").read_text().splitlines()
    logged = ", ".join(
        line.split("held out: ")[1] for line in lines if "held out" in line
    )
    metrics = {name: float(value) for name, value in map(str.split, logged.split(", "))}
    assert all(map(math.isfinite, metrics.values()))
    return metrics


def test_verse_and_edited_template_give_files_of_samples(trained_on, tmp_path):
    run = trained_on("simplification")
    metrics = reported(run)
    names = ("bleu", "chrf", "sari", "pinc", "perplexity", "novelty", "adherence_words")
    assert {f"samples/{name}" for name in names} <= set(metrics)
    assert {"pipeline/nll_per_word", "decoder/bleu"} <= set(metrics)

    verse = "And God said, Let there be light."
    drawn(run, tmp_path / "a", prompts=[("text", verse)] * 21)
    table = (tmp_path / "a/samples.md").read_text().splitlines()
    assert table[0] == "| source | generated |"
    assert table[2].startswith(f"| {verse} |")
    assert len(table) == 2 + 21
    # What people make of a template is what Y is generated from.
    edited = tmp_path / "edited.txt"
    edited.write_text("men light")
    drawn(run, tmp_path / "b", y_prime=[str(edited)])
    assert (tmp_path / "b/y_prime_0.txt").read_text().split() == ["men", "light"]


def test_metrics_are_evaluated_beside_those_of_real_verses(trained_on):
    run = trained_on("simplification")
    evaluate_run(run)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["real/bleu"] == pytest.approx(100)
    assert 0 < metrics["real/source_bleu"] < 100
    assert metrics["real/perplexity"] > 1 and metrics["real/copied"] == 0
    assert metrics["samples/bleu"] < 100 and metrics["samples/number"] == 10
    assert metrics["pipeline/nll_per_word"] > 0
    assert metrics["samples/pinc"] > 0 and 0 < metrics["real/pinc"] < 100

    columns = outputs.read(outputs.path(run, "test"))
    bleu = text_metrics.bleu(columns["reference"], columns["output"])
    assert bleu == pytest.approx(metrics["samples/bleu"])
    assert ratio_of_sums(columns["sari"].sum(axis=0)[None]) == pytest.approx(
        metrics["samples/sari"]
    )


@pytest.mark.parametrize(
    "kind, value, message",
    [
        ("text", "", "the text is empty"),
        ("text", "a\nb", "has 2 lines"),
        ("text", "Слово", "'С', character 1 of 'Слово', is unknown"),
        ("text", "word " * 40, "pieces: at most 32 fit"),
        ("midi", "a.mid", "simplification reads --text=TEXT, not --midi"),
    ],
)
def test_prompt_that_is_no_verse_raises_user_error(trained_on, kind, value, message):
    assert_raises(message, trained_on("simplification"), prompts=[(kind, value)])


def test_template_that_does_not_fit_raises_user_error(trained_on, tmp_path):
    path = tmp_path / "template.txt"
    path.write_text("light, Слово")
    run = trained_on("simplification")
    assert_raises(f"--y_prime={path}: ", run, y_prime=[str(path)])
    missing = tmp_path / "none.txt"
    assert_raises(f"--y_prime={missing} cannot be read", run, y_prime=[str(missing)])


def test_soprano_of_a_file_is_kept_in_its_harmonization(trained_on, tmp_path):
    run = trained_on("harmony")
    metrics = reported(run)
    names = ("faults", "crossings", "in_key", "soprano_kept", "adherence_chord")
    assert {f"samples/{name}" for name in names} <= set(metrics)
    assert {"pipeline/nll_per_note", "decoder/token_accuracy_4"} <= set(metrics)

    tune = [67, 69, 71, 72, 71, 69, 67]
    notes = tuple(Note(2 * i, 2, pitch, i == 6) for i, pitch in enumerate(tune))
    midi.write(tmp_path / "tune.mid", Score((notes,), division=2))
    tune_file = ("midi", f"{tmp_path}/tune.mid")
    saved = drawn(run, tmp_path / "a", prompts=[tune_file] * 4)
    pitches = events.onset_pitches(saved["x"][0, :, 0])
    assert pitches[pitches > 0].tolist() == tune
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert {"sample_0.mid", "sample_0.wav", "sample_0.musicxml"} <= names
    voices = midi.read(tmp_path / "a/sample_0.mid", 2).voices
    assert voices == musicxml.read(tmp_path / "a/sample_0.musicxml", 2).voices

    # A lead sheet of one's own.
    sheet = (tmp_path / "a/y_prime_0.txt").read_text()
    assert sheet.split()[:4] == ["beat", "key", "chord", "rhythm"]


def test_all_samples_are_written_and_some_are_rendered(trained_on, tmp_path):
    run = trained_on("harmony")
    y = drawn(run, tmp_path, 4)["y"]
    assert len(y) == 4 > Harmony.num_rendered
    # A score that ends where it begins has nothing to write.
    names = [f"sample_{i}" for i, one in enumerate(y) if one[0, 0]]
    for ending in ("png", "wav", "mid", "musicxml"):
        written = sorted(path.stem for path in tmp_path.glob(f"sample_*.{ending}"))
        assert written == names
    events = EventAccumulator(str(run / "prior")).Reload()
    for kind in ("images", "audio"):
        shown = [tag for tag in events.Tags()[kind] if tag.startswith("sample_")]
        assert 0 < len(shown) <= Harmony.num_rendered


@pytest.mark.parametrize(
    "notes, message",
    [
        ((), "has no notes"),
        ((Note(0, 2, 20),), "bar 1, beat 1: G#0 is out of range"),
        ((Note(0, 2, 60), Note(200, 2, 60)), "quarter notes: at most 64 fit"),
    ],
)
def test_tune_that_cannot_be_read_raises_user_error(
    trained_on, tmp_path, notes, message
):
    midi.write(tmp_path / "tune.mid", Score((notes,), division=2))
    tune = ("midi", f"{tmp_path}/tune.mid")
    assert_raises(message, trained_on("harmony"), prompts=[tune])


def test_lyrics_give_a_tune(trained_on, tmp_path):
    run = trained_on("melody")
    metrics = reported(run)
    names = ("in_key", "notes_per_syllable", "interval_distance", "adherence_rhythm")
    assert {f"samples/{name}" for name in names} <= set(metrics)

    drawn(run, tmp_path, prompts=[("text", LYRICS)])
    assert (tmp_path / "sample_0.mid").exists() or not np.any(
        events.onset_mask(np.load(tmp_path / "samples.npz")["y"], axis=1)
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("Wach auf", "lyrics begin with meter, key and a colon"),
        ("6/8 G: Wach auf", "the meter 6/8 is not in the training data: choose 3/4 or"),
        ("4/4 H: Wach auf", "there is no key 'H'"),
        ("4/4 G: ", "line 1 of the lyrics has no words"),
        ("4/4 G: Wach auf / / mein", "line 2 of the lyrics has no words"),
        ("4/4 G: Проснись", "is unknown: known are"),
        (f"4/4 G: {'Herz ' * 150}", "pieces: at most 160 fit"),
    ],
)
def test_lyrics_that_cannot_be_sung_raise_user_error(trained_on, text, message):
    assert_raises(message, trained_on("melody"), prompts=[("text", text)])


@pytest.mark.parametrize(
    # As many as other tests draw of these runs: the same programs.
    "name, kind, prompt, num",
    [
        ("simplification", "text", "And God said", 10),
        ("harmony", "midi", "{}/tune.mid", 4),
    ],
)
def test_sample_needs_no_prepared_data(
    trained_on, without_data, tmp_path, name, kind, prompt, num
):
    run = without_data(trained_on(name))
    notes = (Note(0, 2, 67), Note(2, 2, 69), Note(4, 2, 71), Note(6, 2, 67, True))
    midi.write(tmp_path / "tune.mid", Score((notes,), division=2))
    prompts = [(kind, prompt.format(tmp_path))] * num
    assert len(sample_run(run, prompts=prompts).y) == num
    assert len(sample_run(run, num).y) == num
