"""Draws samples of a trained run: python -m regen_jax.sample --workdir=… [--num=…]

Where the task reads text, speech or notes, `--text="…"`, `--audio=file.wav` or
`--midi=file.mid` gives what to generate from; each may be given several times. Without
them the prompts are those of the test split. Where people can edit Y′, it is written
beside the samples, and `--y_prime=file` generates Y from an edited one.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from regen_jax import ranges
from regen_jax.cli import commands, edited_y_prime, workdir
from regen_jax.cli.load_run import restore
from regen_jax.cli.prompts import requested
from regen_jax.config.build import Run, build
from regen_jax.data.host_features import as_batch
from regen_jax.errors import UserError
from regen_jax.evaluation.evaluators import decode, sample
from regen_jax.interfaces import Example, Variables
from regen_jax.media.media import Media
from regen_jax.spaces import Padded

NUM = commands.define_number("num", 100, ranges.Count, "how many samples")
SEED = commands.define_number("seed", 0, ranges.Seed, "seed of the samples")
GUIDANCE = commands.define_number(
    "guidance", None, ranges.Guidance, "of the prior; that of the config if not given"
)
TEMPERATURE = commands.define_number(
    "temperature",
    None,
    ranges.Temperature,
    "of the prior; that of the config if not given",
)
TEXT = flags.DEFINE_multi_string("text", [], "a text to generate from")
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
    options = {"guidance": GUIDANCE.value, "temperature": TEMPERATURE.value}
    overrides = {name: value for name, value in options.items() if value is not None}
    out = workdir.output_folder(OUT.value) if OUT.value else directory
    workdir.check_output(out, directory=True, flag="--out=")
    config = commands.config_of(directory)
    config["prior"] = {**config["prior"], **overrides}
    run = build(config)
    abstraction = run.regeneration.abstraction
    edited = [edited_y_prime.read(abstraction, path) for path in Y_PRIME.value]
    given = [
        (kind, value)
        for kind, flag in (("text", TEXT), ("audio", AUDIO), ("midi", MIDI))
        for value in flag.value
    ]
    examples = requested(run.task, given, NUM.value, len(edited))
    if not (given or edited) and len(examples) < NUM.value:
        logger.info(
            "the task has %d prompts of its own, not %d", len(examples), NUM.value
        )
    prompts = as_batch(examples, run.regeneration)
    trained = restore(run, directory)
    variables = {name: stage.variables for name, stage in trained.items()}
    y_prime, y = _drawn(run, variables, prompts, edited)
    shown = run.task.render_samples(prompts, y)
    if abstraction.human_editable:
        texts = [edited_y_prime.to_text(abstraction, one) for one in y_prime]
        shown.update(
            Media(files={f"y_prime_{i}.txt": _writer(t) for i, t in enumerate(texts)})
        )
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


def _writer(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text, encoding="utf-8")


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
