"""A search beyond grids: optuna picks each run by those before, and prunes poor ones.

It reads the validation split alone. Trials are kept in `optuna.log` of the workdir; each
is an ordinary run in a folder of its own, where it goes on after an interruption.
"""

import asyncio
import dataclasses
import logging
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from launch import runs
from launch.commands import Options, configure_run, job_of, print_plan
from launch.local import slots_for
from launch.plan import Training, needed, share, with_shared
from launch.search_space import Search
from launch.supervisor import Environment, Supervisor
from regen_jax.cli import workdir as stored
from regen_jax.cli.exit_codes import REQUEUE
from regen_jax.errors import UserError
from regen_jax.extras import require

READ_SECONDS = 5.0  # between two reads of the curve of a run that trains

logger = logging.getLogger("launch")


def run_search(search: Search, options: Options) -> int:
    """Runs trials; returns 0, 1 if no trial succeeded, 75 if the search was stopped.

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
    memory = options.memory(search=search.identity())
    runs.check_same(options.workdir, memory)
    corners = [configure_run(f"at {c}", c, options) for c in search.corners()]
    shared = share(corners, options.workdir)
    slots = slots_for(options.parallel or 1)
    if options.dry_run:
        first = dataclasses.replace(corners[0], name=trial_name(0))
        first_training = with_shared(first, shared, options.workdir)
        print_plan(options, [*dict.fromkeys(shared.values()), first_training])
        print(f"# and so on, {search.trials} trials in all, of values optuna picks")
        return 0
    with runs.locked(options.workdir, memory):
        study = open_study(search, options.workdir)
        supervisor = Supervisor(let_save=True)
        return Trials(search, options, shared, study, supervisor).run(slots)


def open_study(search: Search, workdir: Path) -> optuna.Study:
    """Opens the optuna study in a folder, a new one if there is none."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(workdir / "optuna.log"))),
        study_name="search",
        direction="maximize" if search.maximize else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=search.warmup_trials),
        load_if_exists=True,
    )


@dataclasses.dataclass
class Trials:
    """The trials of a search."""

    search: Search
    options: Options
    shared: Mapping[str, Training]
    study: optuna.Study
    supervisor: Supervisor
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    tasks: dict[str, asyncio.Task[str]] = dataclasses.field(default_factory=dict)

    def run(self, slots: Sequence[Environment]) -> int:
        """Runs trials, as many at a time as there are slots; returns the exit code."""
        trials = self._all_trials()

        async def work(slot: Environment) -> None:
            while (trial := next(trials, None)) and await self._run_trial(trial, slot):
                pass

        async def work_in_all_slots() -> None:
            await asyncio.gather(*map(work, slots))

        self.supervisor.run(work_in_all_slots())
        if self.supervisor.received:
            return REQUEUE
        for name, why in self.failed.items():
            logger.info("%s failed: %s", name, why)
        return self._conclude()

    async def _run_trial(self, trial: Trial, slot: Environment) -> bool:
        """Runs a trial after what it shares with others, and reports it to optuna.

        Returns False, and leaves it for the next start of the search, if it could not end.
        """
        name, folder = trial_name(trial.number), self._folder(trial)
        space = self.search.distributions()
        values = {field: trial._suggest(field, space[field]) for field in space}
        try:
            overrides = self.search.overrides(values)
            run = configure_run(name, overrides, self.options)
        except UserError as error:
            # Some values within the space need not go together.
            return self._tell(trial, TrialState.FAIL, why=str(error))
        trial.set_user_attr("flags", list(run.flags))
        if not runs.finished(folder, self.options.split):
            training = with_shared(run, self.shared, self.options.workdir)
            shared = list(dict.fromkeys(self.shared.values()))
            for other in needed(shared, set(training.needs)):
                if why := await self._train_shared(other, slot):
                    self.failed[other.name] = why
                if why or self.supervisor.received:
                    return False
            job = job_of(training, self.options)
            running = asyncio.create_task(self.supervisor.run_job(job, slot))
            while not (await asyncio.wait([running], timeout=READ_SECONDS))[0]:
                if self._is_poor(trial):
                    logger.info("pruned    %s: worse than the median so far", name)
                    running.cancel()
                    await asyncio.wait([running])
            if self.supervisor.received:
                return False
            if running.cancelled():
                return self._tell(trial, TrialState.PRUNED)
            if why := running.result():
                return self._tell(trial, TrialState.FAIL, why=why)
        metrics = stored.read_metrics(folder, self.options.split)
        if self.search.metric not in metrics:
            raise UserError(
                f"search: {name} has no metric {self.search.metric!r}: known are "
                f"{', '.join(sorted(metrics))}"
            )
        return self._tell(trial, TrialState.COMPLETE, metrics[self.search.metric])

    async def _train_shared(self, training: Training, slot: Environment) -> str:
        """Waits for a shared training, which the first caller starts."""
        folder = self.options.workdir / training.name
        if training.name not in self.tasks:
            if runs.has_trained(folder, *training.stop_after):
                return ""
            run = self.supervisor.run_job(job_of(training, self.options), slot)
            self.tasks[training.name] = asyncio.create_task(run)
        return await self.tasks[training.name]

    def _is_poor(self, trial: Trial) -> bool:
        """Reports a trial's curve to optuna; returns whether to prune the trial."""
        known = self.study.trials[trial.number].intermediate_values
        curve = read_curve(self._folder(trial), self.search.metric)
        for step, value in sorted(curve.items()):
            if step not in known and math.isfinite(value):
                trial.report(value, step)
        return trial.should_prune()

    def _all_trials(self) -> Iterator[Trial]:
        """Yields trials that an earlier start left unfinished, then new ones."""
        for trial in self.study.trials:
            if trial.state == TrialState.RUNNING:
                yield Trial(self.study, trial._trial_id)
        while len(self.study.trials) < self.search.trials:
            # Of the seed and the trials before alone, so that a search that was stopped
            # goes on as it would have.
            seed = (self.search.seed + len(self.study.trials)) % 2**32
            self.study.sampler = optuna.samplers.TPESampler(seed=seed)
            yield self.study.ask()

    def _conclude(self) -> int:
        """Logs the best trial and how to run it again; returns 1 if there is none."""
        try:
            best = self.study.best_trial
        except ValueError:
            logger.info("no trial succeeded")
            return 1
        overrides = self.search.overrides(best.params).items()
        texts = ", ".join(f"{field}={value}" for field, value in overrides)
        measured = trial_name(best.number), self.search.metric, best.value
        logger.info("best is %s with %s %g: %s", *measured, texts)
        command = ["python", "-m", "regen_jax.train", *best.user_attrs["flags"]]
        workdir = self.options.workdir / "best"
        logger.info("again: %s", shlex.join([*command, f"--workdir={workdir}"]))
        return 0

    def _tell(
        self, trial: Trial, state: TrialState, value: float | None = None, why: str = ""
    ) -> bool:
        """Reports the end of a trial to optuna; returns True, as the search goes on."""
        if why:
            self.failed[trial_name(trial.number)] = why
        self.study.tell(trial, value, state)
        return True

    def _folder(self, trial: Trial) -> Path:
        return self.options.workdir / trial_name(trial.number)


def read_curve(folder: Path, metric: str) -> dict[int, float]:
    """Returns a metric of all stages of a run by step, from its TensorBoard events."""
    module = "tensorboard.backend.event_processing.event_accumulator"
    accumulator, curve = require(module, "launch", "a search"), {}
    for stage in sorted({file.parent for file in folder.glob("*/events*")}):
        events = accumulator.EventAccumulator(str(stage), {"scalars": 0}).Reload()
        if metric in events.Tags()["scalars"]:
            curve |= {event.step: event.value for event in events.Scalars(metric)}
    return curve


def trial_name(number: int) -> str:
    """Returns the name of a trial's folder."""
    return f"trial-{number:03d}"
