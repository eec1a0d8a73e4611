"""Mistakes that `train_run` finds before it makes the workdir."""

import dataclasses

import pytest

from regen_jax.cli.train_run import checked_strategy, train_run
from regen_jax.errors import UserError

MISTAKES = {
    "group-without-parameters": (
        "train.prior.optimizer.groups",
        [{"pattern": "kernal"}],
        r"config.train.prior.optimizer.groups\[0\].pattern 'kernal' matches no",
    ),
    "rule-that-is-no-pattern": (
        "parallel.rules",
        [["(", "fsdp"]],
        r"config.parallel: rules\[0\]\[0\] '\(' is no regular expression",
    ),
    "dropout-of-all-values": (
        "prior.dropout",
        0.999,
        r"config.prior.dropout must be in \[0, 0.99609375\]",
    ),
    "batch-larger-than-data": (
        "train.judge.batch_size",
        5000,
        "config.train.judge.batch_size: a batch of 5000 cannot be drawn from 400",
    ),
    "group-that-is-no-section": (
        "train.prior.optimizer.groups",
        "kernel",
        "groups must be a list of sections, with the options of ParameterGroup, not",
    ),
    "unknown-test-split": ("data.splits", {"test": "tset"}, "'tset'"),
}


def changed(config, field, value):
    """Sets a field of a config, such as `train.prior.steps`."""
    *sections, last = field.split(".")
    within = config
    for section in sections:
        within = within[section]
    with config.unlocked():
        within[last] = value
    return config


@pytest.mark.parametrize("field, value, words", MISTAKES.values(), ids=MISTAKES)
def test_mistake_raises_user_error_before_anything_is_written(
    tiny_config, tmp_path, field, value, words
):
    config = changed(tiny_config("decoder=regression"), field, value)
    with pytest.raises(UserError, match=words):
        train_run(config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_stage_with_other_averages_raises_user_error_before_anything_is_written(
    tiny_config, trained, tmp_path
):
    config = tiny_config("")
    for name, value in (("init_from", str(trained)), ("ema", (0.9, 0.99))):
        changed(config, f"train.judge.{name}", value)
    with pytest.raises(UserError, match="of another model or optimizer: .*averages"):
        train_run(config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_batch_of_a_stage_that_is_taken_need_not_divide(tiny_run):
    run = tiny_run("decoder=regression")
    judge = dataclasses.replace(run.train["judge"], batch_size=3)
    with pytest.raises(UserError, match="config.train.judge.batch_size 3 does not"):
        checked_strategy(dataclasses.replace(run, train={"judge": judge}))
    taken = dataclasses.replace(judge, init_from="runs/other")
    checked_strategy(dataclasses.replace(run, train={"judge": taken}))
