"""Parts are added by adding files: in a package elsewhere, or in the leaf folders."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from regen_jax.config import registry
from regen_jax.config.registry import registered_names, resolve_class
from regen_jax.data.builders import __path__ as builder_folders
from regen_jax.data.tfds import embedded
from regen_jax.interfaces import Abstraction

OWN_PARTS = Path(__file__).parent / "outside" / "own_parts"


@pytest.fixture
def project(tmp_path):
    """A folder with a package of parts, and a config in a folder beside it."""
    shutil.copytree(OWN_PARTS, tmp_path / "own_parts")
    (tmp_path / "settings").mkdir()
    (tmp_path / "own_parts/bars_config.py").rename(tmp_path / "settings/bars.py")
    return tmp_path


def test_package_with_a_part_of_each_kind_is_trained_and_sampled(project, command):
    def run(module, *flags):
        path = str(project)
        done = command.run(module, *flags, folder=project, PYTHONPATH=path)
        assert done.returncode == 0, done.stderr
        return done

    prepared = run("regen_jax.data.prepare", "own_parts.bars:Bars", "--data_dir=data")
    assert "12 train" in prepared.stdout
    run("regen_jax.train", "--config=settings/bars.py", "--workdir=run")
    run(
        "regen_jax.sample",
        "--workdir=run",
        "--prompt=column:2",
        "--prompt=column:0",
        "--out=samples",
    )
    with np.load(project / "samples/samples.npz") as samples:
        assert samples["x"].tolist() == [2, 0]
        assert samples["y"].shape == (2, 4, 4, 1) and np.isfinite(samples["y"]).all()
    run("regen_jax.evaluate", "--workdir=run")
    metrics = json.loads((project / "run/metrics.json").read_text())
    assert {"samples/accuracy", "abstraction/absolute_error"} <= set(metrics)


@pytest.fixture
def fresh_registry():
    """Clears the caches of the registry before and after a test."""
    registry._classes.cache_clear()
    yield
    registry._classes.cache_clear()


def test_file_in_a_leaf_folder_is_known_by_its_short_name(
    tmp_path, monkeypatch, fresh_registry
):
    shutil.copy(OWN_PARTS / "one_hot.py", tmp_path)
    leaf = importlib.import_module("regen_jax.abstractions.image")
    monkeypatch.setattr(leaf, "__path__", [*leaf.__path__, str(tmp_path)])
    assert "one_hot" in registered_names(Abstraction)
    cls = resolve_class(Abstraction, "one_hot", "config.source")
    assert cls.__module__ == "regen_jax.abstractions.image.one_hot"


def test_folder_among_the_builders_is_a_data_set(tmp_path, monkeypatch):
    (tmp_path / "bars").mkdir()
    (tmp_path / "bars/__init__.py").touch()
    shutil.copy(OWN_PARTS / "bars.py", tmp_path / "bars/builder.py")
    monkeypatch.setattr(
        "regen_jax.data.builders.__path__", [*builder_folders, str(tmp_path)]
    )
    assert "bars" in embedded.names()
    assert embedded.builder_class("bars").__name__ == "Bars"
