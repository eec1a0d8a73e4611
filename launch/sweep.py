"""Runs a sweep, or a search, on this machine or under Slurm.

python -m launch.sweep --config=… --sweep=… --workdir=… [-- --config.data.dir=…]

The sweep file has `get_sweep()`, a list of overrides made with `launch.algebra`, or
`get_search()`. The same command again goes on: finished runs are not run again.
"""

import contextlib
import dataclasses
import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from launch import commands, runs, slurm
from launch.algebra import Sweep, names
from launch.commands import Options
from launch.configured import Configured
from launch.local import slots_for
from launch.plan import Training, needed, plan, topological_levels
from launch.search_space import Search, read_sweep
from launch.supervisor import Job, Supervisor
from regen_jax import paths, runner
from regen_jax.cli import commands as cli
from regen_jax.cli.exit_codes import REQUEUE
from regen_jax.cli.workdir import METRICS
from regen_jax.errors import UserError

logger = logging.getLogger("launch")


def run_sweep(options: Options) -> int:
    """Runs what the sweep file asks for; returns 0, 1 if runs failed, 75 if stopped.

    Raises:
      UserError: the sweep or one of its runs makes no sense; nothing was started, and
        nothing written.
    """
    path = Path(options.config.partition(":")[0])
    if not path.is_file():
        raise UserError(f"--config: no such file: {path}")
    sweep = read_sweep(options.sweep)
    if isinstance(sweep, Search):
        from launch.search import run_search

        return run_search(sweep, options)
    configured = configure_all(options, sweep)
    known = [run.name for run in configured]
    if unknown := [name for name in options.only if name not in known]:
        raise UserError(
            f"--only={unknown[0]} is no run of this sweep: known are {' '.join(known)}"
        )
    memory = options.memory(runs={run.name: run.overrides for run in configured})
    runs.check_same(options.workdir, memory)
    selected = options.only or known
    finished = [n for n in known if runs.finished(options.workdir / n, options.split)]
    wanted = set(selected) - set(finished)
    finished = [name for name in finished if name in selected]
    trainings = [
        training
        for training in needed(plan(configured, options.workdir), wanted)
        if not training.stop_after
        or not runs.has_trained(options.workdir / training.name, *training.stop_after)
    ]
    if options.dry_run:
        for name in finished:
            print(f"# {name}: finished")
        commands.print_plan(options, trainings)
    if options.on == "slurm":
        return _submit(options, trainings, memory)
    if options.dry_run:
        return 0
    slots = slots_for(options.parallel or 1)
    with runs.locked(options.workdir, memory):
        logger.info(
            "%d runs, %d of them finished, %d trainings shared by several",
            *(len(selected), len(finished)),
            sum(training.stop_after is not None for training in trainings),
        )
        jobs = [commands.job_of(training, options) for training in trainings]
        supervisor = Supervisor(let_save=True)
        failed = supervisor.run(supervisor.run_jobs(jobs, slots))
    if supervisor.received:
        return REQUEUE
    for name, why in failed.items():
        logger.info("\n%s failed: %s", name, why)
        logger.info("  its log: %s", options.workdir / name / runs.LOG)
        if not name.startswith("shared/"):
            logger.info("  again: %s", commands.rerun(options, name))
    if not failed:
        report = ["python", "-m", "launch.report", f"--workdir={options.workdir}"]
        logger.info("next: %s", shlex.join([*report, f"--split={options.split}"]))
    return 1 if failed else 0


def configure_all(options: Options, sweep: Sweep) -> list[Configured]:
    """Names and builds every run of a sweep."""
    configured: list[Configured] = []
    for name, overrides in zip(names(sweep), sweep, strict=True):
        run = commands.configure_run(name, overrides, options)
        if twins := [other.name for other in configured if other.config == run.config]:
            raise UserError(f"runs {twins[0]} and {name} have one config")
        configured.append(run)
    return configured


def _submit(options: Options, trainings: Sequence[Training], memory: dict) -> int:
    """Submits each level as a job array that waits for the one before."""
    slurm_options = {**options.slurm, "parallel": options.parallel}
    lock = runs.locked(options.workdir, memory)
    with contextlib.nullcontext() if options.dry_run else lock:
        ids: list[str] = []
        for level in topological_levels(trainings):
            jobs = [Job(t.name, commands.commands_of(t, options)) for t in level]
            where = slurm_options, options.workdir / "slurm"
            ids = slurm.submit(jobs, *where, after=ids, dry_run=options.dry_run)
            for job, number in zip(jobs, ids, strict=False):
                logger.info("submitted %s as job %s", job.name, number)
    return 0


def main(rest: list[str]) -> int:
    """Runs the command."""
    values = flags.FLAGS.flag_values_dict()
    for name in ("config", "sweep"):
        if not values[name]:
            raise UserError(f"--{name} is needed")
    values |= {
        "config": os.path.expanduser(values["config"]),
        "sweep": paths.local(values["sweep"], "--sweep"),
        "workdir": cli.workdir(),
        "slurm": SLURM_OPTIONS(),
        "extra": rest,
    }
    fields = {field.name for field in dataclasses.fields(Options)}
    return run_sweep(Options(**{name: values[name] for name in fields}))


if __name__ == "__main__":
    flags.DEFINE_string("config", None, "config file, and its argument after a colon")
    flags.DEFINE_string("sweep", None, "file with get_sweep() or get_search()")
    flags.DEFINE_enum("on", "local", ["local", "slurm"], "where")
    flags.DEFINE_integer("parallel", None, "runs at a time; 1 here", lower_bound=1)
    flags.DEFINE_integer("processes", 1, "of each run here", lower_bound=1)
    flags.DEFINE_multi_string("only", [], "name of a run; may be given several times")
    flags.DEFINE_bool("dry_run", False, "print the commands only")
    split_help = "what runs are evaluated on; test only if nothing is chosen by it"
    flags.DEFINE_enum("split", Options.split, list(METRICS), split_help)
    SLURM_OPTIONS = slurm.define_flags()
    runner.run(main, trailing="fields of the config")
