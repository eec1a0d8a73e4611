"""A run that is stopped or killed at any moment goes on to the bits it would have had."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

STAGES = ("judge", "abstraction", "prior")
TIMES = ("step_seconds", "examples_per_second", "model_flops_per_second")


def interrupt(flags, workdir, stage, step, delay, number):
    """Starts a run, and sends it the signal a moment after that step was told."""
    told = []
    with subprocess.Popen(
        [sys.executable, "-m", "regen_jax.train", *flags, f"--workdir={workdir}"],
        stderr=subprocess.PIPE,
        text=True,
        # In a group of its own, as only this one is meant.
        start_new_session=True,
    ) as run:
        for line in run.stderr:
            told.append(line)
            if line.startswith(f"{stage} {step}/20 loss"):
                time.sleep(delay)
                os.kill(run.pid, number)
                break
        told += run.stderr.readlines()
    return run.returncode, "".join(told)


def scalars(folder):
    """Every figure of a stage but times, as TensorBoard shows it: (step, value)."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if tag.removeprefix("train/") not in TIMES
    }


def test_stopped_and_killed_it_ends_with_the_same_bits(
    command, trained, tiny_flags, tmp_path
):
    workdir = tmp_path / "run"
    # Anew at every run of the tests; what was drawn is shown where it fails.
    draw = random.Random()
    moments = sorted(draw.sample(range(3 * 20 - 1), 2))
    for moment, number in zip(moments, (signal.SIGINT, signal.SIGKILL), strict=True):
        stage, step, delay = STAGES[moment // 20], moment % 20 + 1, draw.random() / 10
        print(f"{number.name} {delay:.3f} s after step {step} of {stage}")
        status, told = interrupt(tiny_flags, workdir, stage, step, delay, number)
        if number == signal.SIGINT:
            assert status == 130, told
            assert told.endswith("stopped; the same command goes on from here\n")
            assert "Traceback" not in told
        else:
            assert status == -signal.SIGKILL

    done = command("train", *tiny_flags, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert not re.search("damaged|Traceback", done.stderr)
    for stage in STAGES:
        assert scalars(workdir / stage) == scalars(trained / stage)
        found, expected = (
            run / stage / "checkpoints" / "20" for run in (workdir, trained)
        )
        # The seal holds a fingerprint of all bits of parameters, averages and optimizer.
        for name in ("iterator/process_0-of-1.json", "seal/metadata"):
            mine, theirs = (
                json.loads((c / name).read_text()) for c in (found, expected)
            )
            assert {**mine, "seconds": 0} == {**theirs, "seconds": 0}
