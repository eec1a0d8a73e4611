"""Do unpaired data pay? python -m experiments.unpaired --workdir=runs/unpaired

Speech recognition of an open vocabulary with few pairs of speech and text, and all the
texts of `train`, in which no text to test on stands, as those are of other books.
Regeneration learns speech → phonemes from the pairs and phonemes → characters from
every text; the direct model speech → characters can use the pairs alone. Several seeds,
each of which draws its own pairs; what needs no pairs is trained once. Writes
`unpaired.json` and `unpaired.png`; goes on where it stopped.
"""

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from regen_jax import commands
from regen_jax.evaluate import evaluate
from regen_jax.train import train_all

DATA_DIR = flags.DEFINE_string("data_dir", "", "of the prepared set; TFDS's default")
SHARE = flags.DEFINE_float("share", 0.1, "of the pairs", lower_bound=0, upper_bound=1)
SEEDS = flags.DEFINE_integer("seeds", 3, "how many", lower_bound=1)
PRIOR_STEPS = flags.DEFINE_integer("prior_steps", 700, "speech to phonemes")
DECODER_STEPS = flags.DEFINE_integer("decoder_steps", 1500, "phonemes to characters")
DIRECT_STEPS = flags.DEFINE_integer("direct_steps", 1100, "speech to characters")
SIZE = flags.DEFINE_string("size", "demo", "as in configs/speech_recognition.py")

CONFIG = Path(__file__).parent.parent / "configs/speech_recognition.py"
METHODS = {"direct": "identity", "regeneration": "phonemes"}
FIGURES = ("wer", "cer")

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
    config.train.prior.share = SHARE.value
    config.train.prior.steps = DIRECT_STEPS.value if direct else PRIOR_STEPS.value
    config.train.decoder.steps = DECODER_STEPS.value
    if seed and not direct:
        config.train.decoder.init_from = str(folder / f"{method}-0")
    for stage in ("prior", "decoder"):
        section = config.train[stage]
        section.warmup_steps = section.steps // 20
        config.evaluate.every = max(config.evaluate.every, section.steps)
    return config


def measure(folder: Path) -> list[dict[str, Any]]:
    """A row a run: method, seed, error rates on the test split, seconds of training."""
    rows = []
    for seed in range(SEEDS.value):
        for method in METHODS:
            run = folder / f"{method}-{seed}"
            found = run / "metrics.json"
            config = configured(folder, method, seed)
            if not found.exists():
                train_all(config, run)
                evaluate(run)
            metrics = json.loads(found.read_text())
            stages = [k for k in metrics if k.startswith("train/")]
            rows.append(
                {"method": method, "seed": seed}
                | {name: metrics[f"samples/{name}"] for name in FIGURES}
                | {"seconds": sum(metrics[stage] for stage in stages)}
            )
            logger.info("%s", rows[-1])
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Means and extremes over seeds, as Markdown."""
    lines = ["| | WER | CER | training |", "|---|---|---|---|"]
    for method in METHODS:
        cells = [method]
        for name in FIGURES:
            values = np.array([row[name] for row in rows if row["method"] == method])
            cells.append(
                f"{values.mean():.1%} ({values.min():.1%} to {values.max():.1%})"
            )
        seconds = np.mean([row["seconds"] for row in rows if row["method"] == method])
        lines.append(f"| {' | '.join([*cells, f'{seconds:.0f} s'])} |")
    return "\n".join(lines)


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
    folder = commands.workdir()
    rows = measure(folder)
    (folder / "unpaired.json").write_text(json.dumps(rows, indent=2) + "\n")
    draw(rows, folder / "unpaired.png")
    print(table(rows))


if __name__ == "__main__":
    commands.run(main)
