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
from regen_jax.ranges import Checked, Count
from regen_jax.training.checkpoint_errors import advice, first_line
from regen_jax.training.named_leaves import Tree, first_difference, leaf_types
from regen_jax.training.parallel import processes
from regen_jax.training.step import TrainState

BARRIER_SECONDS = 300
"""How long processes wait for each other in a save."""

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class CheckpointOptions(Checked):
    """`config.checkpoint`.

    Attributes:
      every: steps between checkpoints; one is also saved before each report.
      keep: how many of the newest are kept.
    """

    every: Count = 500
    keep: Count = 2


class Checkpoints:
    """The checkpoints of one stage, in `<workdir>/<stage>/checkpoints/<step>`."""

    def __init__(self, workdir: Path, stage: str, options: CheckpointOptions):
        self.stage = stage
        self.directory = Path(workdir).absolute() / stage / "checkpoints"
        self.options = options
        self._manager = None

    @property
    def latest(self) -> int | None:
        """The newest step that is saved completely, or None."""
        return max(self._steps(), default=None)

    def save(
        self,
        state: TrainState,
        seconds: float,
        iterator: grain.DatasetIterator | None = None,
    ) -> None:
        """Starts to save in the background.

        Args:
          state: in the layout of checkpoints.
          seconds: that training took so far.
          iterator: of training batches, whose position is saved too.

        Raises:
          UserError: this save or an earlier one failed.
        """
        metadata = {
            "fingerprint": int(fingerprint(state)),
            "arrays": leaf_types(state),
            "seconds": seconds,
        }
        if iterator is not None:
            # The same in every process, and for any number of them.
            metadata["iterator"] = iterator.get_state()
        metadata["checksum"] = _checksum(metadata)
        items = {
            "state": ocp.args.StandardSave(state),
            "metadata": ocp.args.JsonSave(metadata),
        }
        with self._explaining_failure():
            self._open().save(int(state.step), args=ocp.args.Composite(**items))

    def finish(self) -> None:
        """Waits until all saves are on disk.

        Raises:
          UserError: a save failed.
        """
        if self._manager is not None:
            with self._explaining_failure():
                self._manager.wait_until_finished()

    def restore(
        self, abstract: TrainState, iterator: grain.DatasetIterator | None = None
    ) -> tuple[TrainState, float] | None:
        """Reads the newest state that can be read; falls back where one is damaged.

        A damaged checkpoint is logged, and the one before it is read.

        Args:
          abstract: shapes of the state. Whatever devices wrote it, arrays are read onto
            those that the shardings of `abstract` name, or where it has none onto one
            device of this process.
          iterator: of training batches, which is set to the same position.

        Returns:
          The state and the seconds that it took, or None if none was saved.

        Raises:
          UserError: all are damaged, or one that is not has other arrays than
            `abstract`, may not be read, or does not fit into memory.
        """
        abstract = on_one_device(abstract)
        reason = ""
        for step in sorted(self._steps(), reverse=True):
            try:
                with processes.synchronized():
                    metadata = self._read_metadata(step)
                    self._check_arrays(step, metadata, abstract)
                    state = self._read(step, abstract)
                if int(fingerprint(state)) != metadata["fingerprint"]:
                    raise ValueError("its arrays are not those that were saved")
                if iterator is not None:
                    iterator.set_state(metadata["iterator"])
                return state, metadata["seconds"]
            except (UserError, MemoryError):
                raise
            # Damage shows as almost any exception: of tensorstore, JSON or Orbax.
            except Exception as error:
                reason = first_line(error)
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

    def check_newest(self, abstract: TrainState) -> None:
        """Checks that the newest state has the arrays of `abstract`; reads no array.

        Damage is left to `restore`, which falls back to an earlier state.

        Raises:
          UserError: it has others.
        """
        for step in sorted(self._steps())[-1:]:
            try:
                with processes.synchronized():
                    metadata = self._read_metadata(step)
            except Exception:
                return
            self._check_arrays(step, metadata, abstract)

    def quarantine_after(self, step: int) -> None:
        """Moves checkpoints after `step`, all of them damaged, to `<stage>/damaged`."""
        newer = [other for other in self._steps() if other > step]
        if not newer:
            return
        self.close()
        with processes.synchronized():
            if processes.is_main():
                self._quarantine(newer)

    def _quarantine(self, newer: list[int]) -> None:
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

    def _read_metadata(self, step: int) -> dict[str, Any]:
        items = ocp.args.Composite(metadata=ocp.args.JsonRestore())
        metadata = self._open().restore(step, args=items)["metadata"]
        if metadata.pop("checksum") != _checksum(metadata):
            raise ValueError("its place in the data is not the one that was saved")
        return metadata

    def _read(self, step: int, abstract: TrainState) -> TrainState:
        items = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
        return self._open().restore(step, args=items).state

    def _check_arrays(self, step: int, metadata: dict, abstract: TrainState) -> None:
        """Raises a UserError if the arrays of a checkpoint have other shapes or dtypes."""
        if difference := first_difference(metadata["arrays"], leaf_types(abstract)):
            raise UserError(
                f"checkpoint {step} of stage '{self.stage}' in {self.directory} is of "
                f"another model or optimizer: {difference}"
            )

    def _check_readable(self, step: int, reason: str) -> None:
        """Raises a UserError if memory or a permission, not damage, prevents reading."""
        name = f"checkpoint {step} of stage '{self.stage}' in {self.directory}"
        if "RESOURCE_EXHAUSTED" in reason:
            raise UserError(f"{name} does not fit on the devices ({reason})")
        folder = self.directory / str(step)
        for path in (folder, *folder.rglob("*")):
            if not os.access(path, os.R_OK):
                raise UserError(f"{name} may not be read by this user: {path}")

    @contextlib.contextmanager
    def _explaining_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            steps = self._steps()
            kept = f"step {max(steps)} is kept" if steps else "no earlier one exists"
            raise UserError(
                f"could not save a checkpoint of stage '{self.stage}' in "
                f"{self.directory} ({first_line(error)}); {kept}: {advice(error)} and run "
                "the same command again"
            ) from error


@jax.jit
def fingerprint(tree: Tree) -> jax.Array:
    """Returns a hash of all bits of a tree, u32[], the same however it is sharded.

    Orbax does not notice a flipped bit in an array file. Weights are odd, and so
    invertible modulo 2^32: no change of one value leaves the sum as it was.
    """
    leaves = jax.tree.leaves(tree)
    summed: dict[tuple[int, ...], jax.Array] = {}
    # Leaf i of n has 31^(n-1-i) as its factor, so that all of one shape are added before
    # their values are: the program has a sum for each shape, not for each leaf.
    for index, leaf in enumerate(leaves):
        unsigned = jnp.dtype(f"uint{8 * leaf.dtype.itemsize}")
        bits = jax.lax.bitcast_convert_type(leaf, unsigned).astype(jnp.uint32)
        factor = jnp.uint32(pow(31, len(leaves) - 1 - index, 2**32))
        summed[leaf.shape] = summed.get(leaf.shape, jnp.uint32(0)) + factor * bits
    total = jnp.zeros((), jnp.uint32)
    for bits in summed.values():
        weights = 2 * jnp.arange(bits.size, dtype=jnp.uint32) + 1
        total += jnp.sum(bits.reshape(-1) * weights)
    return total


def on_one_device(abstract: Tree) -> Tree:
    """Returns the shapes; those without a sharding go to one device of this process."""
    # Left to itself, Orbax asks for the devices that wrote them.
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def with_sharding(leaf: Any) -> jax.ShapeDtypeStruct:
        sharding = getattr(leaf, "sharding", None) or here
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(with_sharding, abstract)


def _checksum(metadata: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(metadata, sort_keys=True).encode())
