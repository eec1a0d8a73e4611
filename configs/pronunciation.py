"""Words → phonemes and phonemes → words, on the CMU pronouncing dictionary.

`--config=configs/pronunciation.py:direction=p2g` chooses; see CHOICES. These are the
arrows between characters and phonemes that speech recognition goes through, on words
that no training set has seen. `size=long` is for error rates to compare with published
ones: seven passes over the training pairs, 60 minutes on two cores that have other work
too, and 30.6 % of the test words wrong (G2P).
"""

from typing import Any

from ml_collections import ConfigDict

CHOICES = {"direction": ("g2p", "p2g"), "size": ("demo", "long", "base", "tiny")}
STEPS = {"demo": 1200, "long": 13_000, "base": 40_000}


def get_config(arg: str = "") -> ConfigDict:
    """The config; `arg` is `key=value` pairs of CHOICES, separated by commas."""
    chosen = {"direction": "g2p", "size": "demo"}
    for pair in filter(None, arg.split(",")):
        key, _, value = pair.partition("=")
        if key not in CHOICES:
            raise ValueError(f"no choice {key!r}: known are {', '.join(CHOICES)}")
        if value not in CHOICES[key]:
            known = ", ".join(CHOICES[key])
            raise ValueError(f"{key} cannot be {value!r}: known are {known}")
        chosen[key] = value
    size = chosen["size"]
    tiny, long = size == "tiny", size == "long"
    return ConfigDict(
        {
            "seed": 0,
            "task": "pronunciation",
            "data": {
                "name": "pronunciations",
                "dir": "",
                "direction": chosen["direction"],
                # Of the 12,493 test words 9 are longer than 16, and none than 20: a
                # quarter more steps in the same time are worth more.
                "max_length": 16 if long else 20,
            },
            "source": {"name": "identity"},
            "abstraction": {"name": "identity"},
            "prior": _generator(size),
            "decoder": {"name": "inverse"},
            "train": {"prior": _training(size)},
            "parallel": {"strategy": "sharded", "axes": {"data": -1, "fsdp": 1}},
            "cache": {"y_prime": "none"},
            "checkpoint": {"every": 20 if tiny else 500 if long else 1000, "keep": 2},
            "log": {"every": 5 if tiny else 50},
            "profile": {"steps": 0},
            "evaluate": {
                "every": 20 if tiny else STEPS["long"] // 20 if long else 3000,
                "samples": 10 if tiny else 0,
                "loop_samples": 10 if tiny else 500,
                "batch_size": 10 if tiny else 500,
            },
        }
    )


def _generator(size: str) -> dict[str, Any]:
    width, encoder_layers, num_layers, num_heads = {
        "tiny": (16, 1, 1, 2),
        "demo": (128, 2, 2, 4),
        "long": (128, 3, 2, 4),
        "base": (512, 4, 4, 8),
    }[size]
    return {
        "name": "autoregressive",
        "width": width,
        "num_layers": num_layers,
        "encoder_layers": encoder_layers,
        "num_heads": num_heads,
        "conditioning": "cross",
        "rotary": size == "long",
        "dropout": 0.05 if size == "long" else 0.1,
        "source_dropout": 0.0,
        "beam_size": 4,
        "dtype": "float32",
        "remat": "none",
    }


def _training(size: str) -> dict[str, Any]:
    if size == "tiny":
        schedule = {"name": "warmup_cosine", "learning_rate": 1e-3, "warmup": 0.25}
        return {
            "steps": 20,
            "batch_size": 8,
            "optimizer": {"name": "adamw"},
            "schedule": schedule,
        }
    return {
        "steps": STEPS[size],
        "batch_size": 512 if size == "base" else 64,
        "optimizer": {"name": "adamw"},
        "schedule": {
            "name": "warmup_cosine",
            "learning_rate": 1e-3 if size == "base" else 2e-3,
        },
    }
