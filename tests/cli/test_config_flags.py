"""Flags of config fields that are sections, or lie within what is none."""

import re

import pytest

from regen_jax.cli.commands import read_config
from regen_jax.errors import UserError


@pytest.mark.parametrize(
    "flag, words",
    [
        (
            "--config.data.splits.train=train[:9]",
            "--config.data.splits.train: --config has no section 'config.data.splits'; "
            "where splits has options, write them as one, as in --config.data.splits="
            "\"{'train': …}\"",
        ),
        (
            "--config.prior.guidance.name=x",
            "--config has no section 'config.prior.guidance'; where guidance has options",
        ),
        ("--config.priors.width=3", "--config has no section 'priors'"),
        (
            "--config.abstraction=vq",
            "--config.abstraction=vq: this is a section of options: set one of them, as "
            "in --config.abstraction.OPTION=…, or all, as in --config.abstraction=",
        ),
        (
            "--config.train.judge.optimizer=adamw",
            "as in --config.train.judge.optimizer.OPTION=…",
        ),
    ],
)
def test_flag_that_misses_a_section_says_what_to_write(tiny_flags, flag, words):
    with pytest.raises(UserError, match=re.escape(words)):
        read_config([*tiny_flags, flag])
