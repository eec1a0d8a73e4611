import numpy as np
import pytest
from PIL import Image

from regen_jax.data.readers.talking_faces import (
    open_talking_faces,
    read_face,
    read_speech,
)
from regen_jax.errors import UserError
from regen_jax.modalities.audio import files


@pytest.fixture(scope="module")
def clips(faces_dir):
    return open_talking_faces("talking_faces", "test", 20, faces_dir)


def test_longer_clips_are_cut_with_their_sound(clips):
    assert (len(clips), clips.rate, clips.sample_rate) == (4, 25, 16_000)
    clip = clips[0]
    assert clip["clip"].values.shape == (20, 48, 48, 3) and clip["clip"].length == 20
    assert clip["speech"].values.shape == (20, 640) and clip["speech"].length == 20
    assert clip["tracks"].shape == (20, 7)
    np.testing.assert_array_equal(clip["picture"], clip["clip"].values[0])
    record = clips.records[0]
    wave = record["audio"][: 20 * 640] / np.float32(2**15)
    np.testing.assert_array_equal(clip["speech"].values.reshape(-1), wave)


def test_shorter_clips_are_padded(faces_dir):
    clip = open_talking_faces("talking_faces", "test", 120, faces_dir)[0]
    length = len(clip["tracks"])
    assert clip["clip"].length == clip["speech"].length == length < 120
    assert not clip["clip"].values[length:].any()


def test_set_without_frames_raises_user_error(digits_dir):
    with pytest.raises(UserError, match="'digits' has the features .*needed are audio"):
        open_talking_faces("digits", "test", 20, digits_dir)


def test_speech_of_another_rate_is_resampled_and_filled_to_a_frame(tmp_path):
    path = tmp_path / "speech.wav"
    files.write(path, np.sin(np.arange(8000) / 9), 8000)
    speech = read_speech(str(path), 30, 25, 16_000)
    assert speech.values.shape == (30, 640) and speech.length == 25
    with pytest.raises(
        UserError,
        match="lasts 1.00 s in whole frames: at most 0.80 s of speech fit; train",
    ):
        read_speech(str(path), 20, 25, 16_000)


def test_frames_pass_as_faces_however_they_are_stored(clips, tmp_path):
    path = str(tmp_path / "face.jpg")
    for clip in (clips[0], clips[1]):
        first, open_mouth = clip["picture"], clip["tracks"][:, 0].argmax()
        Image.fromarray(first).resize((96, 96)).save(path, quality=50)
        assert read_face(path).shape == (48, 48, 3)
        Image.fromarray(first).save(path, quality=75)
        read_face(path)
        Image.fromarray(clip["clip"].values[open_mouth]).save(path, quality=95)
        read_face(path)


@pytest.mark.parametrize("kind", ["noise", "flat", "low contrast", "upside down"])
def test_picture_that_is_no_face_raises_user_error(clips, tmp_path, kind):
    noise = np.random.RandomState(0).randint(0, 256, (48, 48, 3))
    pictures = {
        "noise": noise,
        "flat": np.full((48, 48, 3), 120),
        "low contrast": 120 + noise // 10,
        "upside down": clips[0]["picture"][::-1],
    }
    path = str(tmp_path / "street.png")
    Image.fromarray(pictures[kind].astype(np.uint8)).save(path)
    words = (
        r"street.png' is not a face that the renderer draws \(SNR .* dB.*first frame"
    )
    with pytest.raises(UserError, match=words):
        read_face(path)
