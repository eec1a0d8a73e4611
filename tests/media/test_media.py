import numpy as np
import soundfile
from PIL import Image

from regen_jax.media.media import Exhibit


def test_files_hold_what_is_shown(tmp_path):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    wave = np.sin(np.arange(800, dtype=np.float32))
    exhibit = Exhibit({"picture": image}, {"sound": (wave, 8000)})
    exhibit.add(Exhibit(texts={"words": "| a |\n| --- |"}))
    paths = exhibit.save(tmp_path)
    assert [path.name for path in paths] == ["picture.png", "sound.wav", "words.md"]
    np.testing.assert_array_equal(np.asarray(Image.open(paths[0])), image)
    read, rate = soundfile.read(paths[1])
    assert rate == 8000
    np.testing.assert_allclose(read, wave, atol=1 / 2**15)
    assert paths[2].read_text() == "| a |\n| --- |\n"
