import io
import logging
import re
import struct
import sys

import numpy as np
import pytest
import soundfile

from regen_jax.errors import UserError
from regen_jax.modalities.audio import files

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
def test_formats_and_sample_depths_are_read(tmp_path, file_format, subtype, tolerance):
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


@pytest.mark.parametrize(
    ("subtype", "peak", "logged"),
    [
        ("FLOAT", 1.25, "1.25"),
        ("FLOAT", 32_768, "3.277e+04"),
        ("DOUBLE", 1e300, "1e+300"),
    ],
)
def test_float_samples_beyond_one_are_divided_by_their_peak(
    tmp_path, caplog, subtype, peak, logged
):
    path = tmp_path / "loud.wav"
    soundfile.write(path, peak * 2 * tone(RATE), RATE, subtype=subtype)
    with caplog.at_level(logging.WARNING, "regen_jax"):
        wave = files.read(path, RATE)
    (record,) = caplog.records
    assert f"'{path}' has samples up to {logged}, beyond 1" in record.getMessage()
    expected = tone(RATE) / np.abs(tone(RATE)).max()
    np.testing.assert_allclose(wave, expected, atol=1e-3)


def test_largest_samples_of_two_channels_do_not_overflow(tmp_path):
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.full((9, 2), 3e38), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(files.read(path, RATE), np.ones(9))


def test_overshoot_of_a_lossy_format_is_clipped_silently(tmp_path, caplog):
    path = tmp_path / "square.ogg"
    square = np.sign(tone(RATE)) * 0.999
    soundfile.write(path, square, RATE, format="OGG", subtype="VORBIS")
    assert np.abs(soundfile.read(path)[0]).max() > 1
    with caplog.at_level(logging.WARNING, "regen_jax"):
        assert np.abs(files.read(path, RATE)).max() == 1
    assert not caplog.records


def encode(file_format, subtype):
    file = io.BytesIO()
    sound = tone(RATE, seconds=1.0)
    soundfile.write(file, sound, RATE, format=file_format, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(
    ("file_format", "subtype", "tolerance"),
    [
        *(("WAV", subtype, 0) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT")),
        *(("WAV", "ALAW", 0), ("WAV", "ULAW", 0), ("WAVEX", "PCM_16", 0)),
        *((name, "PCM_16", 0) for name in ("RF64", "AIFF", "AU", "W64")),
        *(("AIFF", "FLOAT", 0), ("FLAC", "PCM_16", 0), ("WAV", "IMA_ADPCM", 600)),
        ("MP3", "MPEG_LAYER_III", 1),
    ],
)
def test_truncated_file_is_read_and_logged(
    tmp_path, caplog, file_format, subtype, tolerance
):
    path = tmp_path / "cut"
    whole = encode(file_format, subtype)
    path.write_bytes(whole)
    with caplog.at_level(logging.WARNING, "regen_jax"):
        expected = files.read(path, RATE)
        assert not caplog.records
        path.write_bytes(whole[: len(whole) * 3 // 4])
        wave = files.read(path, RATE)
    (record,) = caplog.records
    match = re.fullmatch(
        f"sound file '{path}' is cut short: (\\d+) of the (\\d+) samples that its header "
        "declares are there and read",
        record.getMessage(),
    )
    assert abs(int(match[2]) - len(expected)) <= tolerance
    assert int(match[1]) == len(wave) < len(expected)
    if not tolerance:
        np.testing.assert_array_equal(wave, expected[: len(wave)])


def test_unreadable_truncated_file_raises_user_error(tmp_path):
    path = tmp_path / "cut"
    path.write_bytes(encode("CAF", "PCM_16")[:20_000])
    with pytest.raises(UserError, match=r"is cut short, at 15,9\d\d of 32,000 bytes: "):
        files.read(path, RATE)


def chunk(name, body, size=None, order="<", pad=True):
    size = len(body) if size is None else size
    return name + struct.pack(f"{order}I", size) + body + bytes(pad and len(body) % 2)


def riff(*chunks, magic=b"RIFF", order="<"):
    return chunk(magic, b"WAVE" + b"".join(chunks), order=order)


def form(rate=RATE, order="<"):
    fields = struct.pack(f"{order}HHIIHH", 1, 1, rate, 2 * rate % 2**32, 2, 16)
    return chunk(b"fmt ", fields, order=order)


SOUND = (2**14 * np.sin(np.arange(800) / 9)).astype("<i2")
DATA = SOUND.tobytes()
LARGE = chunk(b"ds64", struct.pack("<QQQI", 0, 0, 0, 0))
LARGE_SIZED = chunk(b"ds64", struct.pack("<QQQI", 0, len(DATA), 0, 0))


@pytest.mark.parametrize(
    "content",
    [
        riff(form(), chunk(b"data", DATA)),
        *(
            riff(form(), chunk(b"data", DATA, size))
            for size in (0, 2**32 - 1, 2**31 - 1, 2**31, 0x7FFFF000)
        ),
        riff(form(), chunk(b"LIST", b"abc"), chunk(b"data", DATA)),
        riff(form(), chunk(b"LIST", b"abc", pad=False), chunk(b"data", DATA)),
        riff(form(), chunk(b"data", DATA), chunk(b"LIST", b"INFOabc", pad=False)),
        riff(LARGE_SIZED, form(), chunk(b"data", DATA, 2**32 - 1), magic=b"RF64"),
        riff(LARGE_SIZED, form(), chunk(b"data", DATA, 2**32 - 1), magic=b"BW64"),
        riff(LARGE, form(), chunk(b"data", DATA, 2**32 - 1), magic=b"RF64"),
        riff(
            form(order=">"),
            chunk(b"data", SOUND.astype(">i2").tobytes(), order=">"),
            magic=b"RIFX",
            order=">",
        ),
    ],
    ids=[
        *("plain", "size 0", "size unknown", "signed size", "half", "sox"),
        *("padded", "not padded", "more after", "rf64", "bw64", "rf64 size 0"),
        "big endian",
    ],
)
def test_unusual_wav_file_is_read(tmp_path, caplog, content):
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    with caplog.at_level(logging.INFO, "regen_jax"):
        wave = files.read(path, RATE)
    np.testing.assert_array_equal(wave, SOUND.astype(np.float32) / 2**15)
    assert not caplog.records


@pytest.mark.parametrize("rate", [0, 1, 999, 10**6, 2**31 - 1, 2**32 - 1])
def test_impossible_rate_raises_user_error(tmp_path, rate):
    path = tmp_path / "sound.wav"
    path.write_bytes(riff(form(rate), chunk(b"data", DATA)))
    with pytest.raises(
        UserError, match=f"declares a rate of {rate} Hz: from 1000 to 768000"
    ):
        files.read(path, RATE)


def test_many_channels_are_averaged(tmp_path):
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.linspace(0, 0.5, 100) * np.ones((9, 1)), RATE)
    np.testing.assert_allclose(files.read(path, RATE), np.full(9, 0.25), atol=1e-3)


def damaged(tmp_path):
    path = tmp_path / "whole.flac"
    soundfile.write(path, tone(RATE), RATE)
    return path.read_bytes()[:20]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda path: riff(form(), chunk(b"data", b"")), "has no samples"),
        (
            lambda path: riff(form(), chunk(b"data", b""), chunk(b"LIST", b"INFO")),
            "has no samples",
        ),
        (
            lambda path: riff(chunk(b"data", DATA)),
            "is damaged or of an unknown format: ",
        ),
        (lambda path: riff(form()), "is damaged or of an unknown format: "),
        (lambda path: riff(), "is damaged or of an unknown format: "),
        (lambda path: b"", "is empty"),
        (lambda path: b"no sound at all" * 9, "is damaged or of an unknown format: "),
        (damaged, "is damaged or of an unknown format: "),
    ],
    ids=[
        *("size 0", "size 0 and more", "no format", "no data", "bare"),
        *("zero bytes", "text", "cut"),
    ],
)
def test_invalid_content_raises_user_error_of_one_line(tmp_path, content, message):
    path = tmp_path / "bad.wav"
    path.write_bytes(content(tmp_path))
    with pytest.raises(UserError, match=f"sound file '{path}' {message}") as caught:
        files.read(path, RATE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("rate", "size"), [(RATE, 0), (44_100, 0), (48_000, 1)])
def test_file_without_samples_raises_user_error(tmp_path, rate, size):
    """A single sample at 48 kHz is none at 16 kHz."""
    path = tmp_path / "bad.wav"
    soundfile.write(path, np.zeros(size), rate)
    with pytest.raises(UserError, match="has no samples"):
        files.read(path, RATE)


def test_samples_that_are_not_numbers_raise_user_error(tmp_path):
    path = tmp_path / "bad.wav"
    odd = [[0.0, np.nan], [np.inf, -np.inf]]
    soundfile.write(path, np.array(odd), RATE, subtype="FLOAT")
    with pytest.raises(UserError, match="has 3 samples that are not numbers"):
        files.read(path, RATE)


def test_missing_file_and_folder_raise_user_error(tmp_path):
    for path in (tmp_path / "none.wav", "", "a" * 5000, "/dev/null"):
        with pytest.raises(UserError, match="there is no sound file '"):
            files.read(path, RATE)
    with pytest.raises(UserError, match=f"'{tmp_path}' is a folder, not a sound file"):
        files.read(tmp_path, RATE)


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    soundfile.write(tmp_path / "sound.wav", tone(RATE), RATE)
    assert len(files.read("~/sound.wav", RATE)) == 4000


def test_written_file_is_16_bit_wav(tmp_path):
    path = tmp_path / "out.wav"
    files.write(path, np.array([0, 0.5, -0.25, 2, -2], np.float32), 8_000)
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.samplerate) == ("WAV", "PCM_16", 8_000)
    samples, _ = soundfile.read(path, dtype="int16")
    assert samples.tolist() == [0, 2**14, -(2**13), 2**15 - 1, -(2**15)]
    np.testing.assert_allclose(
        files.read(path, 8_000), [0, 0.5, -0.25, 1, -1], atol=2**-15
    )


def test_writing_into_missing_folder_raises_user_error(tmp_path):
    with pytest.raises(UserError, match="cannot write the sound file .*none/out.wav"):
        files.write(tmp_path / "none" / "out.wav", tone(RATE), RATE)


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_missing_package_raises_user_error(tmp_path, monkeypatch, package):
    path = tmp_path / "sound.wav"
    soundfile.write(path, tone(8_000), 8_000)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        UserError, match=rf"sound needs the package {package}: .*speech"
    ):
        files.read(path, RATE)
