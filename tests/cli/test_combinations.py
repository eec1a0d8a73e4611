"""The table of combinations agrees with what configs offer, and names what would fit."""

import importlib
from pathlib import Path

import pytest

from regen_jax.cli.combinations import Combination, combinations, print_table
from regen_jax.errors import UserError

ROOT = Path(__file__).parents[2]
DIGITS = f"--config={ROOT}/configs/digits.py"


@pytest.fixture(scope="module")
def rows(digits_dir):
    arguments = [
        f"{DIGITS}:size=tiny,prior=diffusion",
        f"--config.data.dir={digits_dir}",
    ]
    return {tuple(row.choices.values()): row.misfit for row in combinations(arguments)}


def test_each_combination_that_a_config_offers_fits(rows):
    module = importlib.import_module("configs.digits")
    roles = [module.CHOICES[role] for role in ("abstraction", "prior", "decoder")]
    assert len(rows) == len(roles[0]) * len(roles[1]) * len(roles[2])
    assert sum(not misfit for misfit in rows.values()) >= 80
    for abstraction in roles[0]:
        fits = module.FITTING[f"abstraction={abstraction}"]
        for prior in fits["prior"]:
            for decoder in fits["decoder"]:
                assert rows[abstraction, prior, decoder] == ""


def test_misfit_names_both_sides_and_what_would_fit(rows):
    misfit = rows["latents", "autoregressive", "inverse"]
    assert "prior 'autoregressive' generates Tokens, but abstraction" in misfit
    assert "use prior 'diffusion' or 'nearest' or 'regression'" in misfit
    assert "'edges' has none: use" in rows["edges", "diffusion", "inverse"].replace(
        "abstraction ", ""
    )


def test_config_that_cannot_be_built_at_all_raises_user_error(tmp_path):
    with pytest.raises(UserError, match="is not prepared"):
        next(combinations([DIGITS, f"--config.data.dir={tmp_path}"]))


def test_config_is_read_as_commands_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(ROOT))
    data = f"--config.data.dir={tmp_path}"
    for flags in (
        ["--config", DIGITS.partition("=")[2]],
        ["-config=~/configs/digits.py"],
    ):
        with pytest.raises(UserError, match="is not prepared"):
            next(combinations([*flags, data]))


def test_config_without_such_choices_raises_user_error(tmp_path, digits_dir):
    config = tmp_path / "own.py"
    config.write_text(
        "from configs import digits\n"
        "def get_config(arg=''):\n"
        "    return digits.get_config('size=tiny')\n"
    )
    arguments = [f"--config={config}", f"--config.data.dir={digits_dir}"]
    with pytest.raises(
        UserError, match="has no CHOICES of abstraction, prior, decoder"
    ):
        next(combinations(arguments))


def test_row_is_printed_before_the_next_one_is_known(capsys):
    def rows():
        yield Combination({"prior": "masked", "decoder": "inverse"}, "")
        head, row = capsys.readouterr().out.splitlines()
        assert head.split() == ["prior", "decoder"]
        assert row == "masked          inverse  fits"
        yield Combination({"prior": "autoregressive", "decoder": "inverse"}, "why not")

    values = {"prior": ("autoregressive", "masked"), "decoder": ("inverse",)}
    print_table(values, rows())
    assert capsys.readouterr().out.splitlines() == [
        "autoregressive  inverse  why not",
        "1 of 2 combinations fit",
    ]


def test_command_prints_the_table(command, tmp_path, digits_dir):
    config = tmp_path / "own.py"
    config.write_text(
        "from configs.digits import get_config\n"
        "CHOICES = {'abstraction': ['edges'], 'decoder': ['inverse', 'nearest']}\n"
    )
    flags = f"--config={config}", f"--config.data.dir={digits_dir}"
    done = command("combinations", *flags)
    assert done.returncode == 0, done.stderr
    head, inverse, nearest, last = done.stdout.splitlines()
    assert head.split() == ["abstraction", "decoder"]
    assert inverse.startswith("edges        inverse  config: decoder 'inverse' needs")
    assert nearest == "edges        nearest  fits"
    assert last == "1 of 2 combinations fit"
