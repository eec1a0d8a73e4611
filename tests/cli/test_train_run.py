"""Mistakes that `train_run` finds before it makes the workdir."""

import pytest

from regen_jax.cli.train_run import train_run
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
