"""The study of `experiments/endurance/run.py` with 20 kills, on a run of few numbers.

Most of a start is then the program's own: what is killed is training and saving.
"""

import json

from tests.studies import run_study

CONFIG = """
from ml_collections import ConfigDict


def get_config():
    schedule = dict(name="warmup_cosine", learning_rate=1e-3, warmup=0.1)
    train = dict(steps=60, batch_size=4, schedule=schedule)
    faster = dict(train, schedule=dict(schedule, learning_rate=0.1))
    return ConfigDict(
        dict(
            seed=0,
            task="toy_parts:Stripes",
            data={},
            source={"name": "identity"},
            abstraction={"name": "toy_parts:ColumnMeans"},
            prior={"name": "toy_parts:Table"},
            decoder={"name": "inverse"},
            train={"abstraction": train, "prior": faster},
            parallel={},
            checkpoint={},
            log={},
            evaluate={"every": 50, "samples": 4, "loop_samples": 4},
        )
    )
"""


def test_run_killed_twenty_times_ends_with_the_same_bits(command, tmp_path):
    config = tmp_path / "config.py"
    config.write_text(CONFIG)
    flags = ["--kills=20", f"--config={config}", f"--workdir={tmp_path}/study"]
    done = run_study(command, "endurance", *flags)
    # The seed is among it, and where each kill struck.
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("equal bit for bit\n")
    seen = json.loads((tmp_path / "study/endurance.json").read_text())
    assert seen["kills"] == 20 and seen["differing"] == []
    # A tenth of them is meant for the start, on average; about half strike in a save.
    assert seen["in_training"] >= 10 and seen["in_save"] >= 1, done.stdout
