"""Words → sound: metrics by judges whose predictions are given, and a tiny run."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.sample_run import sample_run, save_samples
from regen_jax.errors import UserError
from regen_jax.interfaces import Generated
from regen_jax.judges.sound_classifier import SoundClassifier
from regen_jax.tasks.sound_generation import SoundGeneration

ROOT = Path(__file__).parent.parent.parent
STAGES = ("judge", "voice_judge", "decoder", "prior")
PROMPT = "seven, female 3, high, fast"


@pytest.fixture(scope="module")
def task(sounds_dir):
    return SoundGeneration(dir=sounds_dir)


@pytest.fixture
def judged(task, monkeypatch):
    """Judges who hear the words that the first samples of a sound are, over 1000."""

    def predict(self, variables, waves):
        columns = [position for position, _ in self.positions]
        words = np.rint(1000 * waves[:, columns]).astype(int)
        return words, np.float32(waves[:, :2])

    monkeypatch.setattr(SoundClassifier, "predict", predict)
    return {"judge": {}, "voice_judge": {}}


def sounds_of(task, x):
    y = np.zeros((len(x), task.y.shape[0]), np.float32)
    y[:, : x.shape[1]] = x / 1000
    return y


def batch(examples):
    return {k: np.stack([example[k] for example in examples]) for k in ("x", "y")}


def test_sounds_are_filled_with_silence(task):
    examples = task.examples("test")
    assert len(examples) == 16 and task.y.shape == (16384,)
    for i in range(8):
        wave = examples.sounds.waves[i]
        y = examples[i]["y"]
        np.testing.assert_allclose(y[: len(wave)] * 2**15, wave, atol=1e-3)
        assert y.shape == (16384,) and not y[len(wave) :].any()


def test_train_leaves_out_some_words_but_no_label(sounds_dir):
    rows = SoundGeneration(dir=sounds_dir, unspecified=0.5).examples("train").x
    assert (rows[:, 0] > 0).all() and 0.4 < (rows[:, 1:] == 0).mean() < 0.6
    for split in ("validation", "test"):
        assert (SoundGeneration(dir=sounds_dir).examples(split).x > 0).all()


def test_prompt_gives_words_and_rest_is_open(task):
    whole = task.parse_prompt("text", PROMPT)["x"]
    assert task.words.decode(whole[None]) == ["seven, high, fast, female 3"]
    assert task.parse_prompt("text", "seven")["x"].tolist() == [whole[0], 0, 0, 0, 0]
    with pytest.raises(UserError, match="reads --text=WORDS, not --audio"):
        task.parse_prompt("audio", "a.wav")


def test_longer_sounds_count_as_wrong(sounds_dir, judged):
    task = SoundGeneration(dir=sounds_dir, max_seconds=0.4)
    core = task.core_list("test")
    assert len(core.rows) + len(core.too_long) == 16 and core.too_long
    prompts = batch(task.prompts(0))
    generated = Generated(prompts, sounds_of(task, prompts["x"]), core.too_long)
    values = task.sample_metrics(judged)(generated)
    assert values["accuracy"] == pytest.approx(len(core.rows) / 16)
    columns = task.per_example(judged, generated)
    assert len(columns["words"]) == 16
    assert columns["accuracy"].mean(axis=0).tolist() == [values["accuracy"], 1]


def test_accuracy_is_of_each_word_and_of_held_out_pairs(task, judged):
    prompts = batch(task.prompts(0))
    x = prompts["x"]
    seen = task.words.encode(task.examples("train").sounds.labels)
    held_out = task.words.has_unseen_pair(x, seen)
    assert held_out.any() and not held_out.all()
    said = x.copy()
    said[held_out, 0] = said[held_out, 0] % 36 + 1
    said[:4, 4] = 0
    values = task.sample_metrics(judged)(Generated(prompts, sounds_of(task, said)))
    assert values["accuracy"] == pytest.approx(1 - held_out.mean())
    assert values["held_out_accuracy"] == 0 and values["pitch_accuracy"] == 1
    assert values["voice_accuracy"] == 0.75
    real = task.sample_metrics(judged)(Generated(prompts, prompts["y"]))
    assert real["log_spectral_distance"] == pytest.approx(0, abs=1e-5)
    assert values["log_spectral_distance"] > 5


def test_words_left_out_have_no_accuracy(task, judged):
    x = np.stack([task.parse_prompt("text", "seven")["x"]] * 2)
    values = task.sample_metrics(judged)(Generated({"x": x}, sounds_of(task, x)))
    assert values == {"accuracy": 1}


@pytest.fixture(scope="module")
def run(train_config, sounds_dir, tmp_path_factory):
    flags = [f"--config.train.{stage}.steps=4" for stage in STAGES]
    return train_config(
        "spoken_sounds.py:prior=regression,size=tiny",
        sounds_dir,
        tmp_path_factory.mktemp("sounds") / "run",
        "--config.data.max_seconds=0.512",
        *flags,
    )


def test_run_samples_wav_files_that_say_they_are_synthetic(run, without_data, tmp_path):
    alone = without_data(run)
    prompts = [("text", PROMPT), ("text", "b")]
    save_samples(sample_run(alone, prompts=prompts), tmp_path, seed=0)
    saved = np.load(tmp_path / "samples.npz")
    assert saved["y"].shape == (2, 8192)
    for index in range(2):
        wave, rate = soundfile.read(tmp_path / f"samples_{index}.wav")
        assert rate == 16_000
        np.testing.assert_allclose(wave, saved["y"][index], atol=1.1 / 2**15)
    assert "Synthetic voices, not people's" in (tmp_path / "samples.md").read_text()
    assert (tmp_path / "samples.png").exists()


def test_run_is_evaluated_beside_real_sounds(run):
    evaluate_run(run)
    metrics = json.loads((run / "metrics.json").read_text())
    accuracies = ("", "held_out_", "accent_", "pitch_", "rate_", "voice_")
    names = {*(f"{name}accuracy" for name in accuracies), "frechet", "frechet_std"}
    names |= {"log_spectral_distance"}
    assert {f"{of}/{name}" for of in ("samples", "real") for name in names} <= {
        *metrics
    }
    assert all(math.isfinite(value) for value in metrics.values())
    judges = {name for name in metrics if "judge/" in name and "accuracy" in name}
    words = {f"voice_judge/{name}_accuracy" for name in ("accent", "pitch", "rate")}
    assert judges == words | {"judge/accuracy", "voice_judge/voice_accuracy"}
    assert metrics["real/log_spectral_distance"] == pytest.approx(0, abs=1e-5)
    assert metrics["decoder/log_spectral_distance"] > 0


@pytest.mark.parametrize(
    "prompt, message",
    [
        ("", "'' has no label: write one of zero, one"),
        ("eleven", "'eleven' in 'eleven' is no word that was learned"),
        ("seven, klingon", "'klingon' in"),
    ],
)
def test_wrong_prompt_raises_user_error(run, prompt, message):
    with pytest.raises(UserError, match=message):
        sample_run(run, prompts=[("text", prompt)])
