import numpy as np
import soundfile
from PIL import Image

from regen_jax.media.media import Media


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
