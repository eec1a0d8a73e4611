"""Samples of a finished run."""

import copy
import functools
import logging
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from regen_jax import paths, ranges
from regen_jax.cli import edited_y_prime, stored_task
from regen_jax.cli.load_run import blank_batch, load_run, read_config
from regen_jax.cli.prompts import requested
from regen_jax.config.build import Run, build
from regen_jax.data.host_features import as_batch
from regen_jax.errors import LimitError, UserError
from regen_jax.evaluation.evaluator import count
from regen_jax.evaluation.inference import TrainedPipeline
from regen_jax.files import replaced
from regen_jax.interfaces import Example
from regen_jax.media.media import Media

logger = logging.getLogger("regen_jax")


class Samples(NamedTuple):
    """Samples, and the prompts that they were generated from.

    Attributes:
      x: prompts [N, *x.shape].
      y_prime: samples of Y′ [N, …].
      y: samples of Y [N, *y.shape], postprocessed.
      media: what a person can look at, listen to or read of them.
    """

    x: Any
    y_prime: Any
    y: Any
    media: Media


def sample_run(
    directory: str | Path,
    num: int = 100,
    seed: int = 0,
    *,
    prompts: Sequence[tuple[str, str]] = (),
    y_prime: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Samples:
    """Samples Y′ from X and then Y from Y′ with a finished run.

    Needs nothing but the workdir: where the data set is gone, the prompts are those that
    the run stored.

    Args:
      directory: the workdir.
      num: number of samples where no prompts are given, at most as many as the test split
        has prompts.
      seed: of the samples; sample i is the same whatever `num` is.
      prompts: pairs such as `("text", "…")`, `("audio", path)` or `("midi", path)`.
      y_prime: files of edited Y′ to generate Y from, one per prompt.
      options: sampling options of the prior in place of those of the config.

    Raises:
      UserError: the run is not finished, or it cannot read a prompt, file or option.
    """
    directory = paths.local(directory, "--workdir")
    _check_arguments(num, seed, prompts, y_prime, options)
    config = read_config(directory)
    info = stored_task.read_info(directory)
    run = build(config, reports=False, info=info)
    if options:
        sampling = run.regeneration.prior.sampling
        check_options(options, sampling)
        config["prior"] = set_options(config["prior"], options, sampling)
        run = build(config, reports=False, info=info)
    abstraction = run.regeneration.abstraction
    edited = [edited_y_prime.read(abstraction, path) for path in y_prime]
    run, batch = fit_to_prompts(
        run,
        config,
        lambda run: _prompts(run, directory, prompts, num, len(edited)),
    )
    stages = load_run(run, directory)
    variables = {name: stage.variables for name, stage in stages.items()}
    trained = TrainedPipeline(run.task, run.regeneration, variables)
    if edited:
        drawn = np.stack(edited)
        y = trained.decode(drawn, seed)
    else:
        drawn, y = trained.sample(batch, seed, run.evaluation.batch_size)
    media = run.task.render_samples(batch, y)
    if abstraction.human_editable:
        texts = [edited_y_prime.to_text(abstraction, sampled) for sampled in drawn]
        media.files |= {f"y_prime_{i}.txt": _write(t) for i, t in enumerate(texts)}
    return Samples(batch.get("x"), drawn, y, media)


def _check_arguments(
    num: Any, seed: Any, prompts: Any, y_prime: Any, options: Any
) -> None:
    """Raises a UserError where an argument is not of its type or range."""
    for name, kind, number in (
        ("num", ranges.SampleCount, num),
        ("seed", ranges.Seed, seed),
    ):
        if type(number) is not int:
            raise UserError(f"{name} must be of type int, not {number!r}")
        if words := ranges.fault(kind, number):
            raise UserError(f"{name} {words}")
    if not _is_list(prompts) or not all(
        _is_list(pair) and len(pair) == 2 and all(isinstance(v, str) for v in pair)
        for pair in prompts
    ):
        raise UserError(
            "prompts must be a list of pairs of a kind and a value, such as "
            f"[('text', 'a verse')], not {prompts!r}"
        )
    if not _is_list(y_prime) or not all(isinstance(p, str | Path) for p in y_prime):
        raise UserError(f"y_prime must be a list of paths of files, not {y_prime!r}")
    if options is not None and not isinstance(options, Mapping):
        raise UserError(f"options must be values by name, or None, not {options!r}")


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def check_options(options: Mapping[str, Any], sampling: Collection[str]) -> None:
    """Raises a UserError where an option is not one of sampling."""
    names = {name.rpartition(".")[2] for name in sampling}
    for name in options:
        if name not in names | set(sampling):
            raise UserError(
                f"options: {name!r} is no sampling option of the prior of this run; "
                f"there are {', '.join(sorted(names)) or 'none'}"
            )


def set_options(
    section: Mapping[str, Any], options: Mapping[str, Any], sampling: Collection[str]
) -> dict[str, Any]:
    """Returns a section of a generator with other sampling options.

    Args:
      section: as in a config.
      options: values by name.
      sampling: names of the generator's sampling options; that of an option of a
        generator within is `section.name`.
    """
    section = copy.deepcopy(dict(section))
    full_names = {name.rpartition(".")[2]: name for name in sampling}
    for name, value in options.items():
        *within, last = full_names.get(name, name).split(".")
        functools.reduce(operator.getitem, within, section)[last] = value
    return section


def save_samples(samples: Samples, out: str | Path, seed: int) -> list[str]:
    """Writes samples.npz (x, y_prime, y, seed) and media into a folder.

    Returns:
      Names of the files.

    Raises:
      UserError: the folder cannot be written; each file there is whole, a new or a
        former one.
    """
    out = paths.local(out, "--out")
    arrays = {"x": samples.x, "y_prime": samples.y_prime, "y": samples.y, "seed": seed}
    if samples.x is None:
        del arrays["x"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with replaced(out / "samples.npz") as partial, partial.open("wb") as file:
            np.savez(file, **stored_task.flat(arrays))
        return ["samples.npz", *(path.name for path in samples.media.save(out))]
    except OSError as error:
        raise UserError(f"--out={out} cannot be written: {error}") from error


def _prompts(
    run: Run,
    directory: Path,
    pairs: Sequence[tuple[str, str]],
    number: int,
    num_edited: int,
) -> Example:
    """Returns a batch of prompts: parsed pairs, those of the data set, or stored ones."""
    try:
        examples = requested(run.task, pairs, number, num_edited)
    except UserError as error:
        stored = directory / stored_task.PROMPTS
        if pairs or not stored.exists() or _has_data(run):
            raise
        batch = stored_task.read_prompts(run, directory, num_edited or number)
        if count(batch) < num_edited:
            raise
        number = count(batch)
        logger.info("the prompts are %d of %s, as %s", number, stored, error)
        return batch
    if not (pairs or num_edited) and len(examples) < number:
        logger.info("the task has %d prompts of its own, not %d", len(examples), number)
    return as_batch(examples, run.regeneration)


def fit_to_prompts(
    run: Run, config: Mapping[str, Any], read: Callable[[Run], Example]
) -> tuple[Run, Example]:
    """Returns a run, and the prompts that `read` returns of it.

    Where a prompt is beyond a limit of the data, it is the run of a larger limit, if its
    variables have the same shapes: those of a prior that joins chunks do.

    Raises:
      UserError: a prompt cannot be read, or does not fit.
    """
    while True:
        try:
            return run, read(run)
        except LimitError as error:
            config = {**config, "data": {**config["data"], **error.options}}
            try:
                larger = build(config, reports=False, info=run.task.info)
            except UserError as beyond:
                raise UserError(f"{error.prompt}: {beyond}") from beyond
            if _shapes(larger) != _shapes(run):
                raise
            run = larger


def _shapes(run: Run) -> dict[str, Any]:
    """Returns shapes and dtypes of the variables of each stage."""
    batch = blank_batch(run.task, run.regeneration)
    return {
        stage.name: jax.eval_shape(stage.init, jax.random.key(0), batch)
        for stage in run.stages
    }


def _has_data(run: Run) -> bool:
    try:
        return len(run.task.examples("test")) > 0
    except UserError:
        return False


def _write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")
