"""Regeneration learning in JAX: X → Y′ → Y in place of X → Y.

    import regen_jax as rj

gives the seams (`Abstraction`, `Generator`, `Task`, `Judge`), the spaces (`Category`,
`Tokens`, `Array`), their composition (`Regeneration`), and runs as functions: `build`,
`train_run`, `sample_run`, `evaluate_run`. Names are imported when they are first used.
"""

import importlib
from typing import Any

_MODULES = {
    "cli.evaluate_run": ("evaluate_run",),
    "cli.sample_run": ("Samples", "sample_run", "save_samples"),
    "cli.train_run": ("train_run",),
    "config.build": ("Run", "build"),
    "errors": ("UserError",),
    "interfaces": (
        *("Abstraction", "Example", "Generated", "Generator", "HostFeature", "Judge"),
        *("Task", "Variables"),
    ),
    "loss_output": ("LossOutput",),
    "regeneration": ("Regeneration",),
    "spaces": ("Array", "Category", "Padded", "Record", "Space", "Tokens", "Value"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'regen_jax' has no attribute {name!r}")
    return getattr(importlib.import_module(f"regen_jax.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
