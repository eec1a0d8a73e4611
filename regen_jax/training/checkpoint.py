"""Saving and restoring a stage, with Orbax: its state and the data iterator together."""

import contextlib
import dataclasses
import json
import logging
import os
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
from regen_jax.training.parallel import processes
from regen_jax.training.stage import Tree
from regen_jax.training.step import TrainState

DISK_FULL = "free some disk space"
ADVICE = {
    "No space left": DISK_FULL,
    "ENOSPC": DISK_FULL,
    "quota": f"{DISK_FULL}, or have the quota raised,",
    "File too large": "have the limit on the size of files raised (ulimit -f)",
    "Permission denied": "give this user the right to write there",
    "Operation not permitted": "give this user the right to write there",
    "Read-only": "mount it so that it can be written",
    "Too many open files": "have the limit on open files raised (ulimit -n)",
    "name too long": "use a shorter --workdir",
    "Input/output error": "check the disk",
    "Stale file handle": "check the network disk",
    "No such file": "leave that folder in place while the run is going,",
    "not found": "leave that folder in place while the run is going,",
}
"""What to do where a save fails, by what the error says."""

BARRIER_SECONDS = 300
"""How long processes wait for each other in a save."""

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class CheckpointOptions:
    """`config.checkpoint`: save `every` steps and before reports; `keep` the newest."""

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
        """Starts to save in the background; raises if an earlier save failed.

        `seconds` is what training took so far.
        """
        seal = {
            "fingerprint": int(fingerprint(state)),
            "arrays": _arrays(state),
            "seconds": seconds,
        }
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

        Whatever devices wrote it, arrays are read onto those that the shardings of
        `abstract` name, or where it has none onto one device of this process. The
        iterator, if any, is set to the same moment. A damaged checkpoint is logged
        and the one before it is used.

        Raises:
          UserError: all are damaged, or one that is whole has other arrays than
            `abstract`, may not be read, or does not fit into memory.
        """
        abstract = on_one_device(abstract)
        reason = ""
        for step in sorted(self._steps(), reverse=True):
            try:
                with processes.together():
                    seal = self._seal(step)
                    self._check_arrays(step, seal, abstract)
                    state = self._read(step, abstract)
                if int(fingerprint(state)) != seal["fingerprint"]:
                    raise ValueError("its arrays are not those that were saved")
                if iterator is not None:
                    iterator.set_state(seal["iterator"])
                return state, seal["seconds"]
            except (UserError, MemoryError):
                raise
            # Damage shows as almost any exception: of tensorstore, JSON or Orbax.
            except Exception as error:
                reason = _first_line(error)
                self._check_readable(step, reason)
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

    def _seal(self, step: int) -> dict[str, Any]:
        items = ocp.args.Composite(seal=ocp.args.JsonRestore())
        seal = self._open().restore(step, args=items).seal
        if seal.pop("checksum") != _checksum(seal):
            raise ValueError("its place in the data is not the one that was saved")
        return seal

    def _read(self, step: int, abstract: TrainState) -> TrainState:
        items = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
        return self._open().restore(step, args=items).state

    def _check_arrays(self, step: int, seal: dict, abstract: TrainState) -> None:
        """Raises a UserError if a whole checkpoint is of arrays of other shapes or dtypes."""
        there, here = seal["arrays"], _arrays(abstract)
        for name in sorted(there.keys() | here.keys()):
            if there.get(name) != here.get(name):
                raise UserError(
                    f"checkpoint {step} of stage '{self.stage}' in {self.directory} is of "
                    f"another model: {name} is {there.get(name, 'not there')}, and "
                    f"{here.get(name, 'not there')} in this config"
                )

    def _check_readable(self, step: int, reason: str) -> None:
        """`UserError` where it is not damage that keeps a checkpoint from being read."""
        name = f"checkpoint {step} of stage '{self.stage}' in {self.directory}"
        if "RESOURCE_EXHAUSTED" in reason:
            raise UserError(f"{name} does not fit on the devices ({reason})")
        folder = self.directory / str(step)
        for path in (folder, *folder.rglob("*")):
            if not os.access(path, os.R_OK):
                raise UserError(f"{name} may not be read by this user: {path}")

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            steps = self._steps()
            kept = f"step {max(steps)} is kept" if steps else "no earlier one exists"
            raise UserError(
                f"could not save a checkpoint of stage '{self.stage}' in "
                f"{self.directory} ({_first_line(error)}); {kept}: {advice(error)} and run "
                "the same command again"
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


def on_one_device(abstract: Tree) -> Tree:
    """Returns the shapes; those without a sharding go to one device of this process."""
    # Left to itself, Orbax asks for the devices that wrote them.
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def placed(leaf: Any) -> jax.ShapeDtypeStruct:
        sharding = getattr(leaf, "sharding", None) or here
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(placed, abstract)


def advice(error: BaseException) -> str:
    """Returns what to do about a save that failed."""
    while error is not None:
        for words, what in ADVICE.items():
            if words.lower() in str(error).lower():
                return what
        error = error.__cause__ or error.__context__
    return "fix that"


def _arrays(state: Tree) -> dict[str, str]:
    """What a state holds, as `float32[16, 64]` by the path of each array."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            f"{leaf.dtype}{list(leaf.shape)}"
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }


def _checksum(seal: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(seal, sort_keys=True).encode())


def _first_line(error: Exception) -> str:
    line = (str(error).strip() or type(error).__name__).split("\n")[0]
    # What Orbax and TensorStore add of their own objects helps nobody here.
    line = line.split(" See full TensorStore details")[0]
    # In TensorStore's own the cause stands after the paths, and before details in [].
    line = line.split(" [")[0]
    return line if len(line) <= 200 else f"{line[:60]} … {line[-140:]}"
