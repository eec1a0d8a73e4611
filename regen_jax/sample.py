"""Draws samples of a trained run: python -m regen_jax.sample --workdir=… [--num=…]

Where the task reads text, speech or notes, `--text="…"`, `--audio=file.wav` or
`--midi=file.mid` gives what to generate from; each may be given several times. Where
people can edit Y′, it is written beside the samples, and `--y_prime=file` generates Y
from what they made of it.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from regen_jax import commands, ranges, workdir
from regen_jax.build import Run, build
from regen_jax.data.annotated import as_batch
from regen_jax.errors import UserError
from regen_jax.evaluation import decode, sample
from regen_jax.exhibits import Exhibit
from regen_jax.interfaces import Abstraction, Example, Task, Variables
from regen_jax.restore import restore
from regen_jax.spaces import Padded

NUM = commands.define_number("num", 100, ranges.Count, "how many samples")
SEED = commands.define_number("seed", 0, ranges.Seed, "of the samples")
GUIDANCE = commands.define_number(
    "guidance", None, ranges.Guidance, "of the prior; its own if not given"
)
TEMPERATURE = commands.define_number(
    "temperature", None, ranges.Temperature, "likewise"
)
TEXT = flags.DEFINE_multi_string("text", [], "to generate from")
AUDIO = flags.DEFINE_multi_string("audio", [], "a file of speech to generate from")
MIDI = flags.DEFINE_multi_string("midi", [], "a file of notes to generate from")
Y_PRIME = flags.DEFINE_multi_string("y_prime", [], "a file of Y′ to generate Y from")
OUT = flags.DEFINE_string("out", None, "folder for the files; the workdir if not given")

# So that a hundred sounds do not fill the terminal.
_LISTED = 8

logger = logging.getLogger("regen_jax")


def main() -> None:
    """Writes samples.npz (x, y_prime, y, seed) and files a person can open."""
    directory = commands.workdir()
    given = {"guidance": GUIDANCE.value, "temperature": TEMPERATURE.value}
    overrides = {name: value for name, value in given.items() if value is not None}
    out = Path(OUT.value).expanduser() if OUT.value else directory
    workdir.check_output(out, directory=True, flag="--out=")
    config = workdir.read(directory)
    config["prior"] = {**config["prior"], **overrides}
    run = build(config)
    abstraction = run.regeneration.abstraction
    edited = [_edited(abstraction, path) for path in Y_PRIME.value]
    prompts = as_batch(_examples(run.task, len(edited)), run.regeneration)
    trained = restore(run, directory)
    variables = {name: stage.variables for name, stage in trained.items()}
    y_prime, y = _drawn(run, variables, prompts, edited)
    shown = run.task.show(prompts, y)
    if abstraction.editable:
        shown.add(_editable(abstraction, y_prime))
    try:
        out.mkdir(parents=True, exist_ok=True)
        arrays = {"x": prompts["x"], "y_prime": y_prime, "y": y, "seed": SEED.value}
        np.savez(out / "samples.npz", **_flat(arrays))
        files = ["samples.npz", *(path.name for path in shown.save(out))]
    except OSError as error:
        raise UserError(f"--out={out} cannot be written: {error}") from error
    count = len(jax.tree.leaves(y)[0])
    listed = files if len(files) <= _LISTED else [*files[:_LISTED], "…"]
    logger.info("%d samples in %s: %s", count, out, ", ".join(listed))


def _examples(task: Task, number: int) -> list[Example]:
    """The prompts: what the user gave, or the task's own; `number` of them if not 0."""
    given = [("text", text) for text in TEXT.value]
    given += [("audio", path) for path in AUDIO.value]
    given += [("midi", path) for path in MIDI.value]
    if given and number not in (0, len(given)):
        raise UserError(f"--y_prime is given {number} times for {len(given)} prompts")
    if given:
        return [task.read(kind, value) for kind, value in given]
    return task.prompts(number or NUM.value)


def _edited(abstraction: Abstraction, path: str) -> np.ndarray:
    """The y′ of a file; `UserError` where it cannot be read, or is not one."""
    if not abstraction.editable:
        raise UserError(
            f"--y_prime={path}: the Y′ of this run is not for people to edit: its "
            f"abstraction is {type(abstraction).__name__}"
        )
    try:
        return abstraction.read(Path(path).expanduser().read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"--y_prime={path} cannot be read: {error}") from error
    except UserError as error:
        raise UserError(f"--y_prime={path}: {error}") from error


def _drawn(
    run: Run,
    variables: dict[str, Variables],
    prompts: Example,
    edited: list[np.ndarray],
) -> tuple[Any, Any]:
    """y′ and y: drawn for the prompts, or y alone where y′ is given."""
    if edited:
        y_prime = np.stack(edited)
        seed = SEED.value
        return y_prime, decode(run.task, run.regeneration, variables, y_prime, seed)
    return sample(
        run.task,
        run.regeneration,
        variables,
        prompts,
        SEED.value,
        run.evaluate.batch_size,
    )


def _editable(abstraction: Abstraction, y_prime: np.ndarray) -> Exhibit:
    """A file for each y′."""

    def writer(text: str) -> Callable[[Path], None]:
        return lambda path: path.write_text(text)

    return Exhibit(
        files={
            f"y_prime_{index}.txt": writer(abstraction.write(one))
            for index, one in enumerate(y_prime)
        }
    )


def _flat(arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of padded values side by side: `y` and `y_length`."""
    flat = {}
    for name, value in arrays.items():
        if isinstance(value, Padded):
            flat |= {name: value.values, f"{name}_length": value.length}
        else:
            flat[name] = value
    return flat


if __name__ == "__main__":
    commands.run(main)
