"""A run that is interrupted at any moment resumes and ends with the same bits.

That it also does where it is killed is shown by `test_kills.py`.
"""

import os
import random
import re
import signal
import subprocess
import time

from experiments.equality import differences
from regen_jax.cli.exit_codes import REQUEUE

STAGES = ("judge", "abstraction", "prior")


def interrupt(python, flags, workdir, stage, step, delay, number):
    """Starts a run, and sends it the signal a moment after that step was logged."""
    log = []
    with subprocess.Popen(
        [python, "-m", "regen_jax.train", *flags, f"--workdir={workdir}"],
        stderr=subprocess.PIPE,
        text=True,
        # In a group of its own, as only this one is meant.
        start_new_session=True,
    ) as run:
        for line in run.stderr:
            log.append(line)
            if line.startswith(f"{stage} {step}/20 loss"):
                time.sleep(delay)
                os.kill(run.pid, number)
                break
        log += run.stderr.readlines()
    return run.returncode, "".join(log)


def test_interrupted_run_ends_with_the_same_bits(
    command, trained, tiny_flags, tmp_path
):
    workdir = tmp_path / "run"
    # Anew at every run of the tests; what was drawn is shown where it fails.
    draw = random.Random()
    moments = sorted(draw.sample(range(3 * 20 - 1), 2))
    codes = {signal.SIGINT: 130, signal.SIGTERM: REQUEUE}
    for moment, number in zip(moments, codes, strict=True):
        stage, step, delay = STAGES[moment // 20], moment % 20 + 1, draw.random() / 10
        print(f"{number.name} {delay:.3f} s after step {step} of {stage}")
        status, log = interrupt(
            command.python, tiny_flags, workdir, stage, step, delay, number
        )
        assert status == codes[number], log
        assert log.endswith("the same command goes on from here\n")
        assert "Traceback" not in log

    done = command("train", *tiny_flags, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert not re.search("damaged|Traceback", done.stderr)
    assert differences(workdir, trained) == []
