"""Class → image on 5,000 real digits, or on any other labelled TFDS image set.

`--config=configs/digits.py:abstraction=fsq,size=base` chooses; see CHOICES. The default
is class → codes of a VQ autoencoder → image. A part of your own is chosen by
`package.module:Class`. `--config.data.name=cifar10` takes another data set, and any
field of the result can be set in the same way.
"""

from typing import Any

from ml_collections import ConfigDict

CHOICES = {
    "abstraction": (
        *("vq", "fsq", "rvq", "latents"),
        *("pixel_tokens", "downsample", "identity"),
    ),
    "prior": ("autoregressive", "diffusion", "regression"),
    "decoder": ("inverse", "regression", "diffusion"),
    "size": ("demo", "base", "tiny"),
}
# What fits together: abstraction to priors and decoders, the default of each first.
FITTING = {
    "vq": (("autoregressive",), ("inverse", "regression", "diffusion")),
    "fsq": (("autoregressive",), ("inverse", "regression", "diffusion")),
    "rvq": (("autoregressive",), ("inverse",)),
    "latents": (("diffusion", "regression"), ("inverse",)),
    "pixel_tokens": (("autoregressive",), ("inverse",)),
    "downsample": (("diffusion", "regression"), ("regression", "diffusion")),
    "identity": (("diffusion", "regression"), ("inverse",)),
}


def get_config(arg: str = "") -> ConfigDict:
    """The config; `arg` is `key=value` pairs of CHOICES, separated by commas."""
    chosen = _choices(arg)
    abstraction, size = chosen["abstraction"], chosen["size"]
    priors, decoders = FITTING.get(abstraction, (("autoregressive",), ("inverse",)))
    prior = chosen.get("prior", priors[0])
    decoder = chosen.get("decoder", decoders[0])
    patch = 1 if abstraction in ("downsample", "latents") else 4
    return ConfigDict(
        {
            "seed": 0,
            "task": "class_to_image",
            "data": {"name": "digits", "dir": ""},
            "source": {"name": "identity"},
            "abstraction": _abstraction(abstraction, size),
            "prior": _generator(prior, size, patch) | _guided(prior),
            "decoder": _generator(decoder, size, patch=4),
            "train": {
                stage: _training(stage, size)
                for stage in ("judge", "abstraction", "decoder", "prior")
            },
            "parallel": {"strategy": "sharded", "axes": {"data": -1, "fsdp": 1}},
            "cache": {"y_prime": "none"},
            "checkpoint": {"every": 20 if size == "tiny" else 1000, "keep": 2},
            "log": {"every": 5 if size == "tiny" else 50},
            "profile": {"steps": 0},
            "evaluate": {
                "every": 20 if size == "tiny" else 1000,
                "samples": 20 if size == "tiny" else 1000,
                "loop_samples": 20 if size == "tiny" else 200,
                "batch_size": 250,
            },
        }
    )


def _choices(arg: str) -> dict[str, str]:
    chosen = {"abstraction": "vq", "size": "demo"}
    for pair in filter(None, arg.split(",")):
        key, _, value = pair.partition("=")
        if key not in CHOICES:
            raise ValueError(f"no choice {key!r}: known are {', '.join(CHOICES)}")
        if value not in CHOICES[key] and (key == "size" or ":" not in value):
            known = ", ".join(CHOICES[key])
            raise ValueError(f"{key} cannot be {value!r}: known are {known}")
        chosen[key] = value
    return chosen


def _abstraction(name: str, size: str) -> dict[str, Any]:
    if ":" in name:
        return {"name": name}
    if name in ("pixel_tokens", "downsample", "identity"):
        options = {"pixel_tokens": {"levels": 256}, "downsample": {"factor": 4}}
        return dict(name=name, **options.get(name, {}))
    bottlenecks = {
        "vq": {"name": "vq", "num_codes": 128, "dim": 16},
        "fsq": {"name": "fsq", "levels": (8, 4, 4)},
        "rvq": {"name": "rvq", "num_codes": 32, "dim": 16, "depth": 2},
        "latents": {"name": "identity", "dim": 4},
    }
    widths = {"tiny": (4, 8), "demo": (32, 64), "base": (128, 256)}[size]
    return {
        "name": "autoencoder",
        "networks": {
            "name": "conv2d",
            "widths": widths,
            "num_blocks": 2 if size == "base" else 0,
            "dtype": "float32",
        },
        "bottleneck": bottlenecks[name],
        "losses": ({"name": "squared_error"},),
    }


def _generator(name: str, size: str, patch: int) -> dict[str, Any]:
    if name == "inverse" or ":" in name:
        return {"name": name}
    tiny, demo, base = (16, 1, 2), (128, 3, 4), (512, 8, 8)
    width, num_layers, num_heads = {"tiny": tiny, "demo": demo, "base": base}[size]
    transformer = {
        "width": width,
        "num_layers": num_layers,
        "num_heads": num_heads,
        "dtype": "float32",
        "remat": "none",
    }
    if name == "autoregressive":
        return {"name": name, "dropout": 0.1, "top_p": 0.9} | transformer
    network = {"name": "dit", "patch": patch} | transformer
    options = {"name": name, "network": network}
    solver = {"solver": {"name": "heun"}, "num_steps": 12}
    return options | (solver if name == "diffusion" else {})


def _guided(name: str) -> dict[str, Any]:
    return {"guidance": 2.0} if name in ("autoregressive", "diffusion") else {}


def _training(stage: str, size: str) -> dict[str, Any]:
    if size == "tiny":
        schedule = {"name": "warmup_cosine", "learning_rate": 1e-3, "warmup": 0.25}
        return {
            "steps": 20,
            "batch_size": 16,
            "optimizer": {"name": "adamw"},
            "schedule": schedule,
        }
    steps, batch_size, learning_rate = {
        "judge": (500, 64, 2e-3),
        "abstraction": (900, 32, 2e-3),
        "decoder": (1000, 32, 1e-3),
        "prior": (1100, 32, 1.5e-3),
    }[stage]
    if size == "base":
        steps, batch_size, learning_rate = 10 * steps, 128, learning_rate / 2
    return {
        "steps": steps,
        "batch_size": batch_size,
        "optimizer": {"name": "adamw"},
        "schedule": {"name": "warmup_cosine", "learning_rate": learning_rate},
    }
