"""Speech → text, by default strings of spoken digits in people's voices.

`--config=configs/speech_recognition.py:abstraction=identity` chooses; see CHOICES. The
default is speech → phonemes → characters; `identity` is the direct baseline. With
`data=spoken_bible` the vocabulary is open and the voice synthetic (espeak-ng).
"""

from typing import Any

from ml_collections import ConfigDict

CHOICES = {
    "data": ("spoken_digits", "spoken_bible", "tuxpaint_spanish", "ljspeech"),
    "abstraction": ("phonemes", "identity"),
    "prior": ("autoregressive",),
    "decoder": ("autoregressive", "inverse"),
    "size": ("demo", "base", "tiny"),
}
# What fits together: abstraction to priors and decoders, the default of each first.
FITTING = {
    "phonemes": (("autoregressive",), ("autoregressive",)),
    "identity": (("autoregressive",), ("inverse",)),
}
# Seconds and characters of the longest example, and frames that one vector folds.
DATA = {
    "spoken_digits": (2.048, 32, "english", "identity", 2),
    "spoken_bible": (2.048, 40, "english", "mel", 4),
    "tuxpaint_spanish": (4.096, 64, "spanish", "mel", 4),
    "ljspeech": (10.24, 192, "english", "mel", 4),
}


def get_config(arg: str = "") -> ConfigDict:
    """The config; `arg` is `key=value` pairs of CHOICES, separated by commas."""
    chosen = _choices(arg)
    size, data, abstraction = chosen["size"], chosen["data"], chosen["abstraction"]
    seconds, characters, alphabet, source, stride = DATA[data]
    priors, decoders = FITTING.get(abstraction, (("autoregressive",), ("inverse",)))
    prior = chosen.get("prior", priors[0])
    decoder = chosen.get("decoder", decoders[0])
    heard = {"source_stride": stride, "ctc": 0.3}
    heard |= {"encoder_layers": {"tiny": 1, "demo": 3, "base": 12}[size]}
    return ConfigDict(
        {
            "seed": 0,
            "task": "speech_recognition",
            "data": {
                "name": data,
                "dir": "",
                "alphabet": alphabet,
                "max_characters": characters,
                "max_seconds": seconds,
            },
            "source": {"name": source},
            "abstraction": {"name": abstraction},
            "prior": _generator(prior, size) | (heard if ":" not in prior else {}),
            "decoder": _generator(decoder, size),
            "train": {
                stage: _training(stage, chosen)
                for stage in ("abstraction", "decoder", "prior")
            },
            "parallel": {"strategy": "sharded", "axes": {"data": -1, "fsdp": 1}},
            "cache": {"y_prime": "none"},
            "checkpoint": {"every": 20 if size == "tiny" else 1000, "keep": 2},
            "log": {"every": 5 if size == "tiny" else 50},
            "profile": {"steps": 0},
            "evaluate": {
                "every": 20 if size == "tiny" else 2000,
                "samples": 10 if size == "tiny" else 0,
                "loop_samples": 10 if size == "tiny" else 100,
                "batch_size": 10 if size == "tiny" else 100,
            },
        }
    )


def _choices(arg: str) -> dict[str, str]:
    chosen = {"data": "spoken_digits", "abstraction": "phonemes", "size": "demo"}
    for pair in filter(None, arg.split(",")):
        key, _, value = pair.partition("=")
        if key not in CHOICES:
            raise ValueError(f"no choice {key!r}: known are {', '.join(CHOICES)}")
        own = ":" in value and key not in ("size", "data")
        if value not in CHOICES[key] and not own:
            known = ", ".join(CHOICES[key])
            raise ValueError(f"{key} cannot be {value!r}: known are {known}")
        chosen[key] = value
    return chosen


def _generator(name: str, size: str) -> dict[str, Any]:
    if name == "inverse" or ":" in name:
        return {"name": name}
    tiny, demo, base = (16, 1, 2), (96, 2, 4), (512, 6, 8)
    width, num_layers, num_heads = {"tiny": tiny, "demo": demo, "base": base}[size]
    return {
        "name": name,
        "width": width,
        "num_layers": num_layers,
        "encoder_layers": num_layers,
        "num_heads": num_heads,
        "conditioning": "cross",
        "dropout": 0.1,
        "source_dropout": 0.0,
        "beam_size": 4,
        "length_penalty": 0.6,
        "dtype": "float32",
        "remat": "none",
    }


def _training(stage: str, chosen: dict[str, str]) -> dict[str, Any]:
    size, digits = chosen["size"], chosen["data"] == "spoken_digits"
    if size == "tiny":
        schedule = {"name": "warmup_cosine", "learning_rate": 1e-3, "warmup": 0.25}
        return {
            "steps": 20,
            "batch_size": 8,
            "optimizer": {"name": "adamw"},
            "schedule": schedule,
        }
    steps, batch_size = {
        "abstraction": (1000, 32),
        "decoder": (400, 32) if digits else (1000, 32),
        # Without a decoder to train, the prior has the time of both.
        "prior": (1700 if chosen["abstraction"] == "identity" else 1400, 32),
    }[stage]
    learning_rate = 2e-3
    if size == "base":
        steps, batch_size, learning_rate = 10 * steps, 128, learning_rate / 3
    return {
        "steps": steps,
        "batch_size": batch_size,
        "optimizer": {"name": "adamw"},
        "schedule": {"name": "warmup_cosine", "learning_rate": learning_rate},
    }
