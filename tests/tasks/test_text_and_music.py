"""Text and music tasks through the commands: samples, metrics, and wrong prompts."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from regen_jax.evaluation import outputs
from regen_jax.metrics import text as text_metrics
from regen_jax.metrics.significance import ratio_of_sums
from regen_jax.modalities.music import events, midi, musicxml
from regen_jax.modalities.music.score import Note, Score
from regen_jax.tasks.harmony import Harmony

ROOT = Path(__file__).parent.parent.parent
LYRICS = "4/4 G: Wach auf, mein Herz, / und sin-ge"


@pytest.fixture(scope="module")
def trained_on(shared, command, text_dir, music_dir):
    """The workdir of a tiny run of a config, for all workers."""

    def train(name: str) -> Path:
        with shared(name) as folder:
            if not (folder / "done").exists():
                done = command(
                    "train",
                    f"--config={ROOT}/configs/{name}.py:size=tiny",
                    f"--config.data.dir={music_dir}",
                    # All in one batch, so that each program has one shape.
                    "--config.evaluate.batch_size=64",
                    f"--workdir={folder}/run",
                )
                assert done.returncode == 0, done.stderr
                (folder / "done").write_text(done.stderr)
        return folder / "run"

    return train


def drawn(command, workdir, out, *flags) -> dict[str, np.ndarray]:
    done = command("sample", f"--workdir={workdir}", f"--out={out}", *flags)
    assert done.returncode == 0, done.stderr
    return np.load(out / "samples.npz")


def error_line(command, workdir, *flags) -> str:
    out = workdir.parent / "unwritten"
    done = command("sample", f"--workdir={workdir}", f"--out={out}", *flags)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error"))
    assert "Traceback" not in done.stderr and not out.exists()
    return line


def reported(workdir) -> dict[str, float]:
    """Metrics of all stages on held-out data, as training logged them."""
    lines = (workdir.parent / "done").read_text().splitlines()
    logged = ", ".join(
        line.split("held out: ")[1] for line in lines if "held out" in line
    )
    metrics = {name: float(value) for name, value in map(str.split, logged.split(", "))}
    assert all(map(math.isfinite, metrics.values()))
    return metrics


def test_verse_prompts_and_edited_templates_give_texts(trained_on, command, tmp_path):
    run = trained_on("simplification")
    metrics = reported(run)
    names = ("bleu", "chrf", "sari", "pinc", "perplexity", "novelty", "adherence_words")
    assert {f"samples/{name}" for name in names} <= set(metrics)
    assert {"pipeline/nll_per_word", "decoder/bleu"} <= set(metrics)

    drawn(command, run, tmp_path / "a", "--text=And God said, Let there be light.")
    table = (tmp_path / "a/samples.md").read_text().splitlines()
    assert table[0] == "| source | generated |"
    assert table[2].startswith("| And God said, Let there be light. |")
    drawn(command, run, tmp_path / "many", "--num=21")
    assert len((tmp_path / "many/samples.md").read_text().splitlines()) == 2 + 21
    # What people make of a template is what Y is generated from.
    edited = tmp_path / "edited.txt"
    edited.write_text("men light")
    drawn(command, run, tmp_path / "b", f"--y_prime={edited}")
    assert (tmp_path / "b/y_prime_0.txt").read_text().split() == ["men", "light"]


def test_metrics_of_samples_and_of_real_verses_agree_with_outputs(trained_on, command):
    run = trained_on("simplification")
    done = command("evaluate", f"--workdir={run}")
    assert done.returncode == 0, done.stderr
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
    "flag, words",
    [
        ("--text=", "the text is empty"),
        ("--text=a\nb", "has 2 lines"),
        ("--text=Слово", "'С', character 1 of 'Слово', is unknown"),
        (f"--text={'word ' * 40}", "pieces: at most 32 fit"),
        ("--midi=a.mid", "simplification reads --text=TEXT, not --midi"),
        ("--y_prime=none.txt", "--y_prime=none.txt cannot be read"),
    ],
)
def test_text_prompt_that_does_not_fit_prints_an_error(
    trained_on, command, flag, words
):
    assert words in error_line(command, trained_on("simplification"), flag)


def test_edited_template_that_does_not_fit_prints_an_error(
    trained_on, command, tmp_path
):
    path = tmp_path / "template.txt"
    path.write_text("light, Слово")
    line = error_line(command, trained_on("simplification"), f"--y_prime={path}")
    assert f"--y_prime={path}: " in line


def test_midi_prompt_is_harmonized_in_all_formats(trained_on, command, tmp_path):
    run = trained_on("harmony")
    metrics = reported(run)
    names = ("faults", "crossings", "in_key", "soprano_kept", "adherence_chord")
    assert {f"samples/{name}" for name in names} <= set(metrics)
    assert {"pipeline/nll_per_note", "decoder/token_accuracy_4"} <= set(metrics)

    tune = [67, 69, 71, 72, 71, 69, 67]
    notes = tuple(Note(2 * i, 2, pitch, i == 6) for i, pitch in enumerate(tune))
    midi.write(tmp_path / "tune.mid", Score((notes,), division=2))
    saved = drawn(command, run, tmp_path / "a", f"--midi={tmp_path}/tune.mid")
    pitches = events.onset_pitches(saved["x"][0, :, 0])
    assert pitches[pitches > 0].tolist() == tune
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert {"sample_0.mid", "sample_0.wav", "sample_0.musicxml"} <= names
    voices = midi.read(tmp_path / "a/sample_0.mid", 2).voices
    assert voices == musicxml.read(tmp_path / "a/sample_0.musicxml", 2).voices

    # A lead sheet of one's own.
    sheet = (tmp_path / "a/y_prime_0.txt").read_text()
    assert sheet.split()[:4] == ["beat", "key", "chord", "rhythm"]


def test_all_samples_are_written_and_some_are_rendered(trained_on, command, tmp_path):
    run = trained_on("harmony")
    y = drawn(command, run, tmp_path, "--num=4")["y"]
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
    "notes, words",
    [
        ((), "has no notes"),
        ((Note(0, 2, 20),), "bar 1, beat 1: G#0 is out of range"),
        ((Note(0, 2, 60), Note(200, 2, 60)), "quarter notes: at most 64 fit"),
    ],
)
def test_midi_prompt_that_does_not_fit_prints_an_error(
    trained_on, command, tmp_path, notes, words
):
    midi.write(tmp_path / "tune.mid", Score((notes,), division=2))
    line = error_line(command, trained_on("harmony"), f"--midi={tmp_path}/tune.mid")
    assert words in line


def test_lyrics_prompt_gives_a_midi_file(trained_on, command, tmp_path):
    run = trained_on("melody")
    metrics = reported(run)
    names = ("in_key", "notes_per_syllable", "interval_distance", "adherence_rhythm")
    assert {f"samples/{name}" for name in names} <= set(metrics)

    drawn(command, run, tmp_path, f"--text={LYRICS}")
    assert (tmp_path / "sample_0.mid").exists() or not np.any(
        events.onset_mask(np.load(tmp_path / "samples.npz")["y"], axis=1)
    )


@pytest.mark.parametrize(
    "text, words",
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
def test_lyrics_prompt_that_does_not_fit_prints_an_error(
    trained_on, command, text, words
):
    assert words in error_line(command, trained_on("melody"), f"--text={text}")


@pytest.mark.parametrize(
    "name, flag",
    [("simplification", "--text=And God said"), ("harmony", "--midi={}/tune.mid")],
)
def test_run_without_prepared_data_is_sampled(
    trained_on, command, without_data, tmp_path, name, flag
):
    run, environment = without_data(trained_on(name))
    notes = (Note(0, 2, 67), Note(2, 2, 69), Note(4, 2, 71), Note(6, 2, 67, True))
    midi.write(tmp_path / "tune.mid", Score((notes,), division=2))
    for flags, number in ([flag.format(tmp_path)], 1), (["--num=2"], 2):
        out = tmp_path / f"out_{number}"
        done = command(
            "sample", f"--workdir={run}", f"--out={out}", *flags, **environment
        )
        assert done.returncode == 0, done.stderr
        assert len(np.load(out / "samples.npz")["y"]) == number
