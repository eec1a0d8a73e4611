"""A talking head from a file of speech and one of a face."""

import numpy as np
import pytest
from PIL import Image

from configs.talking_head import get_config
from regen_jax.cli.sample_run import fit_to_prompts, sample_run
from regen_jax.config.build import build
from regen_jax.data.readers.talking_faces import open_talking_faces
from regen_jax.errors import LimitError, UserError
from regen_jax.modalities.audio import files


@pytest.fixture(scope="module")
def workdir(faces_dir, train_once):
    """The workdir of a tiny run."""
    seconds = "--config.data.max_seconds=1.2"
    return train_once("talking_head.py:size=tiny", faces_dir, seconds)


@pytest.fixture(scope="module")
def given(faces_dir, tmp_path_factory):
    """A face and a second of speech at another rate, as files."""
    folder = tmp_path_factory.mktemp("given")
    clip = open_talking_faces("talking_faces", "test", 25, faces_dir)[0]
    Image.fromarray(clip["picture"]).resize((96, 96)).save(folder / "face.png")
    wave = clip["speech"].values.reshape(-1)
    files.write(folder / "speech.wav", wave[::2], 8000)
    return folder


@pytest.fixture
def sample_speech(workdir, given, command, tmp_path):
    """Runs `sample` on the speech and with further flags; it writes to the folder `out`."""
    speech = f"--audio={given}/speech.wav"
    flags = f"--workdir={workdir}", speech, f"--out={tmp_path}/out"
    return lambda *further: command("sample", *flags, *further)


def test_speech_and_face_become_a_clip_with_sound(sample_speech, given, tmp_path):
    done = sample_speech(f"--image={given}/face.png")
    assert done.returncode == 0, done.stderr
    assert "96 × 96 pixels; cropped and resized to 48 × 48" in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"1 sample in {tmp_path}/out: samples.npz, ")
    assert line.endswith(", sample_0.mp4") or ", sample_0.mp4, " in line
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"samples.npz", "sample_0.gif", "sample_0.mp4"} <= names
    with np.load(tmp_path / "out" / "samples.npz") as samples:
        assert samples["y"].shape == (1, 30, 48, 48, 3)
        assert samples["y_length"].tolist() == [25]
        assert samples["y_prime/tracks"].shape == (1, 30, 7)


def test_speech_longer_than_in_training_is_generated_in_chunks(workdir, given):
    wave = files.read(str(given / "speech.wav"), 16_000)
    files.write(given / "long.wav", np.tile(wave, 3), 16_000)
    prompts = [("audio", str(given / name)) for name in ("long.wav", "speech.wav")]
    face = ("image", str(given / "face.png"))
    samples = sample_run(workdir, prompts=[*prompts, face])
    assert samples.y.values.shape == (2, 75, 48, 48, 3)
    assert samples.y.length.tolist() == [75, 25]
    # What is short is generated as it is alone.
    alone = sample_run(workdir, prompts=[*prompts[1:], face])
    assert alone.y.values.shape[1] == 30
    difference = np.int16(alone.y.values[0, :25]) - samples.y.values[1, :25]
    assert np.abs(difference).max() <= 2


def test_speech_beyond_all_limits_raises_user_error(workdir, given):
    files.write(given / "hour.wav", np.zeros(61 * 8000, np.float32), 8000)
    prompts = [("audio", str(given / "hour.wav")), ("image", str(given / "face.png"))]
    with pytest.raises(UserError, match="lasts 61.00 s .*: .*max_seconds .* 60]"):
        sample_run(workdir, prompts=prompts)


def test_speech_without_a_face_writes_nothing(sample_speech, tmp_path):
    done = sample_speech()
    assert done.returncode == 2
    assert "one --audio and one --image, and given are" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("is_chunked", [True, False])
def test_run_gets_a_larger_limit_if_its_prior_joins_chunks(faces_dir, is_chunked):
    config = get_config("size=tiny").to_dict()
    config["data"] |= {"dir": faces_dir, "max_seconds": 1.2}
    if not is_chunked:
        config["prior"]["generator"] = config["prior"]["generator"]["generator"]

    def read(run):
        if run.task.max_seconds < 2:
            raise LimitError("2 s", "do not fit", {"max_seconds": 2.0})
        return "read"

    run = build(config, reports=False)
    if is_chunked:
        larger, value = fit_to_prompts(run, config, read)
        assert larger.task.y.shape[0] == 50 and value == "read"
    else:
        with pytest.raises(LimitError, match="2 s: do not fit"):
            fit_to_prompts(run, config, read)
