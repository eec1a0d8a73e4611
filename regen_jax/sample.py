"""Draws samples of a trained run.

    python -m regen_jax.sample --workdir=… [--num=…]

Where the task reads text, speech, notes or frames, `--text="…"`, `--audio=file.wav`,
`--midi=file.mid`, `--image=file.png` or `--video=file.mp4` gives what to generate from,
and `--prompt=kind:value` where a task of your own reads another kind; each may be given
several times. Without them the prompts are those of the test split. Where people can
edit Y′, it is written beside the samples, and `--y_prime=file` generates Y from an
edited one.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence

from absl import flags

from regen_jax import ranges
from regen_jax.cli import commands, prompts, workdir
from regen_jax.cli.sample_run import sample_run, save_samples
from regen_jax.evaluation.evaluator import count

flags.declare_key_flag("workdir")
NUM = commands.define_number("num", 100, ranges.SampleCount, "how many samples")
SEED = commands.define_number("seed", 0, ranges.Seed, "seed of the samples")
GUIDANCE = commands.define_number(
    "guidance",
    None,
    ranges.Guidance,
    "of the prior: above 1, samples follow X more closely and vary less; that of the "
    "config if not given",
)
TEMPERATURE = commands.define_number(
    "temperature",
    None,
    ranges.Temperature,
    "of the prior: below 1, likelier tokens and less variety; that of the config if not "
    "given",
)
PROMPTS = {
    name: flags.DEFINE_multi_string(name, [], kind.help)
    for name, kind in prompts.known_kinds().items()
}
PROMPT = flags.DEFINE_multi_string(
    "prompt", [], "kind:value to generate from, of a kind that your own task reads"
)
Y_PRIME = flags.DEFINE_multi_string("y_prime", [], "a file of Y′ to generate Y from")
OUT = flags.DEFINE_string("out", None, "folder for the files; the workdir if not given")

logger = logging.getLogger("regen_jax")


def main() -> None:
    """Writes samples.npz (x, y_prime, y, seed) and files a person can open."""
    directory = commands.workdir()
    out = directory if OUT.value is None else workdir.output_folder(OUT.value)
    workdir.check_output(out, directory=True, flag="--out=")
    options = {"guidance": GUIDANCE.value, "temperature": TEMPERATURE.value}
    flag_prompts = [
        (kind, value) for kind, flag in PROMPTS.items() for value in flag.value
    ]
    flag_prompts += map(prompts.parse, PROMPT.value)
    samples = sample_run(
        directory,
        NUM.value,
        SEED.value,
        prompts=flag_prompts,
        y_prime=Y_PRIME.value,
        options={k: value for k, value in options.items() if value is not None},
    )
    files = save_samples(samples, out, SEED.value)
    number = count(samples.y)
    plural = "s" * (number != 1)
    logger.info("%d sample%s in %s: %s", number, plural, out, _listed(files))


def _listed(files: Sequence[str]) -> str:
    """Lists files by name, and those that differ in numbers alone by pattern."""
    patterns = {name: re.sub(r"\d+", "*", name) for name in files}
    counts = Counter(patterns.values())
    names = {
        pattern: name if counts[pattern] == 1 else f"{counts[pattern]} {pattern}"
        for name, pattern in patterns.items()
    }
    return ", ".join(names.values())


if __name__ == "__main__":
    commands.run(main)
