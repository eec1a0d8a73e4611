"""Saving and restoring a stage, with Orbax: its state and the data iterator together."""

import contextlib
import dataclasses
import json
import logging
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from regen_jax.errors import UserError
from regen_jax.ranges import Count
from regen_jax.training import processes
from regen_jax.training.stage import Tree
from regen_jax.training.state import TrainState

BARRIER_SECONDS = 300
"""How long processes wait for each other in a save."""

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class CheckpointOptions:
    """`config.checkpoint`: save `every` steps, and `keep` the newest."""

    every: Count = 500
    keep: Count = 2

    def __post_init__(self):
        if self.every < 1 or self.keep < 1:
            raise ValueError(
                f"every and keep must be at least 1, not {self.every} and {self.keep}"
            )


class Checkpoints:
    """The checkpoints of one stage, in `<workdir>/<stage>/checkpoints/<step>`."""

    def __init__(self, workdir: Path, stage: str, options: CheckpointOptions):
        self.stage = stage
        self.directory = Path(workdir).absolute() / stage / "checkpoints"
        self.options = options
        self._manager = None

    @property
    def latest(self) -> int | None:
        """The newest step saved whole, or None."""
        return max(self._steps(), default=None)

    def save(
        self,
        state: TrainState,
        seconds: float,
        iterator: grain.DatasetIterator | None = None,
    ) -> None:
        """Starts to save in the background; an earlier save that failed is told here.

        `seconds` is what training took so far.
        """
        seal = {"fingerprint": int(fingerprint(state)), "seconds": seconds}
        if iterator is not None:
            # The same in every process, and for any number of them.
            seal["iterator"] = iterator.get_state()
        seal["checksum"] = _checksum(seal)
        items = {"state": ocp.args.StandardSave(state), "seal": ocp.args.JsonSave(seal)}
        with self._telling():
            self._open().save(int(state.step), args=ocp.args.Composite(**items))

    def finish(self) -> None:
        """Waits until all is on disk."""
        if self._manager is not None:
            with self._telling():
                self._manager.wait_until_finished()

    def restore(
        self, abstract: TrainState, iterator: grain.DatasetIterator | None = None
    ) -> tuple[TrainState, float] | None:
        """The newest state that can be read and its seconds; None if none was saved.

        `abstract` gives shapes, dtypes and shardings. The iterator, if any, is set to
        the same moment. A damaged checkpoint is told and the one before it taken;
        `UserError` where all of them are damaged.
        """
        reason = ""
        for step in sorted(self._steps(), reverse=True):
            try:
                with processes.together():
                    found = self._read(step, abstract)
                return self._checked(found, iterator)
            # Damage shows as almost any exception: of tensorstore, JSON or Orbax.
            except Exception as error:  # noqa: BLE001
                reason = _first_line(error)
                logger.warning(
                    "checkpoint %d of stage '%s' is damaged (%s); trying the one before",
                    *(step, self.stage, reason),
                )
        if reason:
            raise UserError(
                f"no checkpoint of stage '{self.stage}' in {self.directory} can be read "
                f"({reason}): restore the files, or train in another workdir"
            )
        return None

    def set_aside_after(self, step: int) -> None:
        """Moves checkpoints newer than `step`, all damaged, to `<stage>/damaged`."""
        newer = [other for other in self._steps() if other > step]
        if not newer:
            return
        self.close()
        with processes.together():
            if processes.first():
                self._set_aside(newer)

    def _set_aside(self, newer: list[int]) -> None:
        for other in newer:
            target = self.directory.parent / "damaged" / str(other)
            while target.exists():
                target = target.with_name(target.name + "_")
            target.parent.mkdir(exist_ok=True)
            shutil.move(self.directory / str(other), target)

    def close(self) -> None:
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            # Bounded waits: a process that died must not keep the others for long.
            options = ocp.CheckpointManagerOptions(
                max_to_keep=self.options.keep,
                async_options=ocp.AsyncOptions(timeout_secs=BARRIER_SECONDS),
            )
            self._manager = ocp.CheckpointManager(self.directory, options=options)
        return self._manager

    def _steps(self) -> list[int]:
        return list(self._open().all_steps()) if self.directory.is_dir() else []

    def _read(self, step: int, abstract: TrainState) -> ocp.args.Composite:
        items = {
            "state": ocp.args.StandardRestore(abstract),
            "seal": ocp.args.JsonRestore(),
        }
        return self._open().restore(step, args=ocp.args.Composite(**items))

    def _checked(
        self, found: ocp.args.Composite, iterator: grain.DatasetIterator | None
    ) -> tuple[TrainState, float]:
        seal = found.seal
        if int(fingerprint(found.state)) != seal["fingerprint"]:
            raise ValueError("its arrays are not those that were saved")
        if seal.pop("checksum") != _checksum(seal):
            raise ValueError("its place in the data is not the one that was saved")
        if iterator is not None:
            iterator.set_state(seal["iterator"])
        return found.state, seal["seconds"]

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            steps = self._steps()
            kept = f"step {max(steps)} is kept" if steps else "no earlier one exists"
            raise UserError(
                f"could not save a checkpoint of stage '{self.stage}' in "
                f"{self.directory} ({_first_line(error)}); {kept}: free some disk space "
                "and run the same command again"
            ) from error


@jax.jit
def fingerprint(tree: Tree) -> jax.Array:
    """u32[] of all bits of a tree, the same however it is sharded.

    Orbax does not notice a flipped bit in an array file. Weights are odd, and so
    invertible modulo 2^32: no change of one value leaves the sum as it was.
    """
    total = jnp.zeros((), jnp.uint32)
    for leaf in jax.tree.leaves(tree):
        unsigned = jnp.dtype(f"uint{8 * leaf.dtype.itemsize}")
        bits = (
            jax.lax.bitcast_convert_type(leaf, unsigned).astype(jnp.uint32).reshape(-1)
        )
        weights = 2 * jnp.arange(bits.size, dtype=jnp.uint32) + 1
        total = 31 * total + jnp.sum(bits * weights)
    return total


def _checksum(seal: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(seal, sort_keys=True).encode())


def _first_line(error: Exception) -> str:
    line = (str(error).strip() or type(error).__name__).split("\n")[0]
    # What Orbax and TensorStore add of their own objects helps nobody here.
    line = line.split(" See full TensorStore details")[0]
    # In TensorStore's own the cause stands after the paths, and before details in [].
    line = line.split(" [")[0]
    return line if len(line) <= 200 else f"{line[:60]} … {line[-140:]}"
