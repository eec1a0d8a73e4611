"""What is each cure of the gap between true and generated Y′ worth?

    python -m experiments.gap.run --workdir=runs/gap [--seeds=3]

Class → codes → digits, where the decoder is a model of its own. It learns from true codes
and then meets those of the prior. Each cure alone, and all of them: tokens replaced while
the decoder trains (`source_noise`), tokens replaced in the input of the prior in training
(`input_noise`), and the decoder trained further on codes of the prior (`finetune`). Beside
them a decoder without cures that takes as many steps as with `finetune`. What a cure does
not touch is that of the baseline, so a run trains what differs alone. Resumes where it
stopped. With `--results=experiments/gap/results.json` the table goes there, and the figure
beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments.study import RESULTS, Column, Row, run_study, workdirs
from regen_jax import ranges
from regen_jax.cli import commands
from regen_jax.cli.workdir import read_metrics

SEEDS = flags.DEFINE_integer("seeds", 1, "how many", lower_bound=1)
SIZE = flags.DEFINE_string("size", "demo", "as in configs/digits.py")
DATA_DIR = flags.DEFINE_string("data_dir", "", "of the prepared set; TFDS's default")
PRIOR = flags.DEFINE_enum(
    "prior", "autoregressive", ["autoregressive", "masked"], "from class to codes"
)
PRIOR_STEPS = commands.define_number("prior_steps", 600, ranges.Count, "class to codes")
DECODER_STEPS = commands.define_number(
    "decoder_steps", 600, ranges.Count, "codes to digits"
)
DECODER_WIDTH = commands.define_number("decoder_width", 64, ranges.Count, "of its DiT")
FINETUNE_STEPS = commands.define_number(
    "finetune_steps", 200, ranges.Count, "generated codes to digits"
)

NOISE = {"train.decoder.source_noise": 0.1}
FLIPS = {"prior.input_noise": 0.1}
SHARED = {"judge": "baseline", "abstraction": "baseline"}
COLUMNS = (
    Column("judge's accuracy", "samples/accuracy", "{:.1%}"),
    Column("from true Y′", "true_y_prime/accuracy", "{:.1%}"),
    Column("gap", "gap/accuracy", "{:+.1%}"),
    Column("Fréchet distance", "samples/frechet", "{:.1f}"),
    Column("Fréchet from true Y′", "true_y_prime/frechet", "{:.1f}"),
    Column("Fréchet gap", "gap/frechet", "{:+.1f}"),
    Column("nats per token", "prior/nll", "{:.3f}"),
)


def cures() -> dict[str, tuple[str, dict[str, Any], dict[str, str]]]:
    """Returns by title the choice `finetune`, options, and the origins of stages."""
    longer = {"train.decoder.steps": DECODER_STEPS.value + FINETUNE_STEPS.value}
    return {
        "baseline": ("no", {}, {}),
        "longer decoder": ("no", longer, SHARED | {"prior": "baseline"}),
        "noise": ("no", NOISE, SHARED | {"prior": "baseline"}),
        "flips": ("no", FLIPS, SHARED | {"decoder": "baseline"}),
        "finetune": (
            "yes",
            {},
            SHARED | {"decoder": "baseline", "prior": "baseline"},
        ),
        "all three": (
            "yes",
            NOISE | FLIPS,
            SHARED | {"decoder": "noise", "prior": "flips"},
        ),
    }


def rows(seed: int) -> list[Row]:
    """Returns the runs of a seed."""
    steps = {
        "prior": PRIOR_STEPS.value,
        "decoder": DECODER_STEPS.value,
        "finetune": FINETUNE_STEPS.value,
    }
    runs = []
    for title, (finetune, options, origins) in cures().items():
        trained = {
            f"train.{stage}.steps": number
            for stage, number in steps.items()
            if stage != "finetune" or finetune == "yes"
        }
        taken = {
            f"train.{stage}.init_from": f"{{{origin}, seed {seed}}}"
            for stage, origin in origins.items()
        }
        choices = f"prior={PRIOR.value},decoder=regression,finetune={finetune}"
        runs.append(
            Row(
                f"{title}, seed {seed}",
                f"digits.py:{choices},size={SIZE.value}",
                {
                    "seed": seed,
                    "data.dir": DATA_DIR.value,
                    "decoder.network.width": DECODER_WIDTH.value,
                    **trained,
                    **options,
                    **taken,
                },
            )
        )
    return runs


def draw(metrics: Mapping[str, Sequence[Mapping[str, float]]], path: Path) -> None:
    """Draws what comes from generated and from true Y′, a line per run for its gap.

    Args:
      metrics: of the runs of each cure.
      path: of the PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.2), dpi=120)
    panels = (("judge's accuracy", "accuracy"), ("Fréchet distance", "frechet"))
    for axis, (title, name) in zip(axes, panels, strict=True):
        # Runs of a cure stand side by side.
        points = [
            (place + 0.15 * number, run[f"samples/{name}"], run[f"true_y_prime/{name}"])
            for place, runs in enumerate(metrics.values())
            for number, run in enumerate(runs)
        ]
        x, generated, true = zip(*points, strict=True)
        axis.vlines(x, generated, true, color="0.7", zorder=1)
        axis.plot(x, generated, "o", color="C0", label="from generated Y′")
        axis.plot(x, true, "o", color="C0", mfc="white", label="from true Y′")
        axis.set_xticks(range(len(metrics)), [c.replace(" ", "\n") for c in metrics])
        axis.set_title(title)
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def main() -> None:
    """Runs the study, and writes its table and its figure."""
    folder, results = commands.workdir(), Path(RESULTS.value) if RESULTS.value else None
    runs = [row for seed in range(SEEDS.value) for row in rows(seed)]
    run_study("cures", runs, COLUMNS, folder, results)
    metrics = {
        title: read_metrics(path, "test")
        for title, path in workdirs(runs, folder).items()
    }
    by_cure = {
        cure: [metrics[f"{cure}, seed {seed}"] for seed in range(SEEDS.value)]
        for cure in cures()
    }
    draw(by_cure, (results.parent if results else folder) / "gap.png")


if __name__ == "__main__":
    commands.run(main)
