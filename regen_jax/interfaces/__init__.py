"""The seams of the package: abstractions, generators, tasks and judges.

All are frozen dataclasses whose fields are their options in the config. Abstractions and
generators hold no arrays: their methods are pure functions of explicit variables, a dict
of Flax collections. Randomness comes as `keys`, one `jax.random` key per example, so that
a result depends on the example and not on how a batch is split over steps, devices or
hosts.
"""

from regen_jax.interfaces.abstraction import Abstraction, HostFeature
from regen_jax.interfaces.generator import Generator, PartBuilder
from regen_jax.interfaces.judge import Judge
from regen_jax.interfaces.task import (
    CoreList,
    Generated,
    PerExample,
    PromptKind,
    SampleMetrics,
    Task,
)
from regen_jax.interfaces.types import Example, Key, Passes, RunVariables, Variables
from regen_jax.loss_output import LossOutput

__all__ = [
    "Abstraction",
    "CoreList",
    "Example",
    "Generated",
    "Generator",
    "HostFeature",
    "Judge",
    "Key",
    "LossOutput",
    "PartBuilder",
    "Passes",
    "PerExample",
    "PromptKind",
    "RunVariables",
    "SampleMetrics",
    "Task",
    "Variables",
]
