import json
import logging

import numpy as np
import pytest
import tensorflow_datasets as tfds

from regen_jax.data.readers.speech_recordings import open_recordings
from regen_jax.errors import UserError
from regen_jax.modalities.text.characters import SPANISH
from tests.data.readers.talks import Talks


def prepare_talks(
    folder, talks, rate=8_000, names=("text", "audio"), dtype=np.int16, shape=(None,)
):
    features = {
        names[0]: tfds.features.Text(),
        names[1]: tfds.features.Tensor(shape=shape, dtype=dtype),
    }
    examples = [dict(zip(names, talk, strict=True)) for talk in talks]
    Talks(folder, examples, features, rate).download_and_prepare()


def tone(rate, seconds):
    return 8_000 * np.sin(2 * np.pi * 300 * np.arange(round(rate * seconds)) / rate)


def by_text(source):
    return {source[i]["text"]: source[i] for i in range(len(source))}


@pytest.mark.parametrize("max_bytes", [2**31, 0], ids=["memory", "files"])
def test_long_and_unwritable_utterances_are_left_out_and_logged(
    tmp_path, caplog, max_bytes
):
    seconds = {"A  short, one!": 0.5, "just fits": 1.0, "too long": 1.001, "señor": 0.2}
    talks = [(t, tone(8_000, s).astype(np.int16)) for t, s in seconds.items()]
    prepare_talks(tmp_path, [*talks, ("...", np.zeros(9, np.int16))])
    with caplog.at_level(logging.INFO, "regen_jax"):
        source = open_recordings(
            *("talks", "train", str(tmp_path)),
            sample_rate=8_000,
            max_seconds=1.0,
            max_bytes=max_bytes,
        )
    assert len(source) == 2 and source.too_long == ("too long",)
    assert sorted(source.unwritable) == ["", "señor"]
    (record,) = caplog.records
    assert record.getMessage() == (
        "talks (train): left out are 1 longer than 1 s and 2 with unknown characters"
    )
    examples = by_text(source)
    assert sorted(examples) == ["a short one", "just fits"]
    np.testing.assert_array_equal(examples["just fits"]["audio"], talks[1][1])
    assert examples["just fits"]["audio"].dtype == np.int16


def test_characters_of_another_alphabet_are_kept(tmp_path):
    prepare_talks(tmp_path, [("¡Señor!", np.ones(9, np.int16))])
    source = open_recordings("talks", "train", str(tmp_path), 8_000, 1.0, SPANISH)
    assert source[0]["text"] == "señor"


@pytest.mark.parametrize(
    "dtype, scale, channels",
    [(np.int16, 1, 0), (np.int64, 1, 0), (np.float32, 2**-15, 0), (np.int16, 1, 2)],
)
def test_samples_of_any_dtype_are_resampled(tmp_path, dtype, scale, channels):
    wave = (tone(22_050, 0.5) * scale).astype(dtype)
    shape = (None,)
    if channels:
        wave, shape = np.stack([wave, 0 * wave], axis=1), (None, channels)
    names = ("text_normalized", "speech")
    prepare_talks(tmp_path, [("a", wave)], 22_050, names, dtype, shape)
    audio = open_recordings("talks", "train", str(tmp_path))[0]["audio"]
    assert audio.dtype == np.int16 and len(audio) == 8_000
    expected = tone(16_000, 0.5) / (2 if channels else 1)
    np.testing.assert_allclose(audio[500:-500], expected[500:-500], atol=20)


def test_durations_scale_with_the_sample_rate(speech_dir):
    whole, half = (
        open_recordings("spoken_bible", "test", speech_dir, rate)
        for rate in (16_000, 8_000)
    )
    assert len(whole) == len(half) == 40
    assert (whole.too_long, whole.unwritable) == ((), ())
    for index in range(len(whole)):
        one, other = whole[index], half[index]
        assert one["phonemes"] == other["phonemes"] and one["text"] == other["text"]
        for example in (one, other):
            assert example["durations"].dtype == np.int32
            assert example["durations"].sum() == len(example["audio"])
            assert len(example["durations"]) == len(example["phonemes"])
        np.testing.assert_allclose(one["durations"], 2 * other["durations"], atol=2)


def prepare_audio_feature(folder, wave, **description):
    """Prepares a set as TFDS does `ljspeech` where TensorFlow is installed."""
    names = ("text_normalized", "speech")
    prepare_talks(folder, [("a", wave)], None, names, np.int64)
    path = folder / "talks" / "1.0.0" / "features.json"
    features = json.loads(path.read_text())
    features["featuresDict"]["features"]["speech"] = {
        "pythonClassName": "tensorflow_datasets.core.features.audio_feature.Audio",
        "audio": {
            "shape": {"dimensions": ["-1"]},
            "dtype": "int64",
            "encoding": "NONE",
            **description,
        },
    }
    path.write_text(json.dumps(features))


def test_audio_feature_is_read_without_tensorflow(tmp_path):
    wave = tone(8_000, 0.1).astype(np.int64)
    prepare_audio_feature(tmp_path, wave, sampleRate="8000")
    source = open_recordings("talks", "train", str(tmp_path), 8_000)
    np.testing.assert_array_equal(source[0]["audio"], wave)


@pytest.mark.parametrize(
    "description, message",
    [
        ({}, "'talks' does not say its sample rate"),
        ({"sampleRate": "8000", "lazyDecode": True}, "holds whole sound files"),
    ],
)
def test_unusable_audio_feature_raises_user_error(tmp_path, description, message):
    prepare_audio_feature(tmp_path, np.ones(9, np.int64), **description)
    with pytest.raises(UserError, match=message) as caught:
        open_recordings("talks", "train", str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options, wave, message",
    [
        (
            {"names": ("words", "audio")},
            [1],
            "has the features audio, words: needed are",
        ),
        ({"names": ("text", "image")}, [1], "has the features image, text: needed are"),
        ({"rate": None}, [1], "does not say its sample rate"),
        ({"dtype": np.int32}, [2**20], "has more than 16 bits per sample"),
        ({"dtype": np.float32}, [0, -8000], "floating-point samples that .* beyond 2"),
        (
            {"dtype": np.float32},
            [0, np.nan],
            "samples that are NaN or beyond 2",
        ),
        (
            {},
            [1] * 30_000,
            "nothing is left of 'talks' .train.: 1 longer than 2 s and 0",
        ),
    ],
)
def test_unsuitable_set_raises_user_error(tmp_path, options, wave, message):
    dtype = options.get("dtype", np.int16)
    prepare_talks(tmp_path, [("a", np.array(wave, dtype))], **options)
    with pytest.raises(UserError, match=message) as caught:
        open_recordings("talks", "train", str(tmp_path))
    assert "\n" not in str(caught.value)


def test_damaged_set_raises_user_error(tmp_path):
    prepare_talks(tmp_path, [("a", np.ones(9, np.int16))])
    folder = tmp_path / "talks" / "1.0.0"
    for file in folder.glob("*.array_record*"):
        file.unlink()
    with pytest.raises(UserError, match=f"is damaged: delete {folder} and run"):
        open_recordings("talks", "train", str(tmp_path))
