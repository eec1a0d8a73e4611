"""Lines on how far a stage is, where no terminal shows a bar."""

import logging

from regen_jax.training.progress import Progress


def test_lines_say_what_takes_time(caplog):
    with (
        caplog.at_level(logging.INFO, "regen_jax"),
        Progress("prior", 0, 20) as progress,
    ):
        progress.show(20, {"loss": 1.5})
        progress.reporting(20)
        progress.note(20, {"nll": 2.0})
    assert [record.getMessage() for record in caplog.records] == [
        "prior 0/20: compiling",
        "prior 20/20 loss 1.5000, 00:00 left",
        "prior 20/20: reporting",
        "prior 20/20 held out: nll 2",
    ]


def test_finished_stage_compiles_nothing(caplog):
    with caplog.at_level(logging.INFO, "regen_jax"), Progress("prior", 20, 20):
        pass
    assert caplog.text == ""
