"""Does a run that is killed again and again end as if nothing had been?

    python -m experiments.endurance.run --workdir=runs/endurance --kills=100

A run is trained without a break; then the same again, killed by SIGKILL at random
moments, and restarted after each. At the end every array of the last checkpoints, the
places in the data and all scalars of TensorBoard must be equal bit for bit, and no
checkpoint may be called damaged. Stages have at least twice as many steps as there are
kills. The moments are drawn newly each time, unless `--seed` is given. Writes
`endurance.json`; a stopped study starts from the beginning, in a new folder.
"""

import dataclasses
import json
import os
import random
import re
import signal
import statistics
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from absl import flags

import regen_jax.media.image_grid  # noqa: F401  before the forks, as they take long
from experiments.equality import differences
from regen_jax import ranges, train
from regen_jax.cli import commands
from regen_jax.config import options_table
from regen_jax.errors import UserError

KILLS = flags.DEFINE_integer("kills", 100, "how often", lower_bound=1)
EVERY = flags.DEFINE_integer("every", 2, "steps between checkpoints", lower_bound=1)
SEED = commands.define_number(
    "seed", None, ranges.Seed, "of the moments of kills; drawn if not given"
)

EARLY = 0.1
"""Share of kills while a run starts, before it has logged a step."""

Moment = tuple[str, int]


@dataclasses.dataclass
class Life:
    """One start of a run: what it logged until it ended.

    Attributes:
      status: of the process; minus the signal's number where one ended it.
      log: its lines on stderr.
      steps: (stage, step) of those that tell a loss, with the time since the start.
      seconds: from the start to the end.
    """

    status: int
    log: list[str]
    steps: dict[Moment, float]
    seconds: float


def live(folder: Path, doom: Callable[[Moment | None], float | None]) -> Life:
    """Trains in a process of its own, which is a fork of this one.

    `doom` is asked at the start, with None, and after every step that is logged; where it
    gives a number, the process is killed that many seconds later.
    """
    began = time.perf_counter()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _train(folder, writer)
    os.close(writer)
    log, steps = [], {}
    with open(reader) as lines:
        delay = doom(None)
        while delay is None and (line := lines.readline()):
            log.append(line)
            found = re.match(r"(\w+) (\d+)/\d+ loss", line)
            if found:
                moment = found[1], int(found[2])
                steps[moment] = time.perf_counter() - began
                delay = doom(moment)
        if delay is not None:
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
        log += lines.readlines()
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - began
    return Life(os.waitstatus_to_exitcode(status), log, steps, seconds)


def endure(folder: Path, whole: Life, kills: int, draw: random.Random) -> dict:
    """Kills a run that often, lets it end, and says what was seen; see `main`."""
    # Not after the last ones: the run might end before the signal.
    moments = list(whole.steps)[: -max(2, len(whole.steps) // 20)]
    early = sum(draw.random() < EARLY for _ in range(kills))
    targets = sorted(draw.sample(range(len(moments)), kills - early))
    lives: list[tuple[int | None, float]] = [
        (target, 1.5 * draw.random() * _pace(whole)) for target in targets
    ]
    for _ in range(early):
        delay = draw.random() * next(iter(whole.steps.values()))
        lives.insert(draw.randrange(len(lives) + 1), (None, delay))

    seen = {"kills": 0, "in_training": 0, "in_save": 0, "steps_again": 0, "seconds": 0}
    reached, unfinished = -1, set()
    for target, delay in lives:

        def doom(
            moment: Moment | None, target: int | None = target, delay: float = delay
        ) -> float | None:
            if moment is None:
                return delay if target is None else None
            # A moment that an earlier delay went past is met at the next step.
            due = target is not None and moments.index(moment) >= target
            return delay if due else None

        life = live(folder, doom)
        if life.status != -signal.SIGKILL:
            raise UserError(
                f"start {seen['kills'] + 1} ended by itself with {life.status}: "
                f"{''.join(life.log[-1:]).strip()}"
            )
        before, unfinished = unfinished, set(folder.glob("*/checkpoints/*tmp*"))
        in_save = bool(unfinished - before)
        places = [list(whole.steps).index(step) for step in life.steps]
        seen["kills"] += 1
        seen["in_training"] += bool(life.steps)
        seen["in_save"] += in_save
        seen["steps_again"] += sum(place <= reached for place in places)
        seen["seconds"] += life.seconds
        reached = max([reached, *places])
        _fail_if_damaged(life)
        where = " ".join(map(str, list(life.steps)[-1])) if life.steps else "the start"
        print(
            f"kill {seen['kills']}: {delay:.3f} s after {where}"
            f"{', in mid-save' if in_save else ''}",
            flush=True,
        )
    last = live(folder, lambda _: None)
    if last.status:
        raise UserError(f"the last start ended with {last.status}: {last.log[-1:]}")
    _fail_if_damaged(last)
    seen["seconds"] += last.seconds
    return seen


def main() -> None:
    """Runs the study, and writes its results into the workdir."""
    folder = commands.workdir()
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"--workdir={folder} is not empty: a study needs a new one")
    config = commands.parsed_config(train.CONFIG)
    config.log.every, config.checkpoint.every = 1, EVERY.value
    for section in config.train.values():
        # So that the run does not end before the last kill.
        section.steps = max(section.steps, 2 * KILLS.value)
    if jax.config.jax_compilation_cache_dir is None:
        # Most of a start would be the same compilation.
        jax.config.update("jax_compilation_cache_dir", str(folder / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    seed = random.randrange(2**31) if SEED.value is None else SEED.value
    print(f"moments are drawn with --seed={seed}", flush=True)

    options_table.parts()  # Imports them, which takes long, before the forks.
    whole = live(folder / "whole", lambda _: None)
    if whole.status:
        raise UserError(f"training ended with {whole.status}: {whole.log[-1:]}")
    seen = endure(folder / "killed", whole, KILLS.value, random.Random(seed))
    differing = differences(folder / "killed", folder / "whole")
    seen |= {"whole_seconds": whole.seconds, "seed": seed, "differing": differing}
    (folder / "endurance.json").write_text(json.dumps(seen, indent=2) + "\n")
    print(
        f"{seen['kills']} kills: {seen['in_training']} in training, {seen['in_save']} in "
        f"mid-save; {seen['kills'] + 1} starts, {seen['steps_again']} of "
        f"{len(whole.steps)} steps taken again; {seen['seconds']:.0f} s, and "
        f"{whole.seconds:.0f} s without a kill"
    )
    if differing:
        raise UserError(f"the killed run is another: {'; '.join(differing[:5])}")
    print("all arrays, places in the data and scalars are equal bit for bit")


def _train(folder: Path, writer: int) -> None:
    """The command `train` in this process, to its end."""
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(writer, 2)
        flags.FLAGS.workdir = str(folder)
        train.main()
        status = 0
    except SystemExit as exit:
        status = exit.code or 0
    except (UserError, OSError) as error:
        print("error:", error, file=sys.stderr)
        status = 2
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _pace(life: Life) -> float:
    """Median seconds from one step that is logged to the next."""
    times = list(life.steps.values())
    return statistics.median(np.diff(times).tolist())


def _fail_if_damaged(life: Life) -> None:
    wrong = [line for line in life.log if re.search("damaged|Traceback", line)]
    if wrong:
        raise UserError(f"the run logged: {wrong[0].strip()}")


if __name__ == "__main__":
    flags.set_default(train.CONFIG, "configs/digits.py:size=tiny")
    # JAX warns of forks; it starts nothing before them here.
    warnings.simplefilter("ignore", RuntimeWarning)
    commands.run(main)
