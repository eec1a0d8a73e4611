import re
from pathlib import Path

import pytest

from regen_jax import paths
from regen_jax.errors import UserError


@pytest.mark.parametrize(
    "value",
    [
        *("gs://bucket/run", "s3://b/r", "file:///tmp/run", "hdfs:/run", "gs:", "gs:/"),
        *("HTTPS://host/run", "runs/gs://bucket/run"),
    ],
)
def test_url_raises_user_error(value):
    for check in (paths.local, paths.storable):
        with pytest.raises(UserError, match=f"^--out={re.escape(value)} is a URL"):
            check(value, "--out")


@pytest.mark.parametrize(
    "value", ["a\nb", "a\tb", "a\0b", "a\x7fb", "a\u2028b", "a\udcff"]
)
def test_unprintable_character_raises_user_error_of_one_line(value):
    with pytest.raises(UserError, match="not a printable character") as error:
        paths.local(value, "config.data.dir")
    assert str(error.value).isprintable()


@pytest.mark.parametrize("character", "*?[]\\")
def test_pattern_in_the_path_of_checkpoints_raises_user_error(
    tmp_path, monkeypatch, character
):
    value = f"runs/a{character}b"
    with pytest.raises(UserError, match=r"^--workdir=.* reads as a pattern"):
        paths.storable(value, "--workdir")
    assert paths.local(value, "--midi") == Path.cwd() / value
    # Also in the folder that a relative path is below.
    folder = tmp_path / f"br{character}1"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match="reads as a pattern"):
        paths.storable("runs/demo", "--workdir")


def test_path_that_the_system_cannot_open_raises_user_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for path in (f"{tmp_path}/a", f"{tmp_path}/a/run", "x" * 300, "d/" * 3000):
        with pytest.raises(
            UserError, match="^--out=.* cannot be used: .*: use"
        ) as error:
            paths.local(path, "--out")
        assert len(str(error.value)) < 300


def test_home_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert paths.storable("~/runs/a", "--workdir") == Path("/home/me/runs/a")
    with pytest.raises(
        UserError, match="--out=~nobody_has_it/a: there is no such home"
    ):
        paths.local("~nobody_has_it/a", "--out")


@pytest.mark.parametrize(
    "value",
    ["a b", "a%20b", "a#b", "a{b,c}", "a|b", "lr=1e-3,seed=1", "é", "a:b", "C:/a"],
)
def test_other_characters_are_left_as_they_are(value):
    assert paths.storable(value, "--workdir") == Path.cwd() / value
