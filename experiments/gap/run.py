"""What is each cure of the gap between true and generated Y′ worth?

    python -m experiments.gap.run --workdir=runs/gap [--seeds=3]

Class → codes → digits, where the decoder is a model of its own. It learns from true codes
and then meets those of the prior. Each cure alone, and all of them: tokens replaced while
the decoder trains (`source_noise`), tokens replaced in the input of the prior in training
(`input_noise`), and the decoder trained further on codes of the prior (`finetune`). What a
cure does not touch is that of the baseline. Resumes where it stopped.
"""

from pathlib import Path
from typing import Any

from absl import flags

from experiments.study import RESULTS, Column, Row, run_study
from regen_jax.cli import commands

SEEDS = flags.DEFINE_integer("seeds", 1, "how many", lower_bound=1)
SIZE = flags.DEFINE_string("size", "demo", "as in configs/digits.py")
DATA_DIR = flags.DEFINE_string("data_dir", "", "of the prepared set; TFDS's default")

NOISE = {"train.decoder.source_noise": 0.1}
FLIPS = {"prior.input_noise": 0.1}
CURES: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "baseline": ("no", {}, {}),
    "noise": ("no", NOISE, {"prior": "baseline"}),
    "flips": ("no", FLIPS, {"decoder": "baseline"}),
    "finetune": ("yes", {}, {"decoder": "baseline", "prior": "baseline"}),
    "all three": ("yes", NOISE | FLIPS, {"decoder": "noise", "prior": "flips"}),
}
"""By title: the choice `finetune`, options, and the row that a stage is taken from."""
COLUMNS = (
    Column("judge's accuracy", "samples/accuracy", "{:.1%}"),
    Column("from true Y′", "true_y_prime/accuracy", "{:.1%}"),
    Column("gap", "gap/accuracy", "{:+.1%}"),
    Column("Fréchet distance", "samples/frechet", "{:.1f}"),
    Column("from true Y′", "true_y_prime/frechet", "{:.1f}"),
    Column("gap", "gap/frechet", "{:+.1f}"),
    Column("nats per token", "prior/nll", "{:.3f}"),
)


def rows(seed: int, size: str, data_dir: str) -> list[Row]:
    """Returns the runs of a seed."""
    made = []
    for title, (finetune, options, taken) in CURES.items():
        if title != "baseline":
            taken = {"judge": "baseline", "abstraction": "baseline", **taken}
        sources = {
            f"train.{stage}.init_from": f"{{{other}, seed {seed}}}"
            for stage, other in taken.items()
        }
        made.append(
            Row(
                f"{title}, seed {seed}",
                f"digits.py:decoder=regression,finetune={finetune},size={size}",
                {"seed": seed, "data.dir": data_dir, **options, **sources},
            )
        )
    return made


def main() -> None:
    """Runs the study, and writes its table."""
    results = Path(RESULTS.value) if RESULTS.value else None
    runs = [
        row
        for seed in range(SEEDS.value)
        for row in rows(seed, SIZE.value, DATA_DIR.value)
    ]
    run_study("cures", runs, COLUMNS, commands.workdir(), results)


if __name__ == "__main__":
    commands.run(main)
