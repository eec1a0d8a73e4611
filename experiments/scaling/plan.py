"""A prior of a billion parameters on hundreds and thousands of chips, on paper.

Memory, arithmetic and communication are those of the program that XLA makes for as many
imagined CPU devices; times come from them and the makers' figures. Nothing is measured.
"""

import dataclasses
from typing import Any

import numpy as np

from experiments.scaling.programs import (
    bytes_by_place,
    closed_form,
    row,
)
from launch.tables import markdown
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.spaces import Category, Tokens
from regen_jax.training.inspect.program import Step, analyze, human
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.stage import Stage, StageOptions


@dataclasses.dataclass(frozen=True)
class Chip:
    """Figures of an accelerator as its maker publishes them, and one assumption.

    NVIDIA's data sheets of the H100 SXM and the DGX H100: dense bfloat16, eight chips
    joined by NVLink at 450 GB/s each way, and a network port of 400 Gb/s a chip.

    Attributes:
      flops: a second, of bfloat16 matrix products.
      memory: bytes.
      near: bytes a second that a chip sends to those of its node.
      far: bytes a second that it sends to other nodes.
      utilization: assumed share of `flops` that a step reaches.
    """

    name: str = "H100 SXM"
    flops: float = 989e12
    memory: float = 80e9
    near: float = 450e9
    far: float = 50e9
    utilization: float = 0.4


CODES = Tokens(1024, 16384)


@dataclasses.dataclass(frozen=True)
class Plan:
    """An autoregressive prior, class to codes, and how it lies on chips.

    Attributes:
      width, num_layers: of the transformer, with heads of 128.
      codes: of a sequence.
      batch: sequences a chip.
      fsdp: chips that share a copy of the state, those of a node; the number of nodes
        is another, as a group's size tells where its bytes go.
    """

    width: int = 2048
    num_layers: int = 20
    codes: Tokens = CODES
    batch: int = 8
    fsdp: int = 8

    def compiled(self, chips: int) -> dict[str, Any]:
        """A row of the program for that many of this host's devices."""
        return self.derived(chips, chips)

    def derived(self, chips: int, compiled: int) -> dict[str, Any]:
        """A row of as many chips, from the program for fewer, in larger groups.

        What a chip holds and computes does not depend on how many groups there are, but
        for the keys of a global batch, 8 bytes an example.
        """
        step, parallel = self._step(compiled), self._parallel(compiled)
        program = analyze(step, make_strategy(parallel))
        places = bytes_by_place(parallel, step.state.variables["params"])
        expected = closed_form(*places, chips // self.fsdp, self.fsdp)
        near, far = 0.0, 0.0
        for collective in program.collectives:
            if collective.group_size == self.fsdp:
                near += collective.sent
            else:
                size = collective.group_size * chips // compiled
                far += dataclasses.replace(collective, group_size=size).sent
        return row(program, expected) | {
            "chips": chips,
            "compiled_for": compiled,
            "model_flops": program.model_flops * chips / compiled,
            "sent": near + far,
            "near": near,
            "far": far,
            "closed_form_near": expected[0],
            "closed_form_far": expected[1],
        }

    def _parallel(self, chips: int) -> ParallelOptions:
        return ParallelOptions(axes=MeshAxes(data=chips // self.fsdp, fsdp=self.fsdp))

    def _step(self, chips: int) -> Step:
        prior = Autoregressive(
            Category(1000),
            self.codes,
            width=self.width,
            num_layers=self.num_layers,
            num_heads=max(1, self.width // 128),
            dtype="bfloat16",
            remat="full",
        )

        def loss(variables, frozen, keys, batch, train):
            return prior.loss(variables, keys, batch["x"], batch["y_prime"], train)

        size = self.batch * chips
        stage = Stage("prior", lambda rng, batch: prior.init(rng), loss)
        options = StageOptions(batch_size=size)
        batch = {
            "x": np.zeros(size, np.int32),
            "y_prime": np.zeros((size, self.codes.length), np.int32),
        }
        return Step.of(stage, options, {}, batch)


def table(plan: Plan, rows: list[dict[str, Any]], chip: Chip) -> str:
    """Rows of a plan as Markdown, with times on that chip.

    Times of sending are those of the closed form, and nothing of it is hidden behind
    computing.
    """
    cells = []
    for found in rows:
        chips = found["chips"]
        compute = found["flops"] / (chip.flops * chip.utilization)
        near = found["closed_form_near"] / chip.near
        far = found["closed_form_far"] / chip.far
        tokens = chips * plan.batch * plan.codes.length / (compute + near + far)
        derived = found["compiled_for"] != chips
        cells.append(
            [
                f"{chips} = {chips // plan.fsdp} × {plan.fsdp}",
                f"derived from {found['compiled_for']}" if derived else "compiled",
                f"{human(found['arguments'])}B",
                f"{human(found['temporaries'])}B",
                f"{found['peak'] / chip.memory:.0%}",
                f"{human(found['flops'])}FLOP",
                f"{human(found['near'])}B ({human(found['closed_form_near'])}B)",
                f"{human(found['far'])}B ({human(found['closed_form_far'])}B)",
                f"{1e3 * compute:.0f} ms",
                f"{1e3 * near:.0f} + {1e3 * far:.0f} ms",
                human(tokens),
            ]
        )
    titles = (
        "chips = data × fsdp, program, state and data, temporaries, of memory, "
        "a chip, sent in a node (closed form), sent beyond (closed form), "
        "computing, sending in and beyond, tokens per second"
    )
    return markdown([titles.split(", "), *cells])
