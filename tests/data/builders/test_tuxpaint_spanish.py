import functools
import gzip
import io
import lzma
import tarfile

import numpy as np
import pytest
import soundfile

from regen_jax.data.builders.tuxpaint_spanish.builder import (
    drop_outliers,
    split_by_text,
)
from regen_jax.data.builders.tuxpaint_spanish.stamps import (
    SAMPLE_RATE,
    VARIABLE,
    read_clips,
)
from regen_jax.data.readers.speech_recordings import open_recordings
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError
from regen_jax.modalities.text.characters import SPANISH
from tests.data.stored import stored_splits

FOLDER = "./usr/share/tuxpaint/stamps/"
TEXTS = [
    "Un gato.", "Dos perros negros.", "¡Qué niña!", "La casa verde de mi tía.",
    "Un gato", "El pingüino", "Una flor.", "Un sol.", "El mar azul.", "La luna.",
]  # fmt: skip


def sound(seconds, seed, file_format="OGG"):
    """Returns a file with noise in two channels of 44,100 Hz, as the stamps have."""
    size = (round(44_100 * seconds), 2)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, size)
    file = io.BytesIO()
    soundfile.write(file, noise, 44_100, format=file_format)
    return file.getvalue()


@functools.cache
def stamps():
    """Returns files of ten stamps, one that repeats a sound, and some to be ignored."""
    files = {}
    for i, text in enumerate(TEXTS):
        name = f"animals/stamp{i}"
        files[f"{name}_desc_es.ogg"] = sound(0.2 + 0.05 * len(text), seed=i)
        files[f"{name}.txt"] = f"English.\nde.utf8=Ein\nes.utf8={text}\n".encode()
    files["copy_desc_es.ogg"] = files["animals/stamp0_desc_es.ogg"]
    files["copy.txt"] = files["animals/stamp0.txt"]
    files["silent.txt"] = b"es.utf8=Nada."
    files["wordless_desc_es.ogg"] = sound(0.1, seed=99)
    files["wordless.txt"] = b"English only."
    files["animals/stamp0_desc_fr.ogg"] = b"not read"
    return files


def package(files, compress=lzma.compress, suffix="xz"):
    """Returns a Debian package: an ar archive of which the last member is a tar."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(FOLDER + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": b"odd",
        f"data.tar.{suffix}": compress(tar.getvalue()),
    }
    data = b"!<arch>\n"
    for name, content in members.items():
        data += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        )
        data += content + b"\n" * (len(content) % 2)
    return data


@functools.cache
def whole_package():
    return package(stamps())


@pytest.fixture
def deb(tmp_path, monkeypatch):
    path = tmp_path / "stamps.deb"
    path.write_bytes(whole_package())
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def test_package_and_folder_hold_the_same_clips(tmp_path, deb):
    for name, content in stamps().items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    packed, unpacked = read_clips(deb), read_clips(tmp_path / "folder")
    assert sorted(packed) == sorted(unpacked)
    assert sorted(text for text, _ in packed.values()) == sorted(TEXTS)
    for name, (text, audio) in packed.items():
        np.testing.assert_array_equal(audio, unpacked[name][1])
        seconds = len(audio) / SAMPLE_RATE
        assert audio.dtype == np.int16
        assert seconds == pytest.approx(0.2 + 0.05 * len(text), abs=1e-3)


def test_package_with_gzip_is_read(tmp_path):
    path = tmp_path / "stamps.deb"
    path.write_bytes(package(stamps(), gzip.compress, "gz"))
    assert len(read_clips(path)) == len(TEXTS)


def test_outliers_in_duration_are_dropped():
    clips = {
        str(i): ("a" * (5 + i % 40), np.zeros(1000 * (5 + i % 40) + i, np.int16))
        for i in range(200)
    }
    odd = {"long": ("a" * 9, np.zeros(90_000)), "short": ("a" * 30, np.zeros(100))}
    assert drop_outliers(clips | odd) == clips


def test_clips_of_one_text_are_in_one_split():
    clips = {str(i): (f"Texto {chr(97 + i % 20)}!", np.zeros(1)) for i in range(60)}
    splits = split_by_text(clips)
    assert {name: len(names) for name, names in splits.items()} == {
        "train": 48,
        "validation": 6,
        "test": 6,
    }
    texts = [clips[name][0] for names in splits.values() for name in {*names}]
    assert sorted(texts) == sorted(text for text, _ in clips.values())
    for names in splits.values():
        split_texts = {clips[name][0] for name in names}
        assert {name for name in clips if clips[name][0] in split_texts} == names
    # The same as in version 1.0.0, which had no validation split.
    assert {clips[name][0] for name in splits["test"]} == {"Texto b!", "Texto s!"}


def test_prepared_set_has_every_text_in_a_split(tmp_path, deb):
    prepare("tuxpaint_spanish", str(tmp_path))
    stored = stored_splits("tuxpaint_spanish", str(tmp_path))
    texts = [e["text"].decode() for split in stored.values() for e in split]
    assert sorted(texts) == sorted(TEXTS)
    assert [len(split) for split in stored.values()] == [8, 1, 1]
    source = open_recordings(
        "tuxpaint_spanish", "train", str(tmp_path), 16_000, 5, SPANISH
    )
    assert (len(source), source.too_long, source.unwritable) == (8, (), ())


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "cannot be read as a Debian package: it is no ar archive"),
        (b"!<arch>\n", "it holds no data.tar"),
        (whole_package()[:-3000], "cannot be read as a Debian package: "),
        (package({}, lambda data: b"\x28\xb5\x2f\xfd" + data, "zst"), "dpkg-deb -x"),
        (package({"a.txt": b"A"}), "holds no Spanish recordings of Tux Paint"),
        (
            package({"a_desc_es.ogg": b"noise", "a.txt": b"es.utf8=A"}),
            "a_desc_es.ogg in .* is damaged or of an unknown format",
        ),
    ],
    ids=["empty", "no data", "cut", "zstd", "no clips", "bad sound"],
)
def test_bad_package_raises_user_error_of_one_line(deb, tmp_path, content, message):
    deb.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        prepare("tuxpaint_spanish", str(tmp_path))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("tuxpaint_spanish/*"))


def test_missing_package_raises_user_error(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.deb"))
    with pytest.raises(UserError, match="apt-get download tuxpaint-stamps-default"):
        prepare("tuxpaint_spanish", str(tmp_path))
