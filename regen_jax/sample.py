"""Draws samples of a trained run: python -m regen_jax.sample --workdir=… [--num=…]

Where the task reads text, speech or notes, `--text="…"`, `--audio=file.wav` or
`--midi=file.mid` gives what to generate from; each may be given several times. Without
them the prompts are those of the test split. Where people can edit Y′, it is written
beside the samples, and `--y_prime=file` generates Y from what they made of it.
"""

import codecs
import json
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
from regen_jax.spaces import Padded, Tokens

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
_FILES = {".npz", ".npy", ".png", ".wav", ".mid", ".musicxml", ".md", ".txt", ".json"}
"""Endings of files such as those that are written, which no folder is meant to have."""
_MARK = "\ufeff"
"""The byte-order mark, with which some editors begin a text."""

logger = logging.getLogger("regen_jax")


def main() -> None:
    """Writes samples.npz (x, y_prime, y, seed) and files a person can open."""
    directory = commands.workdir()
    given = {"guidance": GUIDANCE.value, "temperature": TEMPERATURE.value}
    overrides = {name: value for name, value in given.items() if value is not None}
    out = _folder(OUT.value) if OUT.value else directory
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
        texts = [to_text(abstraction, one) for one in y_prime]
        shown.add(
            Exhibit(files={f"y_prime_{i}.txt": _writer(t) for i, t in enumerate(texts)})
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


def _folder(path: str) -> Path:
    """The folder that --out names; `UserError` where it looks like a file."""
    folder = Path(path).expanduser()
    if folder.suffix.lower() in _FILES and not folder.is_dir():
        raise UserError(
            f"--out={path} looks like a file: give the folder that samples.npz and other "
            "files go to"
        )
    return folder


def _examples(task: Task, number: int) -> list[Example]:
    """The prompts: what the user gave, or the task's own; `number` of them if not 0."""
    given = [("text", text.replace(_MARK, "")) for text in TEXT.value]
    given += [("audio", path) for path in AUDIO.value]
    given += [("midi", path) for path in MIDI.value]
    if given and number not in (0, len(given)):
        raise UserError(f"--y_prime is given {number} times for {len(given)} prompts")
    if given:
        return [task.read(kind, value) for kind, value in given]
    prompts = task.prompts(number or NUM.value, "test")
    if len(prompts) < number or not prompts:
        raise UserError(
            f"there are {len(prompts)} prompts in the test split"
            + (f", and --y_prime is given {number} times" if number else "")
        )
    return prompts


def _edited(abstraction: Abstraction, path: str) -> np.ndarray:
    """The y′ of a file; `UserError` where it cannot be read, or is not one."""
    if not abstraction.editable:
        raise UserError(
            f"--y_prime={path}: the Y′ of this run is not for people to edit: its "
            f"abstraction is {type(abstraction).__name__}"
        )
    try:
        return from_text(abstraction, decoded(Path(path).expanduser().read_bytes()))
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


def to_text(abstraction: Abstraction, y_prime: np.ndarray) -> str:
    """Returns a text that `from_text` reads as the same: for people to edit if possible.

    A prior may give a y′ that no such text stands for, such as an empty one: then its
    ids are written, as JSON.
    """
    text = abstraction.write(y_prime)
    if not isinstance(abstraction.y_prime, Tokens):
        return text
    try:
        if abstraction.write(abstraction.read(text)) == text:
            return text
    except UserError:
        pass
    return json.dumps({"ids": np.asarray(y_prime).tolist()}) + "\n"


def from_text(abstraction: Abstraction, text: str) -> np.ndarray:
    """Returns the y′ of a text that `to_text` or a person wrote.

    Raises:
      UserError: names the place where the text is not that of a y′.
    """
    space = abstraction.y_prime
    if not (isinstance(space, Tokens) and text.lstrip().startswith('{"ids"')):
        return abstraction.read(text)
    try:
        ids = np.array(json.loads(text)["ids"])
        fits = ids.dtype.kind == "i" and ids.shape == space.shape
    except (ValueError, KeyError, TypeError):
        fits = False
    if not fits or ids.min() < 0 or ids.max() >= space.vocab:
        raise UserError(
            f"'ids' must be integers from 0 to {space.vocab - 1}, of shape "
            f"{list(space.shape)}"
        )
    return ids.astype(np.int32)


def decoded(data: bytes) -> str:
    """Returns the text of a file: UTF-8, or UTF-16 with a byte-order mark.

    Raises:
      UserError: it is neither.
    """
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"byte {error.start + 1} is no text in UTF-8: save the file as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
