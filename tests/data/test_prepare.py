"""The command `python -m regen_jax.data.prepare`."""

import re


def test_set_is_prepared_once_and_its_splits_are_printed(command, tmp_path):
    flags = ["digits", f"--data_dir={tmp_path}"]
    splits = (
        f"4,000 train, 500 validation, 500 test examples in {tmp_path}/digits/2.0.0\n"
    )
    first, second = (command.run("regen_jax.data.prepare", *flags) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert re.fullmatch(r"digits ready in [\d.]+ s: " + splits, first.stdout)
    assert (second.returncode, second.stdout, second.stderr) == (
        0,
        f"digits already there: {splits}",
        "",
    )


def error_line(command, *flags):
    """Returns the error line of a command that must fail without output."""
    done = command.run("regen_jax.data.prepare", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    return done.stderr


def test_unknown_name_exits_with_near_names(command, tmp_path):
    error = error_line(command, "digit", f"--data_dir={tmp_path}")
    assert "there is no data set 'digit': known are digits" in error


def test_missing_name_or_unknown_flag_exits_with_one_line(command, tmp_path):
    assert "name a data set: chorales, digits" in error_line(command)
    assert "Unknown command line flag" in error_line(command, "digits", "--folder=a")
    assert "is a URL" in error_line(command, "digits", "--data_dir=gs://bucket/data")
