import numpy as np
import pytest
import soundfile
from PIL import Image

from regen_jax.errors import UserError
from regen_jax.media.media import Media
from regen_jax.media.video import Video


def test_saved_files_hold_images_audio_and_texts(tmp_path):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    wave = np.sin(np.arange(800, dtype=np.float32))
    media = Media({"picture": image}, {"sound": (wave, 8000)})
    media.update(Media(texts={"words": "| a |\n| --- |"}))
    paths = media.save(tmp_path)
    assert [path.name for path in paths] == ["picture.png", "sound.wav", "words.md"]
    np.testing.assert_array_equal(np.asarray(Image.open(paths[0])), image)
    samples, rate = soundfile.read(paths[1])
    assert rate == 8000
    np.testing.assert_allclose(samples, wave, atol=1 / 2**15)
    assert paths[2].read_text() == "| a |\n| --- |\n"


NOISE = np.random.default_rng(0).integers(256, size=(12, 64, 64, 3), dtype=np.uint8)
LARGE = {
    "image": Media(images={"a": NOISE[0]}),
    "sound": Media(audio={"a": (np.zeros(9000, np.float32), 8000)}),
    "text": Media(texts={"a": "words " * 1000}),
    "video": Media(videos={"a": Video(NOISE, 25)}),
    "file": Media(files={"a": lambda path: path.write_bytes(bytes(9000))}),
}


@pytest.mark.parametrize("kind", LARGE)
def test_full_disk_leaves_no_part_of_a_file(tmp_path, full_disk, kind):
    with full_disk(3000), pytest.raises((OSError, UserError)):
        LARGE[kind].save(tmp_path)
    assert not list(tmp_path.iterdir())
