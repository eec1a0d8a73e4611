"""Class → image on 5,000 real digits, or on any other labeled TFDS image set.

`--config=configs/digits.py:abstraction=fsq,size=base` chooses; see CHOICES. The default
is class → codes of a VQ autoencoder → image. `package.module:Class` chooses a part of
your own, and `--config.data.name=cifar10` another data set, as any field of the result.

Expected of the default, after 5 minutes on two CPU cores: a PSNR of reconstructions of
22.3 dB, and 97 % of samples in which the judge sees the class. `prior=masked` has as many
in 12 calls of its network, and diffusion on latents, `abstraction=kl`, 99 % in 23 calls.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import common, generators

CHOICES = {
    "abstraction": (
        *("vq", "fsq", "rvq", "lfq", "vqgan", "kl", "ldm", "latents"),
        *("pixel_tokens", "downsample", "edges", "identity"),
    ),
    "prior": ("autoregressive", "masked", "diffusion", "regression", "nearest"),
    "decoder": ("inverse", "regression", "diffusion", "nearest"),
    "finetune": ("no", "yes"),
    "size": ("demo", "base", "tiny"),
}
_DECODERS = ("regression", "diffusion", "nearest")
# What fits together, the default first.
FITTING = common.fitting(
    (generators.CODES | {"decoder": ("inverse", *_DECODERS)}, ("vq", "fsq")),
    (generators.CODES, ("rvq", "lfq", "vqgan", "pixel_tokens")),
    (generators.ARRAYS, ("kl", "ldm", "latents", "identity")),
    (generators.ARRAYS | {"decoder": _DECODERS}, ("downsample", "edges")),
)
RULES = {"pixel_tokens": {"levels": 256}, "downsample": {"factor": 4}}
BOTTLENECKS = {
    "vq": {"name": "vq", "num_codes": 128, "dim": 16},
    "fsq": {"name": "fsq", "levels": (8, 4, 4)},
    "rvq": {"name": "rvq", "num_codes": 32, "dim": 16, "depth": 2},
    "lfq": {"name": "lfq", "bits": 7},
    "vqgan": {"name": "vq", "num_codes": 128, "dim": 8, "normalize": True},
    "kl": {"name": "kl", "dim": 4, "weight": 1e-4},
    "ldm": {"name": "kl", "dim": 4, "weight": 1e-4},
    "latents": {"name": "identity", "dim": 4},
}
PERCEPTUAL = ("vqgan", "ldm")  # The losses of VQGAN: the judge's layers, an adversary.
GRIDS = ("downsample", "kl", "ldm", "latents")  # Few positions, each of them a patch.
STAGES = {
    "judge": common.Stage(500, 64, 2e-3),
    "abstraction": common.Stage(900, 32, 2e-3),
    "decoder": common.Stage(1000, 32, 1e-3),
    "prior": common.Stage(1100, 32, 1.5e-3),
}
SLOW = {"diffusion": {"prior": common.Stage(3000, 32, 1.5e-3)}}
FINETUNE = common.Stage(300, 32, 3e-4)
GENERATED = 0.25  # Of a class, the Y′ of one image says little of another image.
BASE = common.Scale(steps=10, batch_size=128, slower=2)


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, abstraction = chosen["size"] == "base", chosen["abstraction"]
    autoencoders = {
        name: common.image_autoencoder(bottleneck, base, name in PERCEPTUAL)
        for name, bottleneck in BOTTLENECKS.items()
    }
    priors = _generators(base, patch=1 if abstraction in GRIDS else 4)
    for name in ("autoregressive", "masked", "diffusion"):
        priors[name]["guidance"] = 2.0
    parts = {
        "abstraction": RULES | autoencoders,
        "prior": priors,
        "decoder": _generators(base, patch=4),
    }
    scale = BASE if base else None
    train = common.stages(STAGES | SLOW.get(chosen["prior"], {}), scale)
    if chosen["finetune"] == "yes":
        train |= common.stages({"finetune": FINETUNE}, scale)
        train["finetune"]["generated"] = GENERATED
    if abstraction in PERCEPTUAL:
        # A decoder of its own has no adversary.
        tuned = {"finetune"} if chosen["decoder"] == "inverse" else set()
        for name in train.keys() & ({"abstraction"} | tuned):
            train[name]["optimizer"]["groups"] = ({"pattern": "^losses/"},)
    report = {"every": 1000, "samples": 1000, "loop_samples": 200, "batch_size": 250}
    data = {"name": "digits"}
    sections = common.sections(chosen, "class_to_image", data, parts, train)
    tiny = {"samples": 20, "batch_size": 16, "keep": ("evaluate.batch_size",)}
    return common.make_config(chosen["size"], sections, report, tiny)


def _generators(base: bool, patch: int) -> dict[str, Any]:
    """Returns the options of each generator, by name."""
    size = generators.transformer(*(512, 8, 8) if base else (128, 3, 4), remat="none")
    tokens = {"dropout": 0.1, "top_p": 0.9, **size}
    return generators.by_name(size, patch, tokens)
