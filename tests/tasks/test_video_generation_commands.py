"""Text → video from its config to files, and what bad input gets."""

import av
import numpy as np
import pytest
from PIL import Image

from regen_jax.cli.sample_run import sample_run, save_samples
from regen_jax.errors import UserError

CAPTIONS = ("a 3 moves left and bounces", "a 7 falls; a 1 stands still")


@pytest.fixture(scope="module")
def workdir(moving_digits_dir, train_config, tmp_path_factory):
    """A run of two steps of each stage, with the default abstraction, trajectories."""
    folder = tmp_path_factory.mktemp("video") / "run"
    steps = [f"--config.train.{stage}.steps=2" for stage in ("judge", "prior")]
    return train_config("moving_digits.py:size=tiny", moving_digits_dir, folder, *steps)


def test_captions_become_clips_without_the_data(workdir, without_data, tmp_path):
    prompts = [("text", caption) for caption in CAPTIONS]
    samples = sample_run(without_data(workdir), prompts=prompts)
    save_samples(samples, tmp_path, seed=0)
    with np.load(tmp_path / "samples.npz") as saved:
        assert saved["y"].shape == (2, 16, 32, 32, 1) and saved["y"].dtype == np.uint8
    with Image.open(tmp_path / "samples.gif") as animation:
        assert animation.is_animated
    with av.open(str(tmp_path / "samples.mp4")) as movie:
        assert sum(1 for _ in movie.decode(video=0)) == 16
    assert (tmp_path / "samples.png").exists()
    text = (tmp_path / "samples.md").read_text()
    assert all(caption in text for caption in CAPTIONS)


def test_text_that_is_no_caption_is_one_line(workdir):
    with pytest.raises(UserError, match="no caption of moving digits") as caught:
        sample_run(workdir, prompts=[("text", "a cat plays")])
    assert "\n" not in str(caught.value)
