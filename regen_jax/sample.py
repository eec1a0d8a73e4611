"""Draws samples of a trained run: python -m regen_jax.sample --workdir=… [--num=…]

Where the task reads text or speech, `--text="…"` or `--audio=file.wav` gives what to
generate from; both may be given several times.
"""

import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from regen_jax import commands, workdir
from regen_jax.build import build
from regen_jax.data.annotated import as_batch
from regen_jax.errors import UserError
from regen_jax.evaluation import sample
from regen_jax.interfaces import Example, Task
from regen_jax.restore import restore
from regen_jax.spaces import Padded

NUM = flags.DEFINE_integer("num", 100, "how many samples", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "of the samples", lower_bound=0)
GUIDANCE = flags.DEFINE_float("guidance", None, "of the prior; its own if not given")
TEMPERATURE = flags.DEFINE_float("temperature", None, "likewise", lower_bound=0)
TEXT = flags.DEFINE_multi_string("text", [], "to generate from")
AUDIO = flags.DEFINE_multi_string("audio", [], "a file of speech to generate from")
OUT = flags.DEFINE_string("out", None, "folder for the files; the workdir if not given")

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
    prompts = as_batch(_examples(run.task), run.regeneration)
    trained = restore(run, directory)
    variables = {name: stage.variables for name, stage in trained.items()}
    y_prime, y = sample(
        run.task,
        run.regeneration,
        variables,
        prompts,
        SEED.value,
        run.evaluate.batch_size,
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        arrays = {"x": prompts["x"], "y_prime": y_prime, "y": y, "seed": SEED.value}
        np.savez(out / "samples.npz", **_flat(arrays))
        files = [out / "samples.npz", *run.task.show(prompts, y).save(out)]
    except OSError as error:
        raise UserError(f"--out={out} cannot be written: {error}") from error
    count = len(jax.tree.leaves(y)[0])
    logger.info("%d samples: %s", count, " and ".join(map(str, files)))


def _examples(task: Task) -> list[Example]:
    """The prompts: what the user gave, or the task's own."""
    given = [("text", text) for text in TEXT.value]
    given += [("audio", path) for path in AUDIO.value]
    if given:
        return [task.read(kind, value) for kind, value in given]
    return task.prompts(NUM.value)


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
