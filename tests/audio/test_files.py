import builtins

import numpy as np
import pytest
import soundfile

from regen_jax.audio import files
from regen_jax.errors import UserError

RATE = 16_000


def tone(rate, seconds=0.25, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize(
    ("file_format", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 1e-6),
        ("WAV", "DOUBLE", 1e-6),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 1e-6),
        ("OGG", "VORBIS", 0.05),
    ],
)
def test_formats_and_depths(tmp_path, file_format, subtype, tolerance):
    path = tmp_path / "sound"
    soundfile.write(path, tone(RATE), RATE, format=file_format, subtype=subtype)
    wave = files.read(path, RATE)
    assert wave.dtype == np.float32 and wave.shape == (4000,)
    np.testing.assert_allclose(wave, tone(RATE), atol=tolerance)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled(tmp_path, rate):
    path = tmp_path / "sound.wav"
    soundfile.write(path, tone(rate), rate, subtype="FLOAT")
    wave = files.read(path, RATE)
    assert abs(len(wave) - 4000) <= 2
    inner = slice(500, 3500)
    np.testing.assert_allclose(wave[inner], tone(RATE)[inner], atol=1e-3)


def test_channels_are_averaged(tmp_path):
    left, right = tone(RATE), tone(RATE, frequency=1000)
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([left, right], 1), RATE, subtype="FLOAT")
    wave = files.read(path, RATE)
    np.testing.assert_allclose(wave, (left + right) / 2, atol=1e-6)


def test_floating_point_beyond_one_is_clipped(tmp_path):
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([0.0, 3.0, -3.0]), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(files.read(path, RATE), [0, 1, -1])


def damaged(tmp_path):
    path = tmp_path / "whole.flac"
    soundfile.write(path, tone(RATE), RATE)
    return path.read_bytes()[:20]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda path: b"", "is empty"),
        (lambda path: b"no sound at all" * 9, "is damaged or of an unknown format: "),
        (damaged, "is damaged or of an unknown format: "),
    ],
    ids=["zero bytes", "text", "cut"],
)
def test_bad_content_is_one_line(tmp_path, content, message):
    path = tmp_path / "bad.wav"
    path.write_bytes(content(tmp_path))
    with pytest.raises(UserError, match=f"sound file '{path}' {message}") as caught:
        files.read(path, RATE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("rate", "size"), [(RATE, 0), (44_100, 0), (48_000, 1)])
def test_too_few_samples_are_told(tmp_path, rate, size):
    """At 16 kHz nothing is left of a single sample at 48 kHz."""
    path = tmp_path / "bad.wav"
    soundfile.write(path, np.zeros(size), rate)
    with pytest.raises(UserError, match="has no samples"):
        files.read(path, RATE)


def test_samples_that_are_no_numbers_are_told(tmp_path):
    path = tmp_path / "bad.wav"
    soundfile.write(path, np.array([0.0, np.nan]), RATE, subtype="FLOAT")
    with pytest.raises(UserError, match="has samples that are not numbers"):
        files.read(path, RATE)


@pytest.mark.parametrize("name", ["none.wav", ""])
def test_missing_file_and_folder_are_told(tmp_path, name):
    with pytest.raises(UserError, match=f"there is no sound file '{tmp_path / name}'"):
        files.read(tmp_path / name, RATE)


def test_write_is_wav_of_16_bits(tmp_path):
    path = tmp_path / "out.wav"
    files.write(path, np.array([0, 0.5, -0.25, 2, -2], np.float32), 8_000)
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.samplerate) == ("WAV", "PCM_16", 8_000)
    samples, _ = soundfile.read(path, dtype="int16")
    assert samples.tolist() == [0, 2**14, -(2**13), 2**15 - 1, -(2**15)]
    np.testing.assert_allclose(
        files.read(path, 8_000), [0, 0.5, -0.25, 1, -1], atol=2**-15
    )


def test_write_into_a_missing_folder_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot write the sound file .*none/out.wav"):
        files.write(tmp_path / "none" / "out.wav", tone(RATE), RATE)


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_missing_package_is_named(tmp_path, monkeypatch, package):
    path = tmp_path / "sound.wav"
    soundfile.write(path, tone(8_000), 8_000)
    real = builtins.__import__

    def lacking(name, *args, **options):
        if name == package:
            raise ModuleNotFoundError(name=name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(
        UserError, match=rf"package {package}: run `pip install 'regen-jax\[speech\]'`"
    ):
        files.read(path, RATE)
