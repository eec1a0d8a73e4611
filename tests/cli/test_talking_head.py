"""A talking head from a file of speech and one of a face."""

import numpy as np
import pytest
from PIL import Image

from regen_jax.data.readers.talking_faces import open_talking_faces
from regen_jax.modalities.audio import files


@pytest.fixture(scope="module")
def workdir(faces_dir, speech_run):
    """The workdir of a tiny run; `speech_run` reads the same folder of data."""
    return speech_run(
        "talking_head.py:size=tiny",
        "--config.data.max_seconds=1.2",
        "--config.train.prior.steps=4",
    )


@pytest.fixture(scope="module")
def given(faces_dir, tmp_path_factory):
    """A face and a second of speech at another rate, as files."""
    folder = tmp_path_factory.mktemp("given")
    clip = open_talking_faces("talking_faces", "test", 25, faces_dir)[0]
    Image.fromarray(clip["picture"]).resize((96, 96)).save(folder / "face.png")
    wave = clip["speech"].values.reshape(-1)
    files.write(folder / "speech.wav", wave[::2], 8000)
    return folder


def test_speech_and_face_become_a_clip_with_sound(workdir, given, command, tmp_path):
    done = command(
        "sample",
        f"--workdir={workdir}",
        f"--audio={given}/speech.wav",
        f"--image={given}/face.png",
        f"--out={tmp_path}/out",
    )
    assert done.returncode == 0, done.stderr
    assert "96 × 96 pixels; cropped and resized to 48 × 48" in done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"samples.npz", "sample_0.gif", "sample_0.mp4"} <= names
    with np.load(tmp_path / "out" / "samples.npz") as samples:
        assert samples["y"].shape == (1, 30, 48, 48, 3)
        assert samples["y_length"].tolist() == [25]
        assert samples["y_prime/tracks"].shape == (1, 30, 7)


def test_speech_without_a_face_writes_nothing(workdir, given, command, tmp_path):
    done = command(
        "sample",
        f"--workdir={workdir}",
        f"--audio={given}/speech.wav",
        f"--out={tmp_path}/out",
    )
    assert done.returncode == 2
    assert "one --audio and one --image, and given are" in done.stderr
    assert not (tmp_path / "out").exists()
