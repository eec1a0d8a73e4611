"""A search beyond grids: optuna picks each run by those before, and prunes poor ones.

It reads the validation split alone, both while runs train and after they finish.

Trials are kept in `optuna.log` of the workdir; each is an ordinary run in a folder of
its own. A trial that was interrupted goes on in the same folder.
"""

import dataclasses
import itertools
import json
import logging
import math
import os
import shlex
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from launch import pool, runs
from launch.algebra import Choice, Overrides, Range, Search, Value
from launch.commands import Options, job_of
from launch.configured import Configured, configure, flags_of
from launch.curves import Curve
from launch.devices import slots_for
from launch.extras import optional
from launch.plan import Training, share, taking
from regen_jax.cli.exit_codes import REQUEUE
from regen_jax.errors import UserError

READ_SECONDS = 5.0
"""Between two looks at the curves of runs that train."""

logger = logging.getLogger("launch")


def search(asked: Search, options: Options) -> int:
    """Runs trials until there are `asked.trials` in all; 1 where none succeeded.

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
        # With more trials it is still the same search.
        "search": dataclasses.asdict(dataclasses.replace(asked, trials=1)),
    }
    runs.check_same(options.workdir, memory)
    ends = [_configured(f"at {corner}", corner, options) for corner in corners(asked)]
    shared = share(ends, options.workdir)
    slots = slots_for(options.parallel or 1, os.environ)
    if options.dry_run:
        first = dataclasses.replace(ends[0], name=trial_name(0))
        for training in [*dict.fromkeys(shared.values())] + [
            taking(first, shared, options.workdir)
        ]:
            print(f"# {training.name}")
            for command in job_of(training, options).commands:
                print(pool.words(command))
        print(f"# and so on, {asked.trials} trials in all, at values that optuna picks")
        return 0
    with runs.claimed(options.workdir, memory):
        trials = Trials(asked, options, shared, open_study(asked, options.workdir))
        failed, stopped = pool.run_jobs(
            [], slots, trials.more, trials.ended, trials.look
        )
    if stopped == signal.SIGINT:
        raise KeyboardInterrupt
    if stopped:
        logger.info("stopped; the same command goes on from here")
        return REQUEUE
    for name, why in {**failed, **trials.refused}.items():
        logger.info("%s failed: %s", name, why)
    return trials.conclude()


def open_study(asked: Search, workdir: Path) -> Any:
    """The optuna study in a folder, a new one where there is none."""
    with optional():
        import optuna
        from optuna.storages.journal import JournalFileBackend
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = JournalFileBackend(str(workdir / "optuna.log"))
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name="search",
        direction="maximize" if asked.maximize else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=asked.warmup_trials),
        load_if_exists=True,
    )


class Trials:
    """The jobs of a search, and what becomes of them, as `pool.run_jobs` asks."""

    def __init__(
        self,
        asked: Search,
        options: Options,
        shared: Mapping[str, Training],
        study: Any,
    ):
        self.refused: dict[str, str] = {}
        self._asked = asked
        self._options = options
        self._shared = shared
        self._study = study
        self._started: set[str] = set()
        self._curves: dict[str, tuple[Any, Curve]] = {}
        self._pruned: set[str] = set()
        self._looked = 0.0
        self._broken = False
        self._trials = self._all_trials()

    def more(self) -> list[pool.Job]:
        """The next trial, after what it shares with others and nobody trained yet."""
        for trial in self._trials:
            name = trial_name(trial.number)
            try:
                run = _configured(name, suggest(trial, self._asked), self._options)
            except UserError as error:
                # Some values within the space need not go together.
                self.refused[name] = str(error)
                self._tell(trial, state="FAIL")
                continue
            training = taking(run, self._shared, self._options.workdir)
            trial.set_user_attr("flags", list(run.flags))
            folder = self._options.workdir / name
            self._curves[name] = trial, Curve(folder, self._asked.metric)
            job = job_of(training, self._options)
            if runs.finished(folder, self._options.split):
                self.ended(job, 0)
                continue
            return [*self._missing(training.needs), job]
        return []

    def ended(self, job: pool.Job, code: int) -> str:
        """Tells optuna what became of a trial; why it failed, if it did."""
        if job.name not in self._curves:
            self._broken |= code != 0
            return pool.why(job) if code else ""
        trial, _ = self._curves.pop(job.name)
        if job.name in self._pruned:
            self._tell(trial, state="PRUNED")
            return ""
        if code:
            self._tell(trial, state="FAIL")
            return pool.why(job)
        metrics = runs.metrics(job.folder, self._options.split)
        if self._asked.metric not in metrics:
            raise UserError(
                f"search: {job.name} has no metric {self._asked.metric!r}: known are "
                f"{', '.join(sorted(metrics))}"
            )
        value = metrics[self._asked.metric]
        if not math.isfinite(value):
            self._tell(trial, state="FAIL")
            return f"{self._asked.metric} is {value}"
        self._tell(trial, value=value)
        return ""

    def look(self, children: Sequence[pool.Child]) -> None:
        """Reports how trials do while they train, and stops those that do poorly."""
        if time.monotonic() - self._looked < READ_SECONDS:
            return
        self._looked = time.monotonic()
        for child in children:
            name = child.job.name
            if name not in self._curves or name in self._pruned:
                continue
            trial, curve = self._curves[name]
            known = self._study.trials[trial.number].intermediate_values
            for step, value in sorted(curve.read().items()):
                if step not in known and math.isfinite(value):
                    trial.report(value, step)
            if trial.should_prune():
                logger.info("pruned    %s: worse than the median so far", name)
                self._pruned.add(name)
                child.stop()

    def conclude(self) -> int:
        """Tells the best trial and how to run it again; 1 where there is none."""
        try:
            best = self._study.best_trial
        except ValueError:
            logger.info("no trial succeeded")
            return 1
        logger.info(
            "best is %s with %s %g: %s",
            *(trial_name(best.number), self._asked.metric, best.value),
            ", ".join(f"{field}={value}" for field, value in best.params.items()),
        )
        again = ["python", "-m", "regen_jax.train", *best.user_attrs["flags"]]
        workdir = self._options.workdir / "best"
        logger.info("again: %s", shlex.join([*again, f"--workdir={workdir}"]))
        return 0

    def _all_trials(self) -> Iterator[Any]:
        """Those that an earlier start of this search left unfinished, then new ones."""
        import optuna

        for frozen in self._study.trials:
            if frozen.state == optuna.trial.TrialState.RUNNING:
                yield optuna.trial.Trial(self._study, frozen._trial_id)
        while not self._broken and len(self._study.trials) < self._asked.trials:
            # Of the seed and the trials before alone, so that a search that was stopped
            # goes on as it would have.
            seed = (self._asked.seed + len(self._study.trials)) % 2**32
            self._study.sampler = optuna.samplers.TPESampler(seed=seed)
            yield self._study.ask()

    def _missing(self, needs: Sequence[str]) -> list[pool.Job]:
        """Jobs of shared trainings that were neither finished nor started."""
        jobs = []
        for training in dict.fromkeys(self._shared.values()):
            if training.name in needs and training.name not in self._started:
                self._started.add(training.name)
                folder = self._options.workdir / training.name
                if not runs.has_trained(folder, *training.stop_after):
                    jobs += [*self._missing(training.needs)]
                    jobs.append(job_of(training, self._options))
        return jobs

    def _tell(self, trial: Any, value: float | None = None, state: str = "COMPLETE"):
        from optuna.trial import TrialState

        self._study.tell(trial, value, TrialState[state])


def trial_name(number: int) -> str:
    """The folder of a trial."""
    return f"trial-{number:03d}"


def suggest(trial: Any, asked: Search) -> Overrides:
    """A trial's values of all that the search varies."""
    return {part.field: _suggested(trial, part) for part in asked.space}


def corners(asked: Search) -> list[Overrides]:
    """Every combination of choices, with all ranges at their low or their high ends."""
    choices = [part for part in asked.space if isinstance(part, Choice)]
    ranges = [part for part in asked.space if isinstance(part, Range)]
    return [
        {part.field: value for part, value in zip(choices, values, strict=True)}
        | {part.field: part.high if high else part.low for part in ranges}
        for values in itertools.product(*(part.values for part in choices))
        for high in (False, True)
    ]


def _suggested(trial: Any, part: Range | Choice) -> Value:
    if isinstance(part, Choice):
        # optuna knows no tuples; their text stands for them.
        texts = [json.dumps(value) for value in part.values]
        return part.values[texts.index(trial.suggest_categorical(part.field, texts))]
    pick = trial.suggest_int if part.whole else trial.suggest_float
    return pick(part.field, part.low, part.high, log=part.log)


def _configured(name: str, overrides: Overrides, options: Options) -> Configured:
    flags = flags_of(options.config, overrides, options.extra)
    return configure(name, overrides, flags)
