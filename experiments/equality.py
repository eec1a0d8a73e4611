"""Whether two finished runs are the same, bit for bit."""

import json
import warnings
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TIMES = ("step_seconds", "examples_per_second", "model_flops_per_second")


def differences(run: Path, other: Path) -> list[str]:
    """What differs in the last checkpoints and the scalars of two runs, but for times.

    A line for each array, place in the data or curve, that begins with its stage.
    """

    def arrays(folder: Path) -> dict[str, np.ndarray]:
        with warnings.catch_warnings(action="ignore"):
            tree = ocp.PyTreeCheckpointer().restore(folder / "state")
        paths = jax.tree_util.tree_leaves_with_path(tree)
        return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in paths}

    def notes(folder: Path) -> dict[str, object]:
        metadata = json.loads((folder / "metadata" / "metadata").read_text())
        # The checksum is one of the metadata, and so of the time.
        return {**metadata, "seconds": 0, "checksum": 0}

    def scalars(folder: Path) -> dict[str, list]:
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        return {
            tag: [(event.step, event.value) for event in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]
            if tag.removeprefix("train/") not in TIMES
        }

    found = []
    for stage in sorted(path.parent.name for path in other.glob("*/checkpoints")):
        mine, theirs = (_newest(folder / stage) for folder in (run, other))
        if mine.name != theirs.name:
            found.append(f"{stage}: step {mine.name} is not {theirs.name}")
            continue
        a, b = arrays(mine), arrays(theirs)
        found += [
            f"{stage}: {name}"
            for name in a.keys() | b.keys()
            if name not in a or name not in b or a[name].tobytes() != b[name].tobytes()
        ]
        if notes(mine) != notes(theirs):
            found.append(f"{stage}: metadata")
        if scalars(run / stage) != scalars(other / stage):
            found.append(f"{stage}: scalars")
    return found


def _newest(stage: Path) -> Path:
    folders = [
        path for path in (stage / "checkpoints").iterdir() if path.name.isdigit()
    ]
    return max(folders, key=lambda path: int(path.name))
