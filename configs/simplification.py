"""Verses of the King James Bible → Basic English.

`--config=configs/simplification.py:abstraction=identity` chooses; see CHOICES. The
default is verse → template of the simple verse → simple verse, and its template the
least abstract one, all words with their marks: `--config.abstraction.keep=0.5`,
`function_words=False` and `marks=False` take more away. The verse is read as a template
of all its words too. `identity` is the direct baseline, trained for as many steps as the
other two arrows together.
"""

from typing import Any

from ml_collections import ConfigDict

CHOICES = {
    "abstraction": ("text_template", "word_skeleton", "vq", "fsq", "identity"),
    "prior": ("autoregressive",),
    "decoder": ("autoregressive", "inverse"),
    "size": ("demo", "base", "tiny"),
}
# What fits together: abstraction to priors and decoders, the default of each first.
FITTING = {
    "text_template": (("autoregressive",), ("autoregressive",)),
    "word_skeleton": (("autoregressive",), ("autoregressive",)),
    "vq": (("autoregressive",), ("autoregressive", "inverse")),
    "fsq": (("autoregressive",), ("autoregressive", "inverse")),
    "identity": (("autoregressive",), ("inverse",)),
}


def get_config(arg: str = "") -> ConfigDict:
    """The config; `arg` is `key=value` pairs of CHOICES, separated by commas."""
    chosen = _choices(arg)
    size, abstraction = chosen["size"], chosen["abstraction"]
    tiny = size == "tiny"
    priors, decoders = FITTING.get(abstraction, (("autoregressive",), ("inverse",)))
    prior = chosen.get("prior", priors[0])
    decoder = chosen.get("decoder", decoders[0])
    # What is written with the pieces of the source can be copied from it.
    copy = abstraction in ("text_template", "identity")
    return ConfigDict(
        {
            "seed": 0,
            "task": "simplification",
            "data": {
                "name": "simple_bible",
                "dir": "",
                "vocab": 16000 if size == "base" else 4000,
                "max_length": 104 if size == "base" else 32,
                "judge_width": 16 if tiny else 96,
            },
            "source": _source(abstraction),
            "abstraction": _abstraction(abstraction, size),
            "prior": _generator(prior, size, copy),
            "decoder": _generator(decoder, size, copy),
            "train": {
                stage: _training(stage, size, abstraction, decoder)
                for stage in ("judge", "abstraction", "decoder", "prior")
            },
            "parallel": {"strategy": "sharded", "axes": {"data": -1, "fsdp": 1}},
            "cache": {"y_prime": "none"},
            "checkpoint": {"every": 20 if tiny else 1000, "keep": 2},
            "log": {"every": 5 if tiny else 50},
            "profile": {"steps": 0},
            "evaluate": {
                "every": 20 if tiny else 4000,
                "samples": 10 if tiny else 0,
                "loop_samples": 10 if tiny else 100,
                "batch_size": 10 if tiny else 100,
            },
        }
    )


def _choices(arg: str) -> dict[str, str]:
    chosen = {"abstraction": "text_template", "size": "demo"}
    for pair in filter(None, arg.split(",")):
        key, _, value = pair.partition("=")
        if key not in CHOICES:
            raise ValueError(f"no choice {key!r}: known are {', '.join(CHOICES)}")
        if value not in CHOICES[key] and (key == "size" or ":" not in value):
            known = ", ".join(CHOICES[key])
            raise ValueError(f"{key} cannot be {value!r}: known are {known}")
        chosen[key] = value
    return chosen


# All words with their marks, without the capitals that those explain.
_WHOLE = {"name": "text_template", "keep": 1.0, "function_words": True, "marks": True}


def _source(abstraction: str) -> dict[str, Any]:
    """X': a template of the verse too, so that both sides spell a word alike."""
    return dict(_WHOLE) if abstraction == "text_template" else {"name": "identity"}


def _abstraction(name: str, size: str) -> dict[str, Any]:
    bottlenecks = {
        # The encoder moves far at first: averages of long memory lose sight of it.
        "vq": {"name": "vq", "num_codes": 1024, "dim": 8, "decay": 0.9},
        "fsq": {"name": "fsq", "levels": (8, 8, 8)},
    }
    if name == "text_template":
        return dict(_WHOLE)
    if name not in bottlenecks:
        return {"name": name}
    width, num_layers, num_heads = _size(size)
    return {
        "name": "autoencoder",
        "networks": {
            "name": "latent_queries",
            "num_latents": 32,
            "width": width,
            "num_layers": num_layers,
            "num_heads": num_heads,
            "dtype": "float32",
        },
        "bottleneck": bottlenecks[name],
        "losses": ({"name": "cross_entropy"},),
    }


def _size(size: str) -> tuple[int, int, int]:
    tiny, demo, base = (16, 1, 2), (128, 2, 4), (512, 6, 8)
    return {"tiny": tiny, "demo": demo, "base": base}[size]


def _generator(name: str, size: str, copy: bool) -> dict[str, Any]:
    if name == "inverse" or ":" in name:
        return {"name": name}
    width, num_layers, num_heads = _size(size)
    return {
        "name": name,
        "width": width,
        "num_layers": num_layers,
        "encoder_layers": num_layers,
        "num_heads": num_heads,
        "conditioning": "cross",
        "rotary": True,
        "head": "tied_pointer" if copy else "dense",
        "dropout": 0.2,
        "source_dropout": 0.0,
        "beam_size": 4,
        "length_penalty": 1.2,
        "dtype": "float32",
        "remat": "none",
    }


def _training(stage: str, size: str, abstraction: str, decoder: str) -> dict[str, Any]:
    if size == "tiny":
        schedule = {"name": "warmup_cosine", "learning_rate": 1e-3, "warmup": 0.25}
        return {
            "steps": 20,
            "batch_size": 8,
            "optimizer": {"name": "adamw"},
            "schedule": schedule,
        }
    # Both arrows together have as many as the direct one.
    of_decoder = 400 if abstraction == "text_template" else 1000
    of_prior = 2800 if decoder == "inverse" else 2800 - of_decoder
    steps = {
        "judge": 1000,
        "abstraction": 1500,
        "decoder": of_decoder,
        "prior": of_prior,
    }[stage]
    batch_size, learning_rate = 32, 2e-3
    if size == "base":
        steps, batch_size, learning_rate = 10 * steps, 128, learning_rate / 3
    options = {
        "steps": steps,
        "batch_size": batch_size,
        "optimizer": {"name": "adamw"},
        "schedule": {"name": "warmup_cosine", "learning_rate": learning_rate},
    }
    # Y alone: verses that have no source teach them too.
    alone = stage in ("abstraction", "decoder")
    return options | ({"split": "targets"} if alone else {})
