import dataclasses
import importlib
import sys
from pathlib import Path

import ml_collections
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.fsq import FiniteScalarQuantizer
from regen_jax.abstractions.bottlenecks.interface import Bottleneck
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.abstractions.image.pixel_tokens import PixelTokens
from regen_jax.abstractions.networks.conv2d import Conv2dNetworks
from regen_jax.config.registry import (
    instantiate,
    registered_names,
    resolve_class,
    to_plain_dict,
)
from regen_jax.errors import UserError
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.interfaces import Abstraction, Generator, Task
from regen_jax.losses.squared_error import SquaredError
from regen_jax.spaces import Array

IMAGES = Array((8, 8, 1), 0.0, 255.0, step=1.0)
ABSTRACTIONS = ", ".join(registered_names(Abstraction))
BOTTLENECKS = ", ".join(registered_names(Bottleneck))


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = 1.0

    def __post_init__(self):
        if self.rate < 0:
            raise ValueError(f"rate must be 0 or more, not {self.rate}")


@dataclasses.dataclass(frozen=True)
class Options:
    count: int
    share: float = 0.5
    label: str = ""
    on: bool = False
    sizes: tuple[int, ...] = ()
    interval: tuple[float, float] = (0.0, 1.0)
    rules: tuple[tuple[str, int], ...] = ()
    inner: Inner = Inner()


@pytest.fixture(autouse=True)
def _outside(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "outside"))


def error_message(call, *args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        call(*args, **kwargs)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_none_of_a_flag_for_a_text_raises_user_error():
    assert instantiate(Options, {"count": 1, "label": ""}, "config.data").label == ""
    words = error_message(
        instantiate, Options, {"count": 1, "label": "None"}, "config.data"
    )
    assert "config.data.label must be of type str" in words
    assert "--config.data.label= for an empty text" in words


def test_registered_names_are_modules_with_a_subclass():
    handcrafted = {"downsample", "identity", "pixel_tokens"}
    assert handcrafted | {"autoencoder"} <= set(registered_names(Abstraction))
    assert {"autoregressive", "diffusion", "regression"} <= set(
        registered_names(Generator)
    )
    assert "decoding" not in registered_names(
        Generator
    ) and "interface" not in registered_names(Bottleneck)
    assert {"fsq", "vq"} <= set(registered_names(Bottleneck))
    assert "class_to_image" in registered_names(Task)


def test_resolve_class_returns_the_class_of_a_module_or_path():
    assert resolve_class(Generator, "autoregressive", "config.prior") is Autoregressive
    path = "regen_jax.abstractions.image.pixel_tokens:PixelTokens"
    assert resolve_class(Abstraction, path, "config.abstraction") is PixelTokens
    outside = resolve_class(Abstraction, "toy_parts:ColumnMeans", "config.abstraction")
    assert outside.__module__ == "toy_parts" and issubclass(outside, Abstraction)


DECORATED = "@dataclasses.dataclass\n"


@pytest.mark.parametrize(
    "content, message",
    [
        (
            f"{DECORATED}class A(Part): ...\n{DECORATED}class B(Part): ...",
            "defines A, B: give each a module of its own",
        ),
        ("class A(Part): ...", "A is not a dataclass"),
        # Its fields would be no options: it has those of its base.
        (
            "from parts_of_test import Whole\nclass A(Whole): ...",
            "A is not a dataclass",
        ),
    ],
)
def test_module_of_no_one_dataclass_raises_import_error(
    tmp_path, monkeypatch, content, message
):
    folder = tmp_path / "parts_of_test"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "import dataclasses\n\nclass Part:\n    registry = 'parts_of_test'\n\n"
        f"{DECORATED}class Whole(Part): ..."
    )
    (folder / "one.py").write_text(
        f"import dataclasses\nfrom parts_of_test import Part\n{content}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("parts_of_test", "parts_of_test.one"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    base = importlib.import_module("parts_of_test").Part
    with pytest.raises(ImportError, match=message):
        registered_names(base)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "pixel",
            (
                f"no abstraction is called 'pixel'; known are {ABSTRACTIONS}, or "
                "'package.module:Class' for your own"
            ),
        ),
        (
            7,
            (
                f"no abstraction is called 7; known are {ABSTRACTIONS}, or "
                "'package.module:Class' for your own"
            ),
        ),
        ("nowhere:Thing", "cannot import 'nowhere': No module named 'nowhere'"),
        (":Thing", "cannot import '': Empty module name"),
        (
            "regen_jax.abstractions.image.pixel_tokens:Missing",
            "regen_jax.abstractions.image.pixel_tokens has no 'Missing'",
        ),
        (
            "regen_jax.spaces:Array",
            "regen_jax.spaces:Array is not a subclass of Abstraction",
        ),
        ("toy_parts:Unfinished", "toy_parts:Unfinished does not define encode"),
        (
            "toy_parts:Undecorated",
            (
                "toy_parts:Undecorated is not a dataclass: put "
                "@dataclasses.dataclass(frozen=True) before it"
            ),
        ),
    ],
)
def test_unknown_class_raises_user_error(name, message):
    assert error_message(resolve_class, Abstraction, name, "config.abstraction") == (
        f"config.abstraction: {message}"
    )


@pytest.mark.parametrize("name", [["vq"], {"a": 1}, 3, None])
def test_name_that_is_no_text_is_unknown(name):
    message = error_message(resolve_class, Bottleneck, name, "config.abstraction")
    assert message.startswith(f"config.abstraction: no bottleneck is called {name!r}")


def test_error_on_an_unknown_class_lists_other_names_of_the_caller():
    message = error_message(
        resolve_class, Generator, "reverse", "config.decoder", ("inverse",)
    )
    assert f"known are inverse, {', '.join(registered_names(Generator))}, or" in message


def test_instantiate_converts_json_values_to_field_types():
    section = {
        "count": 3,
        "share": 1,
        "label": "a",
        "on": True,
        "sizes": [1, 2],
        "interval": [0, 0.5],
        "rules": [["x", 1], ["y", 2]],
        "inner": {"rate": 2},
    }
    made = instantiate(Options, section, "config.part")
    assert made == Options(
        3, 1.0, "a", True, (1, 2), (0.0, 0.5), (("x", 1), ("y", 2)), Inner(2.0)
    )
    assert isinstance(made.share, float) and isinstance(made.inner.rate, float)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"count": 1, "color": 2},
            (
                ".color is not an option of Options; known are count, share, label, on, "
                "sizes, interval, rules, inner"
            ),
        ),
        ({}, " needs count, of Options"),
        (3, " must be a section of options, not 3"),
        ({"count": 1.0}, ".count must be of type int, not 1.0"),
        ({"count": True}, ".count must be of type int, not True"),
        ({"count": 1, "share": "x"}, ".share must be of type float, not 'x'"),
        ({"count": 1, "share": True}, ".share must be of type float, not True"),
        ({"count": 1, "label": 0}, ".label must be of type str, not 0"),
        ({"count": 1, "on": 1}, ".on must be of type bool, not 1"),
        ({"count": 1, "on": None}, ".on must be of type bool, not None"),
        ({"count": 1, "sizes": 4}, ".sizes must be of type tuple[int, ...], not 4"),
        ({"count": 1, "sizes": [1, "b"]}, ".sizes[1] must be of type int, not 'b'"),
        (
            {"count": 1, "interval": [0.0]},
            ".interval must be of type tuple[float, float], not [0.0]",
        ),
        (
            {"count": 1, "rules": [["x", 1], ["y", "z"]]},
            ".rules[1][1] must be of type int, not 'z'",
        ),
        ({"count": 1, "inner": 2}, ".inner must be a section of options, not 2"),
        (
            {"count": 1, "inner": {"pace": 2}},
            ".inner.pace is not an option of Inner; known are rate",
        ),
        (
            {"count": 1, "inner": {"rate": -1}},
            ".inner: rate must be 0 or more, not -1.0",
        ),
    ],
)
def test_wrong_option_raises_user_error(section, message):
    assert (
        error_message(instantiate, Options, section, "config.part")
        == f"config.part{message}"
    )


def test_given_fields_and_the_name_are_not_options():
    made = instantiate(
        PixelTokens,
        {"name": "pixel_tokens", "levels": 4},
        "config.abstraction",
        input_space=IMAGES,
    )
    assert made == PixelTokens(IMAGES, levels=4)
    message = error_message(
        instantiate,
        PixelTokens,
        {"input_space": 1},
        "config.abstraction",
        input_space=IMAGES,
    )
    assert message == (
        "config.abstraction.input_space is not an option of PixelTokens; known are "
        "levels"
    )


def test_section_within_builds_the_part_that_it_names():
    section = {
        "networks": {"name": "conv2d", "widths": [8]},
        "bottleneck": {"name": "fsq", "levels": [4, 3]},
        "losses": [{"name": "squared_error", "weight": 0.5}],
    }
    made = instantiate(Autoencoder, section, "config.abstraction", input_space=IMAGES)
    assert made.networks == Conv2dNetworks((8,))
    assert made.bottleneck == FiniteScalarQuantizer((4, 3))
    assert made.losses == (SquaredError(0.5),)
    assert (
        instantiate(Autoencoder, {}, "", input_space=IMAGES).bottleneck
        == VectorQuantizer()
    )


@pytest.mark.parametrize(
    ("bottleneck", "message"),
    [
        ({}, f" needs a name: {BOTTLENECKS}"),
        ("vq", f" needs a name: {BOTTLENECKS}"),
        (
            {"name": "kmeans"},
            (
                f": no bottleneck is called 'kmeans'; known are {BOTTLENECKS}, or "
                "'package.module:Class' for your own"
            ),
        ),
        (
            {"name": "vq", "levels": 3},
            (
                ".levels is not an option of VectorQuantizer; known are num_codes, dim, "
                "decay, commitment, dead_code_threshold, num_candidates, normalize"
            ),
        ),
        ({"name": "vq", "num_codes": 0}, ".num_codes must be at least 1, not 0"),
    ],
)
def test_error_in_a_section_within_names_its_path(bottleneck, message):
    section = {"bottleneck": bottleneck}
    assert error_message(
        instantiate, Autoencoder, section, "config.abstraction", input_space=IMAGES
    ) == (f"config.abstraction.bottleneck{message}")


def test_option_of_a_class_without_options_raises_user_error():
    message = error_message(
        instantiate,
        resolve_class(Abstraction, "identity", ""),
        {"x": 1},
        "config.source",
        input_space=IMAGES,
    )
    assert message == "config.source.x is not an option of Identity; known are none"


def test_plain_dict_holds_json_values_alone():
    config = ml_collections.ConfigDict({"a": {"sizes": (1, 2)}, "b": 0.5})
    assert (
        to_plain_dict(config)
        == to_plain_dict(config.to_dict())
        == {"a": {"sizes": [1, 2]}, "b": 0.5}
    )
