"""A save that fails keeps earlier checkpoints and gives advice that fits the cause."""

import errno
import os
import subprocess
import sys

import pytest

from regen_jax.training.checkpoint_errors import advice

FULL_DISK = """
import resource, sys
from pathlib import Path
import jax.numpy as jnp
import numpy as np
from regen_jax.errors import UserError
from regen_jax.training.checkpoint import CheckpointOptions, Checkpoints
from regen_jax.training.step import TrainState

def state(step):
    noise = jnp.asarray(np.random.default_rng(step).normal(size=50_000))
    return TrainState(jnp.int32(step), {"params": noise}, (noise,), ())

saving = Checkpoints(Path(sys.argv[1]), "prior", CheckpointOptions(1, 2))
saving.save(state(1), 0.0)
saving.finish()
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    saving.save(state(2), 0.0)
    saving.finish()
except UserError as error:
    print(error)
saving.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
reading = Checkpoints(Path(sys.argv[1]), "prior", CheckpointOptions(1, 2))
restored, _ = reading.restore(state(0))
print(np.array_equal(restored.averages[0], state(1).averages[0]))
reading.save(state(2), 0.0)
reading.finish()
print(reading.latest)
"""


def test_save_on_a_full_disk_raises_and_keeps_the_last_step(tmp_path):
    # Full by a limit on the size of files, which ends a write as a full disk does.
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    logged, kept, latest = done.stdout.splitlines()
    assert logged.startswith("could not save a checkpoint of stage 'prior' in ")
    assert "File too large" in logged
    assert "step 1 is kept: have the limit on the size of files raised" in logged
    assert (kept, latest) == ("True", "2")


@pytest.mark.parametrize(
    "number, action",
    [
        (errno.ENOSPC, "free some disk space"),
        (errno.EDQUOT, "free some disk space, or have the quota raised,"),
        (errno.EROFS, "mount it so that it can be written"),
        (errno.EACCES, "give this user the right to write there"),
        (errno.EMFILE, "have the limit on open files raised (ulimit -n)"),
        (errno.ENOENT, "leave that folder in place while the run is going,"),
        (errno.EPIPE, "fix that"),
    ],
)
def test_advice_on_a_failed_save_fits_its_cause(number, action):
    cause = OSError(number, os.strerror(number))
    assert advice(cause) == action
    wrapped = ValueError("Error writing local file")
    wrapped.__cause__ = cause
    assert advice(wrapped) == action
