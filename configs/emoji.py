"""Text → image: emoji from their names.

`--config=configs/emoji.py:abstraction=rvq,size=base` chooses; see CHOICES. The default
is caption → latents of an autoencoder → picture. `--config.data.name=coco_captions` takes
another data set of pictures with captions.

Expected of the default, after 17 minutes of CPU time: the caption is among the five that
the judge finds nearest for 73 % of the pictures of learned captions (85 % of real ones),
and for 90 % of those of new compositions (95 %). Real pictures carry OpenMoji's credit
line, see the README of the data set `openmoji`.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import common, generators

CHOICES = {
    "abstraction": ("latents", "kl", "rvq", "vq", "palette", "grayscale", "identity"),
    "prior": ("diffusion", "regression", "autoregressive", "masked"),
    "decoder": ("inverse", "regression", "diffusion"),
    "size": ("demo", "base", "tiny"),
}
# What fits together, the default first.
FITTING = common.fitting(
    (generators.ARRAYS, ("latents", "kl", "identity")),
    (generators.CODES, ("rvq", "vq", "palette")),
    (generators.ARRAYS | {"decoder": ("regression", "diffusion")}, ("grayscale",)),
)
RULES = {"palette": {"num_colors": 16}}
BOTTLENECKS = {
    "latents": {"name": "identity", "dim": 16},
    "kl": {"name": "kl", "dim": 16, "weight": 1e-4},
    "vq": {"name": "vq", "num_codes": 512, "dim": 16},
    "rvq": {"name": "rvq", "num_codes": 256, "dim": 16, "depth": 4},
}
COARSE = ("latents", "kl", "rvq")  # They say much of a position: few are enough.
PIXELS = ("grayscale", "identity")  # As large as a picture: a patch is a position.
STAGES = {
    "judge": common.Stage(1000, 128, 2e-3),
    "abstraction": common.Stage(1500, 32, 2e-3),
    "decoder": common.Stage(2000, 32, 1e-3),
    "prior": common.Stage(6000, 32, 1.5e-3),
}
BASE = common.Scale(steps=10, batch_size=256, slower=2)


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, abstraction = chosen["size"] == "base", chosen["abstraction"]
    # To a grid of an 8th of the size, or of a 4th.
    coarse = (64, 128, 256) if base else (32, 64, 128)
    fine = coarse[:2]
    autoencoders = {
        name: common.image_autoencoder(
            bottleneck, base, widths=coarse if name in COARSE else fine
        )
        for name, bottleneck in BOTTLENECKS.items()
    }
    priors = _generators(base, patch=4 if abstraction in PIXELS else 1)
    for name in ("masked", "diffusion"):
        priors[name]["guidance"] = 3.0
    parts = {
        "abstraction": RULES | autoencoders,
        "prior": priors,
        "decoder": _generators(base, patch=4),
    }
    data = {
        "name": "openmoji",
        "size": 64 if base else 32,
        "vocab": 4000,
        "max_length": 16,
        "judge_width": 96 if base else 48,
    }
    train = common.stages(STAGES, BASE if base else None)
    sections = common.sections(chosen, "text_to_image", data, parts, train)
    report = {"every": 5000, "samples": 0, "loop_samples": 120, "batch_size": 250}
    return common.make_config(chosen["size"], sections, report, tiny={"samples": 12})


def _generators(base: bool, patch: int) -> dict[str, Any]:
    """Returns the options of each generator, by name."""
    size = generators.transformer(*(512, 8, 8) if base else (128, 3, 4), remat="none")
    tokens = generators.encoder_decoder(
        size, encoder_layers=1, dropout=0.1, source_dropout=0.1, top_p=0.8
    )
    return generators.by_name(size, patch, tokens)
