"""Soprano → four voices, on Bach's chorales.

`--config=configs/harmony.py:abstraction=identity` chooses; see CHOICES. The default is
soprano → lead sheet (tonality, chords, rhythm, cadences and the soprano) → four voices;
`identity` is the direct baseline, trained for about the time of the other two arrows.
"""

from typing import Any

from ml_collections import ConfigDict

CHOICES = {
    "abstraction": ("music_template", "fsq", "identity"),
    "prior": ("autoregressive",),
    "decoder": ("autoregressive", "inverse"),
    "size": ("demo", "base", "tiny"),
}
# What fits together: abstraction to priors and decoders, the default of each first.
FITTING = {
    "music_template": (("autoregressive",), ("autoregressive",)),
    "fsq": (("autoregressive",), ("autoregressive", "inverse")),
    "identity": (("autoregressive",), ("inverse",)),
}


def get_config(arg: str = "") -> ConfigDict:
    """The config; `arg` is `key=value` pairs of CHOICES, separated by commas."""
    chosen = _choices(arg)
    size, abstraction = chosen["size"], chosen["abstraction"]
    tiny = size == "tiny"
    priors, decoders = FITTING.get(abstraction, (("autoregressive",), ("inverse",)))
    # Codes of a whole piece keep no time with it.
    conditioning = "cross" if abstraction == "fsq" else "aligned"
    # Templates and voices have rules, codes have none.
    rules = abstraction != "fsq"
    prior = _generator(chosen.get("prior", priors[0]), size, conditioning, rules)
    decoder = _generator(chosen.get("decoder", decoders[0]), size, conditioning, True)
    return ConfigDict(
        {
            "seed": 0,
            "task": "harmony",
            "data": {
                "name": "chorales",
                "dir": "",
                "division": 4 if size == "base" else 2,
                "max_beats": 96 if size == "base" else 64,
                "transpose": 5,
            },
            "source": {"name": "identity"},
            "abstraction": _abstraction(abstraction, size),
            "prior": prior,
            "decoder": decoder,
            "train": {
                stage: _training(stage, chosen)
                for stage in ("abstraction", "decoder", "prior")
            },
            "parallel": {"strategy": "sharded", "axes": {"data": -1, "fsdp": 1}},
            "cache": {"y_prime": "none"},
            "checkpoint": {"every": 20 if tiny else 1000, "keep": 2},
            "log": {"every": 5 if tiny else 50},
            "profile": {"steps": 0},
            "evaluate": {
                "every": 20 if tiny else 4000,
                "samples": 4 if tiny else 0,
                "loop_samples": 4 if tiny else 0,
                "batch_size": 4 if tiny else 42,
            },
        }
    )


def _choices(arg: str) -> dict[str, str]:
    chosen = {"abstraction": "music_template", "size": "demo"}
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
    if name == "music_template":
        return {"name": name, "melody": True, "division": 4 if size == "base" else 2}
    if name != "fsq":
        return {"name": name}
    width, num_layers, num_heads = _size(size)
    return {
        "name": "autoencoder",
        "networks": {
            "name": "latent_queries",
            "num_latents": 64,
            "width": width,
            "num_layers": num_layers,
            "num_heads": num_heads,
            "dtype": "float32",
        },
        "bottleneck": {"name": "fsq", "levels": (8, 8, 8)},
        "losses": ({"name": "cross_entropy"},),
    }


def _size(size: str) -> tuple[int, int, int]:
    tiny, demo, base = (16, 1, 2), (128, 3, 4), (512, 8, 8)
    return {"tiny": tiny, "demo": demo, "base": base}[size]


def _generator(name: str, size: str, conditioning: str, rules: bool) -> dict[str, Any]:
    if name == "inverse" or ":" in name:
        return {"name": name}
    width, num_layers, num_heads = _size(size)
    return {
        "name": name,
        "width": width,
        "num_layers": num_layers,
        "encoder_layers": 1 if size == "tiny" else 2,
        "num_heads": num_heads,
        "conditioning": conditioning,
        "rotary": True,
        "dropout": 0.1,
        "source_dropout": 0.0,
        "temperature": 0.8,
        "top_p": 0.9,
        "constraint_weight": 4.0 if rules else 0.0,
        "dtype": "float32",
        "remat": "none",
    }


def _training(stage: str, chosen: dict[str, str]) -> dict[str, Any]:
    size = chosen["size"]
    if size == "tiny":
        schedule = {"name": "warmup_cosine", "learning_rate": 1e-3, "warmup": 0.25}
        return {
            "steps": 20,
            "batch_size": 8,
            "optimizer": {"name": "adamw"},
            "schedule": schedule,
        }
    steps = {
        "abstraction": 1000,
        "decoder": 850,
        # Without a decoder to train, the prior has the time of both.
        "prior": 1400 if chosen["abstraction"] == "identity" else 750,
    }[stage]
    batch_size, learning_rate = 16, 2e-3
    if size == "base":
        steps, batch_size, learning_rate = 10 * steps, 64, learning_rate / 3
    return {
        "steps": steps,
        "batch_size": batch_size,
        "optimizer": {"name": "adamw"},
        "schedule": {"name": "warmup_cosine", "learning_rate": learning_rate},
    }
