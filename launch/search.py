"""A search beyond grids: optuna picks each run by those before, and prunes poor ones.

It reads the validation split alone, both while runs train and after they finish.

Trials are kept in `optuna.log` of the workdir; each is an ordinary run in a folder of
its own. A trial that was interrupted goes on in the same folder.
"""

import asyncio
import dataclasses
import logging
import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from launch import runs
from launch.algebra import Overrides
from launch.commands import Options, job_of
from launch.configured import Configured, configure, flags_of
from launch.devices import slots_for
from launch.plan import Training, needed, share, with_shared
from launch.search_space import Search
from launch.supervisor import Supervisor, shell_line
from regen_jax.cli.exit_codes import REQUEUE
from regen_jax.errors import UserError
from regen_jax.extras import require

READ_SECONDS = 5.0
"""Between two reads of the curves of runs that train."""

logger = logging.getLogger("launch")


def run_search(search: Search, options: Options) -> int:
    """Runs trials until there are `search.trials` in all; returns the exit code.

    It is 1 if no trial succeeded or what they share failed, 75 if it was stopped, else 0.

    Raises:
      UserError: a corner of the space makes no config, or the flags do not suit a
        search; nothing was started, and nothing written.
    """
    if options.on != "local" or options.only:
        raise UserError(
            "a search picks each run by those before: --on=slurm and --only are for "
            "sweeps; submit this command itself as a job"
        )
    if options.split != "validation":
        raise UserError(
            f"--split={options.split}: a search chooses by the validation split; "
            "evaluate its best run on the test split"
        )
    memory = {
        "config": options.config,
        "fields": list(options.extra),
        "search": search.identity(),
    }
    runs.check_same(options.workdir, memory)
    corners = [
        _configure(f"at {corner}", corner, options) for corner in search.corners()
    ]
    shared = share(corners, options.workdir)
    slots = slots_for(options.parallel or 1, os.environ)
    if options.dry_run:
        first = dataclasses.replace(corners[0], name=trial_name(0))
        trainings = dict.fromkeys(shared.values())
        for training in [*trainings, with_shared(first, shared, options.workdir)]:
            print(f"# {training.name}")
            for command in job_of(training, options).commands:
                print(shell_line(command))
        print(f"# and so on, {search.trials} trials in all, of values optuna picks")
        return 0
    with runs.locked(options.workdir, memory):
        trials = Trials(search, options, shared, open_study(search, options.workdir))
        return trials.run(slots)


def open_study(search: Search, workdir: Path) -> Any:
    """Opens the optuna study in a folder, a new one if there is none."""
    optuna = require("optuna", "launch", "a search")
    journal = require("optuna.storages.journal", "launch", "a search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = journal.JournalFileBackend(str(workdir / "optuna.log"))
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name="search",
        direction="maximize" if search.maximize else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=search.warmup_trials),
        load_if_exists=True,
    )


class Trials:
    """The trials of a search."""

    def __init__(
        self,
        search: Search,
        options: Options,
        shared: Mapping[str, Training],
        study: Any,
    ):
        self._search = search
        self._options = options
        self._shared = shared
        self._study = study
        self._supervisor = Supervisor(let_save=True)
        self._failed: dict[str, str] = {}
        self._shared_runs: dict[str, asyncio.Future[str]] = {}

    def run(self, slots: Sequence[Mapping[str, str]]) -> int:
        """Runs trials, as many at a time as there are slots; returns the exit code."""

        async def work(trials: Iterator[Any], slot: Mapping[str, str]) -> None:
            for trial in trials:
                if not await self._run_trial(trial, slot):
                    return

        async def work_in_all() -> None:
            trials = self._all_trials()
            await asyncio.gather(*(work(trials, slot) for slot in slots))

        self._supervisor.run(work_in_all())
        if self._supervisor.received:
            return REQUEUE
        for name, why in self._failed.items():
            logger.info("%s failed: %s", name, why)
        return self._conclude()

    async def _run_trial(self, trial: Any, slot: Mapping[str, str]) -> bool:
        """Runs a trial after what it shares with others, and reports it to optuna.

        Returns False, and leaves the trial for the next start of the search, if a signal
        came or what it shares failed.
        """
        name = trial_name(trial.number)
        workdir = self._options.workdir
        distributions = self._search.distributions().items()
        parameters = {f: trial._suggest(f, values) for f, values in distributions}
        try:
            overrides = self._search.overrides(parameters)
            run = _configure(name, overrides, self._options)
        except UserError as error:
            # Some values within the space need not go together.
            return self._fail(trial, str(error))
        trial.set_user_attr("flags", list(run.flags))
        training = with_shared(run, self._shared, workdir)
        if not runs.finished(workdir / name, self._options.split):
            for other in needed(list(self._shared.values()), set(training.needs)):
                if why := await self._train_shared(other, slot):
                    self._failed[other.name] = why
                if why or self._supervisor.received:
                    return False
            job = job_of(training, self._options)
            running = asyncio.create_task(self._supervisor.run_job(job, slot))
            while not (await asyncio.wait([running], timeout=READ_SECONDS))[0]:
                if self._is_poor(trial):
                    logger.info("pruned    %s: worse than the median so far", name)
                    running.cancel()
                    await asyncio.wait([running])
            if self._supervisor.received:
                return False
            if running.cancelled():
                return self._tell(trial, state="PRUNED")
            if why := running.result():
                return self._fail(trial, why)
        metrics = runs.metrics(workdir / name, self._options.split)
        if self._search.metric not in metrics:
            raise UserError(
                f"search: {name} has no metric {self._search.metric!r}: known are "
                f"{', '.join(sorted(metrics))}"
            )
        return self._tell(trial, value=metrics[self._search.metric])

    async def _train_shared(self, training: Training, slot: Mapping[str, str]) -> str:
        """Waits for a shared training, which the first caller starts."""
        folder = self._options.workdir / training.name
        if training.name not in self._shared_runs:
            if runs.has_trained(folder, *training.stop_after):
                return ""
            job = job_of(training, self._options)
            self._shared_runs[training.name] = asyncio.ensure_future(
                self._supervisor.run_job(job, slot)
            )
        return await self._shared_runs[training.name]

    def _is_poor(self, trial: Any) -> bool:
        """Reports a trial's curve to optuna; returns whether to prune the trial."""
        known = self._study.trials[trial.number].intermediate_values
        folder = self._options.workdir / trial_name(trial.number)
        for step, value in sorted(read_curve(folder, self._search.metric).items()):
            if step not in known and math.isfinite(value):
                trial.report(value, step)
        return trial.should_prune()

    def _all_trials(self) -> Iterator[Any]:
        """Yields trials that an earlier start left unfinished, then new ones."""
        import optuna

        for trial in self._study.trials:
            if trial.state == optuna.trial.TrialState.RUNNING:
                yield optuna.trial.Trial(self._study, trial._trial_id)
        while len(self._study.trials) < self._search.trials:
            # Of the seed and the trials before alone, so that a search that was stopped
            # goes on as it would have.
            seed = (self._search.seed + len(self._study.trials)) % 2**32
            self._study.sampler = optuna.samplers.TPESampler(seed=seed)
            yield self._study.ask()

    def _conclude(self) -> int:
        """Logs the best trial and how to run it again; returns 1 if there is none."""
        try:
            best = self._study.best_trial
        except ValueError:
            logger.info("no trial succeeded")
            return 1
        overrides = self._search.overrides(best.params)
        logger.info(
            "best is %s with %s %g: %s",
            *(trial_name(best.number), self._search.metric, best.value),
            ", ".join(f"{field}={value}" for field, value in overrides.items()),
        )
        command = ["python", "-m", "regen_jax.train", *best.user_attrs["flags"]]
        workdir = self._options.workdir / "best"
        logger.info("again: %s", shlex.join([*command, f"--workdir={workdir}"]))
        return 0

    def _fail(self, trial: Any, why: str) -> bool:
        self._failed[trial_name(trial.number)] = why
        return self._tell(trial, state="FAIL")

    def _tell(
        self, trial: Any, value: float | None = None, state: str = "COMPLETE"
    ) -> bool:
        from optuna.trial import TrialState

        self._study.tell(trial, value, TrialState[state])
        return True


def read_curve(folder: Path, metric: str) -> dict[int, float]:
    """Returns a metric of all stages of a run by step, from its TensorBoard events."""
    module = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = require(module, "launch", "a search")
    curve = {}
    for stage in sorted({file.parent for file in folder.glob("*/events*")}):
        events = accumulator.EventAccumulator(str(stage), {"scalars": 0}).Reload()
        if metric in events.Tags()["scalars"]:
            curve |= {event.step: event.value for event in events.Scalars(metric)}
    return curve


def trial_name(number: int) -> str:
    """Returns the name of a trial's folder."""
    return f"trial-{number:03d}"


def _configure(name: str, overrides: Overrides, options: Options) -> Configured:
    flags = flags_of(options.config, overrides, options.extra)
    return configure(name, overrides, flags)
