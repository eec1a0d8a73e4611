"""Runs a sweep, or a search, on this machine or under Slurm.

python -m launch.sweep --config=configs/digits.py --sweep=configs/sweeps/x.py
--workdir=runs/x [--on=slurm] [-- --config.data.dir=…]

The sweep file has `get_sweep()`, a list of overrides made with `launch.algebra`, or
`get_search()`. The same command again goes on: finished runs are not run again.
"""

import contextlib
import dataclasses
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from launch import cli, pool, runs, slurm
from launch.algebra import Search, Sweep
from launch.commands import Options, commands_of, job_of, rerun
from launch.configured import Configured, configure, flags_of
from launch.devices import slots_for
from launch.naming import names
from launch.plan import Training, needed, plan, waves
from launch.search import search
from launch.sweep_file import read
from regen_jax import paths
from regen_jax.cli import workdir
from regen_jax.cli.exit_codes import REQUEUE
from regen_jax.errors import UserError

logger = logging.getLogger("launch")


def run_sweep(options: Options) -> int:
    """Runs what the sweep file asks for; 0, 1 where runs failed, 75 where stopped.

    Raises:
      UserError: the sweep or one of its runs makes no sense; nothing was started, and
        nothing written.
    """
    path = Path(options.config.partition(":")[0])
    if not path.is_file():
        raise UserError(f"--config: no such file: {path}")
    asked = read(options.sweep)
    if isinstance(asked, Search):
        return search(asked, options)
    configured = configure_all(options, asked)
    known = [run.name for run in configured]
    if unknown := [name for name in options.only if name not in known]:
        raise UserError(
            f"--only={unknown[0]} is no run of this sweep: known are {' '.join(known)}"
        )
    memory = {
        "config": options.config,
        "fields": list(options.extra),
        "runs": {run.name: run.overrides for run in configured},
    }
    runs.check_same(options.workdir, memory)
    wanted = set(options.only or known)
    finished = {
        name for name in known if runs.finished(options.workdir / name, options.split)
    }
    trainings = [
        training
        for training in needed(plan(configured, options.workdir), wanted - finished)
        if not training.stop_after
        or not runs.has_trained(options.workdir / training.name, *training.stop_after)
    ]
    if options.dry_run:
        describe(options, trainings, sorted(finished & wanted, key=known.index))
    if options.on == "slurm":
        return _submit(options, trainings, memory)
    if options.dry_run:
        return 0
    slots = slots_for(options.parallel or 1, os.environ)
    with runs.claimed(options.workdir, memory):
        jobs = [job_of(training, options) for training in trainings]
        logger.info(
            "%d runs, %d of them finished, %d trainings shared by several",
            *(len(wanted), len(finished & wanted)),
            sum(training.stop_after is not None for training in trainings),
        )
        failed, stopped = pool.run_jobs(jobs, slots)
    return _conclude(options, failed, stopped)


def configure_all(options: Options, sweep: Sweep) -> list[Configured]:
    """Every run of a sweep, named and built."""
    configured = [
        configure(
            name,
            overrides,
            flags_of(options.config, overrides, options.extra),
            data=options.on == "local",
        )
        for name, overrides in zip(names(sweep), sweep, strict=True)
    ]
    for index, run in enumerate(configured):
        for other in configured[:index]:
            if run.config == other.config:
                raise UserError(f"runs {other.name} and {run.name} have one config")
    return configured


def describe(
    options: Options, trainings: Sequence[Training], finished: Sequence[str]
) -> None:
    """Prints every command that would run, in order, and what needs not."""
    for name in finished:
        print(f"# {name}: finished")
    for training in trainings:
        print()
        print(f"# {training.name}")
        if training.users:
            stage = training.stop_after[0]
            print(f"# trains up to {stage} for {' '.join(training.users)}")
        if training.needs:
            print(f"# after {' '.join(training.needs)}")
        if options.on == "local":
            for command in job_of(training, options).commands:
                print(pool.words(command))


def _conclude(options: Options, failed: dict[str, str], stopped: int | None) -> int:
    if stopped == signal.SIGINT:
        raise KeyboardInterrupt
    if stopped:
        logger.info("stopped; the same command goes on from here")
        return REQUEUE
    for name, why in failed.items():
        logger.info("\n%s failed: %s", name, why)
        logger.info("  all it said: %s", options.workdir / name / runs.LOG)
        if not name.startswith("shared/"):
            logger.info("  again: %s", rerun(options, name))
    if not failed:
        logger.info(
            "next: python -m launch.report --workdir=%s --split=%s",
            *(options.workdir, options.split),
        )
    return 1 if failed else 0


def _submit(options: Options, trainings: Sequence[Training], memory: dict) -> int:
    """Submits each wave as a job array that waits for the one before."""
    chosen = dataclasses.replace(slurm.options_from_flags(), parallel=options.parallel)
    claim = runs.claimed(options.workdir, memory)
    with contextlib.nullcontext() if options.dry_run else claim:
        after: list[str] = []
        for wave in waves(trainings):
            jobs = [slurm.Job(t.name, commands_of(t, options)) for t in wave]
            after = slurm.submit(
                jobs,
                chosen,
                options.workdir / "slurm",
                after=after,
                dry_run=options.dry_run,
            )
            for job, number in zip(jobs, after, strict=False):
                logger.info("submitted %s as job %s", job.name, number)
    return 0


def main(rest: list[str]) -> int:
    """The command."""
    given = flags.FLAGS
    for name in ("config", "sweep", "workdir"):
        if not given[name].value:
            raise UserError(f"--{name} is needed")
    return run_sweep(
        Options(
            os.path.expanduser(given.config),
            paths.local(given.sweep, "--sweep"),
            paths.storable(given.workdir, "--workdir"),
            given.on,
            given.parallel,
            given.processes,
            given.only,
            given.dry_run,
            given.split,
            rest,
        )
    )


if __name__ == "__main__":
    flags.DEFINE_string("config", None, "config file, and its argument after a colon")
    flags.DEFINE_string("sweep", None, "file with get_sweep() or get_search()")
    flags.DEFINE_string("workdir", None, "folder of the sweep, one below for each run")
    flags.DEFINE_enum("on", "local", ["local", "slurm"], "where")
    flags.DEFINE_integer("parallel", None, "runs at a time; 1 here", lower_bound=1)
    flags.DEFINE_integer("processes", 1, "of each run here", lower_bound=1)
    flags.DEFINE_multi_string("only", [], "name of a run; may be given several times")
    flags.DEFINE_bool("dry_run", False, "print the commands only")
    flags.DEFINE_enum(
        "split",
        Options.split,
        list(workdir.METRICS),
        "what runs are evaluated on at the end; test only if nothing is chosen by it",
    )
    slurm.define_flags()
    cli.run(main)
