"""Text → video: clips of moving digits from their captions.

`--config=configs/moving_digits.py:abstraction=vq,size=base` chooses; see CHOICES. The
default is caption → trajectories and pictures of the digits → clip, `abstraction=latents`
has latents of a causal autoencoder in space and time, and `abstraction=identity` is the
direct model. The digits are real, their motion is procedural; see the README of the data
set `moving_digits`.

Expected of the default, after 22 minutes of CPU time with the judge: 98 % of digits and
99 % of their motions right, and 98 % of both in combinations that training lacks.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import common, generators

CHOICES = {
    "abstraction": (
        *("trajectory", "latents", "kl", "vq", "fsq", "keyframes", "identity"),
    ),
    "prior": ("diffusion", "regression", "autoregressive", "masked"),
    "decoder": ("inverse", "regression", "diffusion"),
    "size": ("demo", "base", "tiny"),
}
_DECODERS = ("regression", "diffusion")
# What fits together, the default first.
FITTING = common.fitting(
    (generators.ARRAYS, ("latents", "kl", "identity")),
    (generators.ARRAYS | {"decoder": ("inverse", *_DECODERS)}, ("trajectory",)),
    (generators.CODES, ("vq", "fsq")),
    (generators.ARRAYS | {"decoder": _DECODERS}, ("keyframes",)),
)
BOTTLENECKS = {
    "latents": {"name": "identity", "dim": 16},
    "kl": {"name": "kl", "dim": 16, "weight": 1e-4},
    "vq": {"name": "vq", "num_codes": 512, "dim": 16},
    "fsq": {"name": "fsq", "levels": (8, 8, 5, 5)},
}
GRIDS = ("latents", "kl", "trajectory")  # Few positions, each of them a patch.
# A clip has many pixels: small batches and more steps take less time to learn.
STAGES = {
    "judge": common.Stage(2400, 16, 2e-3),
    "abstraction": common.Stage(4000, 8, 2e-3),
    "decoder": common.Stage(3000, 8, 1e-3),
    "prior": common.Stage(7000, 16, 1.5e-3),
}
# Without an autoencoder to train, there is time for more.
LONGER = {"trajectory": {"prior": common.Stage(9000, 16, 1.5e-3)}}
BASE = common.Scale(steps=10, batch_size=128, slower=2)


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, abstraction = chosen["size"] == "base", chosen["abstraction"]
    autoencoders = {
        name: _autoencoder(bottleneck, name in GRIDS, base)
        for name, bottleneck in BOTTLENECKS.items()
    }
    priors = _generators(base, patch=1 if abstraction in GRIDS else 4)
    for name in ("autoregressive", "masked", "diffusion"):
        priors[name]["guidance"] = 2.5
    parts = {
        "abstraction": autoencoders | {"keyframes": {"every": 4, "factor": 2}},
        "prior": priors,
        "decoder": _generators(base, patch=4),
    }
    data = {"name": "moving_digits", "size": 64 if base else 32, "num_frames": 16}
    data["judge_width"] = 96 if base else 48
    stages = STAGES | LONGER.get(abstraction, {})
    train = common.stages(stages, BASE if base else None)
    sections = common.sections(chosen, "video_generation", data, parts, train)
    report = {"every": 10_000, "samples": 0, "loop_samples": 60, "batch_size": 100}
    # To find the trajectories of all takes minutes.
    first = {"train": 150, "validation": 30, "test": 36}
    tiny = {"samples": 12, "first": first}
    return common.make_config(chosen["size"], sections, report, tiny)


def _autoencoder(bottleneck: Any, coarse: bool, base: bool) -> dict[str, Any]:
    """Returns the options of an autoencoder to a quarter of the frames."""
    widths = (64, 128, 256, 256) if base else (32, 64, 128)
    if not coarse:
        widths = widths[:-1]
    # Early in time, as most of the computation is at the first level.
    temporal = [level < 2 for level in range(len(widths))]
    networks = {"name": "conv3d", "widths": widths, "temporal": tuple(temporal)}
    return common.image_autoencoder(bottleneck, base, **networks)


def _generators(base: bool, patch: int) -> dict[str, Any]:
    """Returns the options of each generator, by name."""
    size = generators.transformer(*(512, 8, 8) if base else (128, 4, 4), remat="none")
    tokens = generators.encoder_decoder(
        size, encoder_layers=1, dropout=0.1, source_dropout=0.1, top_p=0.9
    )
    return generators.by_name(size, patch, tokens)
