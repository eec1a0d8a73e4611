"""Who may import whom: no module imports one of a higher layer, and none forms a cycle."""

import ast
import functools
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = (
    {"errors", "loss_output", "random", "ranges", "spaces"},
    {"extras", "files", "paths", "runner"},
    {"metrics", "modalities"},
    {"media", "networks"},
    {"interfaces", "losses"},
    {"abstractions", "generators", "regeneration"},
    {"data", "judges"},
    {"tasks", "training"},
    {"evaluation"},
    {"stages"},
    {"config"},
    {"cli"},
    {"combinations", "evaluate", "sample", "train"},
)
"""Folders and modules of the package from the lowest up.

Each imports those of lower layers and its own modules, never a neighbor in its layer.
"""
RANKS = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for folder in ("regen_jax", "configs")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def imported_names(source: str) -> Iterator[str]:
    """Yields the dotted names that a module imports, wherever it does so."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


@functools.cache
def imports() -> dict[str, set[str]]:
    """The names that each module imports."""
    return {
        module: set(imported_names(path.read_text(encoding="utf-8")))
        for module, path in SOURCES.items()
    }


def package_part(name: str) -> str | None:
    """Returns `networks` of `regen_jax.networks.dit`; None outside the package."""
    package, _, rest = name.partition(".")
    return rest.partition(".")[0] if package == "regen_jax" and rest else None


def upward_imports(imports: dict[str, set[str]]) -> list[str]:
    """Lists the imports of a module that is not below the one that imports it."""
    return [
        f"{module} imports {name}"
        for module, names in imports.items()
        for name in sorted(names)
        if (lower := package_part(name)) and (upper := package_part(module))
        if lower != upper and RANKS[lower] >= RANKS[upper]
    ]


def test_each_folder_and_module_has_a_layer():
    parts = {
        path.stem
        for path in (ROOT / "regen_jax").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert parts - {"__init__"} == set(RANKS)


def test_modules_import_lower_layers_alone():
    assert upward_imports(imports()) == []


@pytest.mark.parametrize(
    ("module", "name", "is_upward"),
    [
        ("regen_jax.networks.dit", "regen_jax.spaces.Array", False),
        ("regen_jax.networks.dit", "regen_jax.networks.heads", False),
        ("regen_jax.networks.dit", "regen_jax.losses.spectral", True),
        ("regen_jax.networks.dit", "regen_jax.media.media", True),
        ("regen_jax.networks.dit", "jax.numpy", False),
    ],
)
def test_upward_imports_lists_those_of_the_same_and_higher_layers(
    module, name, is_upward
):
    assert bool(upward_imports({module: {name}})) == is_upward


def test_modules_import_each_other_without_cycle():
    graph = {
        module: {
            target
            for name in names
            for target in (name, name.rpartition(".")[0])
            if target in SOURCES and target != module
        }
        for module, names in imports().items()
    }
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert len(order) == len(set(order))


def test_package_imports_no_config_experiment_or_launcher():
    outside = ("configs", "experiments", "launch", "tests")
    found = [
        f"{module} imports {name}"
        for module, names in imports().items()
        for name in names
        if module.startswith("regen_jax") and name.partition(".")[0] in outside
    ]
    assert found == []


def test_config_imports_what_configs_share_alone():
    found = [
        f"{module} imports {name}"
        for module, names in imports().items()
        for name in names
        if module.startswith("configs.")
        and not module.startswith("configs.sweeps.")
        and name.partition(".")[0] in ("regen_jax", "experiments", "launch", "configs")
        and not name.startswith(("configs.common", "configs.generators"))
    ]
    assert found == []


def test_imports_are_absolute():
    relative = [m for m, names in imports().items() for n in names if n.startswith(".")]
    assert relative == []
