"""Do unpaired data pay?

    python -m experiments.unpaired.run --workdir=runs/unpaired

Speech recognition of an open vocabulary with few pairs of speech and text, and all the
texts of the training split. Regeneration learns speech → phonemes from the pairs and
phonemes → characters from every text; the direct model speech → characters can use the
pairs alone. No text to test on stands in one of them: they are of other books. Several
seeds, each of which draws its own pairs; what needs no pairs is trained once. Per seed
the two are compared by a paired bootstrap over the test examples. Writes `unpaired.json`
and `unpaired.png`; resumes where it stopped.
"""

import dataclasses
import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from launch.compare import paired
from launch.tables import markdown
from regen_jax import ranges
from regen_jax.cli import commands
from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.train_run import train_run

DATA_DIR = flags.DEFINE_string("data_dir", "", "of the prepared set; TFDS's default")
SHARE = commands.define_number(
    "share", 0.1, ranges.PositiveFraction, "fraction of the pairs"
)
SEEDS = flags.DEFINE_integer("seeds", 3, "how many", lower_bound=1)
PRIOR_STEPS = commands.define_number(
    "prior_steps", 700, ranges.Count, "speech to phonemes"
)
DECODER_STEPS = commands.define_number(
    "decoder_steps", 1500, ranges.Count, "phonemes to characters"
)
DIRECT_STEPS = commands.define_number(
    "direct_steps", 1100, ranges.Count, "speech to characters"
)
SIZE = flags.DEFINE_string("size", "demo", "as in configs/speech_recognition.py")

CONFIG = Path(__file__).parents[2] / "configs/speech_recognition.py"
METHODS = {"direct": "identity", "regeneration": "phonemes"}
FIGURES = ("wer", "cer")
COSTS = ("seconds", "parameters", "flops")

logger = logging.getLogger("regen_jax")


def configured(folder: Path, method: str, seed: int) -> ConfigDict:
    """The config of one run."""
    spec = importlib.util.spec_from_file_location("speech_recognition", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(
        f"data=spoken_bible,abstraction={METHODS[method]},size={SIZE.value}"
    )
    direct = method == "direct"
    config.seed = seed
    config.data.dir = DATA_DIR.value
    config.train.prior.data_fraction = SHARE.value
    config.train.prior.steps = DIRECT_STEPS.value if direct else PRIOR_STEPS.value
    config.train.decoder.steps = DECODER_STEPS.value
    if seed and not direct:
        config.train.decoder.init_from = str(folder / f"{method}-0")
    for stage in ("prior", "decoder"):
        config.evaluate.every = max(config.evaluate.every, config.train[stage].steps)
    return config


def measure(folder: Path) -> list[dict[str, Any]]:
    """A row per run: method, seed, error rates on the test split, costs of training."""
    rows = []
    for seed in range(SEEDS.value):
        for method in METHODS:
            run = folder / f"{method}-{seed}"
            found = run / "metrics.json"
            config = configured(folder, method, seed)
            if not found.exists():
                train_run(config, run)
                evaluate_run(run)
            metrics = json.loads(found.read_text())
            rows.append(
                {"method": method, "seed": seed}
                | {name: metrics[f"samples/{name}"] for name in FIGURES}
                | {name: metrics[f"train/{name}"] for name in COSTS}
            )
            logger.info("%s", rows[-1])
        direct, regeneration = (folder / f"{method}-{seed}" for method in METHODS)
        found = paired(direct, regeneration, "test")
        rows[-1]["against_direct"] = {
            name: dataclasses.asdict(found[name]) for name in FIGURES
        }
    return rows


def comparisons(rows: list[dict[str, Any]]) -> str:
    """Differences of regeneration to the direct model, a line per seed."""
    lines = []
    for row in rows:
        for name, found in row.get("against_direct", {}).items():
            lines.append(
                f"seed {row['seed']}, {name.upper()}: "
                f"{found['system'] - found['baseline']:+.1%} "
                f"(95 %: {found['low']:+.1%} to {found['high']:+.1%}, "
                f"p = {found['p_value']:.2g})"
            )
    return "\n".join(lines)


def table(rows: list[dict[str, Any]]) -> str:
    """Means and extremes over seeds, as Markdown."""
    table_rows = [["", "WER", "CER", "training", "parameters", "training FLOPs"]]
    for method in METHODS:
        cells = [method]
        for name in FIGURES:
            values = np.array([row[name] for row in rows if row["method"] == method])
            cells.append(
                f"{values.mean():.1%} ({values.min():.1%} to {values.max():.1%})"
            )
        seconds, parameters, flops = (
            np.mean([row[cost] for row in rows if row["method"] == method])
            for cost in COSTS
        )
        cells += [f"{seconds:.0f} s", f"{parameters / 1e6:.2f} M", f"{flops:.2g}"]
        table_rows.append(cells)
    return markdown(table_rows)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """A point a run, and a line at the mean of each method."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(FIGURES), figsize=(6, 3), dpi=120)
    for axis, name in zip(axes, FIGURES, strict=True):
        for place, method in enumerate(METHODS):
            values = [100 * row[name] for row in rows if row["method"] == method]
            axis.plot([place] * len(values), values, "o", color=f"C{place}")
            axis.hlines(np.mean(values), place - 0.2, place + 0.2, color=f"C{place}")
        axis.set_xticks(range(len(METHODS)), METHODS)
        axis.set_xlim(-0.6, len(METHODS) - 0.4)
        axis.set_ylim(0, 110 * max(row[name] for row in rows))
        axis.set_title(f"{name.upper()}, %")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def main() -> None:
    """Runs the study, and writes its results into the workdir."""
    folder = commands.workdir()
    rows = measure(folder)
    (folder / "unpaired.json").write_text(json.dumps(rows, indent=2) + "\n")
    draw(rows, folder / "unpaired.png")
    print(table(rows), comparisons(rows), sep="\n")


if __name__ == "__main__":
    commands.run(main)
