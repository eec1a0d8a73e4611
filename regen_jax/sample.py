"""Draws samples of a trained run: python -m regen_jax.sample --workdir=… [--num=…]"""

import logging
from pathlib import Path

import numpy as np
from absl import flags

from regen_jax import commands
from regen_jax.errors import UserError
from regen_jax.evaluation import sample
from regen_jax.rendering import save_png
from regen_jax.restore import restore

NUM = flags.DEFINE_integer("num", 100, "how many samples", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "of the samples", lower_bound=0)
GUIDANCE = flags.DEFINE_float("guidance", None, "of the prior; its own if not given")
TEMPERATURE = flags.DEFINE_float("temperature", None, "likewise", lower_bound=0)
OUT = flags.DEFINE_string("out", None, "folder for the files; the workdir if not given")

logger = logging.getLogger("regen_jax")


def main() -> None:
    """Writes samples.npz (x, y_prime, y, seed) and a picture of them."""
    directory = commands.workdir()
    given = {"guidance": GUIDANCE.value, "temperature": TEMPERATURE.value}
    overrides = {name: value for name, value in given.items() if value is not None}
    run, trained = restore(directory, overrides)
    variables = {name: stage.variables for name, stage in trained.items()}
    x = run.task.prompts(NUM.value)
    y_prime, y = sample(
        run.task,
        run.regeneration,
        variables,
        x,
        SEED.value,
        run.evaluate.batch_size,
    )
    out = Path(OUT.value).expanduser() if OUT.value else directory
    try:
        out.mkdir(parents=True, exist_ok=True)
        np.savez(out / "samples.npz", x=x, y_prime=y_prime, y=y, seed=SEED.value)
        picture = run.task.show(x, y)
        if picture is not None:
            save_png(out / "samples.png", picture)
    except OSError as error:
        raise UserError(f"--out={out} cannot be written: {error}") from error
    files = " and ".join(str(out / name) for name in ("samples.npz", "samples.png"))
    logger.info("%d samples: %s", NUM.value, files)


if __name__ == "__main__":
    commands.run(main)
