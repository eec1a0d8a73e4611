"""Text → speech, by default a synthetic voice (espeak-ng) that reads real short texts.

`--config=configs/speech_synthesis.py:abstraction=codec` chooses; see CHOICES. The default
is text → phonemes → log-mel spectrogram → wave: a rule, a model that learns durations
by itself, and a vocoder. `data=tuxpaint_spanish` and `data=ljspeech` are human
voices.
"""

from typing import Any

from ml_collections import ConfigDict

CHOICES = {
    "data": ("spoken_bible", "tuxpaint_spanish", "ljspeech"),
    "source": ("phonemes", "identity"),
    "abstraction": ("mel", "codec", "prosody", "wave_frames"),
    "prior": ("diffusion", "regression", "autoregressive"),
    "decoder": ("adversarial", "inverse", "pipeline"),
    "size": ("demo", "base", "tiny"),
}
# What fits together: abstraction to priors and decoders, the default of each first.
FITTING = {
    "mel": (("regression", "diffusion"), ("adversarial", "inverse")),
    "codec": (("autoregressive",), ("inverse",)),
    "prosody": (("autoregressive",), ("pipeline",)),
    "wave_frames": (("regression", "diffusion"), ("inverse",)),
}
# Seconds and characters of the longest example; phonemes are known for English alone.
DATA = {
    "spoken_bible": (2.048, 40, "english"),
    "tuxpaint_spanish": (4.096, 64, "spanish"),
    "ljspeech": (10.24, 192, "english"),
}
HOP = 256


def get_config(arg: str = "") -> ConfigDict:
    """The config; `arg` is `key=value` pairs of CHOICES, separated by commas."""
    chosen = _choices(arg)
    size, data, abstraction = chosen["size"], chosen["data"], chosen["abstraction"]
    seconds, characters, alphabet = DATA[data]
    priors, decoders = FITTING.get(abstraction, (("diffusion",), ("inverse",)))
    default = "phonemes" if alphabet == "english" else "identity"
    return ConfigDict(
        {
            "seed": 0,
            "task": "speech_synthesis",
            "data": {
                "name": data,
                "dir": "",
                "alphabet": alphabet,
                "max_characters": characters,
                "max_seconds": seconds,
                "judge_width": 16 if size == "tiny" else 144,
                "judge_layers": 1 if size == "tiny" else 3,
            },
            "source": {"name": chosen.get("source", default)},
            "abstraction": _abstraction(abstraction, size),
            "prior": _prior(chosen.get("prior", priors[0]), size),
            "decoder": _decoder(chosen.get("decoder", decoders[0]), size),
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
                "samples": 10 if size == "tiny" else 0,
                "loop_samples": 10 if size == "tiny" else 100,
                "batch_size": 10 if size == "tiny" else 50,
            },
        }
    )


def _choices(arg: str) -> dict[str, str]:
    chosen = {"data": "spoken_bible", "abstraction": "mel", "size": "demo"}
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


def _abstraction(name: str, size: str) -> dict[str, Any]:
    if name == "mel":
        return {"name": name, "num_mels": 80, "hop": HOP}
    if name == "codec":
        width, layers = {"tiny": (16, 1), "demo": (192, 4), "base": (512, 8)}[size]
        return {
            "name": "autoencoder",
            "networks": {
                "name": "vocos",
                "width": width,
                "num_layers": layers,
                "hop": HOP,
                "stride": 2,
            },
            "bottleneck": {"name": "rvq", "num_codes": 64, "depth": 4, "decay": 0.9},
            "losses": _wave_losses(),
        }
    if name == "wave_frames":
        return {"name": name, "size": HOP}
    return {"name": name}


def _wave_losses() -> tuple[dict[str, Any], ...]:
    """Loss terms of waves; a weight above 0 turns the adversary on."""
    return {"name": "spectral"}, {"name": "adversarial", "weight": 0.0}


def _transformer(size: str) -> dict[str, Any]:
    tiny, demo, base = (16, 1, 2), (128, 4, 4), (512, 10, 8)
    width, num_layers, num_heads = {"tiny": tiny, "demo": demo, "base": base}[size]
    return {
        "width": width,
        "num_layers": num_layers,
        "num_heads": num_heads,
        "dtype": "float32",
        "remat": "none",
    }


def _prior(name: str, size: str) -> dict[str, Any]:
    if ":" in name:
        return {"name": name}
    transformer = _transformer(size)
    if name == "autoregressive":
        layers = {"tiny": 1, "demo": 2, "base": 6}[size]
        encoder = {"conditioning": "cross", "encoder_layers": layers}
        options = {"name": name, "top_p": 0.9, "dropout": 0.1}
        return options | transformer | encoder
    network = {"name": "dit", "patch": 2} | transformer
    solver = {"solver": {"name": "heun"}, "num_steps": 6}
    return {
        "name": "duration_aligned",
        "duration_encoder": {"width": transformer["width"], "num_layers": 2},
        "generator": {"name": name, "network": network}
        | (solver if name == "diffusion" else {}),
    }


def _decoder(name: str, size: str) -> dict[str, Any]:
    width, layers = {"tiny": (16, 1), "demo": (192, 4), "base": (512, 8)}[size]
    vocoder = {
        "name": "adversarial",
        "width": width,
        "num_layers": layers,
        "segment": 4 if size == "tiny" else 32,
        "losses": _wave_losses(),
    }
    if name == "adversarial":
        return vocoder
    if name == "pipeline":
        return {
            "name": name,
            "abstraction": _abstraction("mel", size),
            "prior": _prior("regression", size),
            "decoder": vocoder,
        }
    return {"name": name}


def _training(stage: str, size: str) -> dict[str, Any]:
    if size == "tiny":
        schedule = {"name": "warmup_cosine", "learning_rate": 1e-3, "warmup": 0.25}
        return {
            "steps": 20,
            "batch_size": 8,
            "optimizer": {"name": "adamw"},
            "schedule": schedule,
        }
    steps, batch_size, learning_rate = {
        "judge": (1800, 32, 1.5e-3),
        "abstraction": (1500, 16, 2e-3),
        "decoder": (1000, 16, 2e-3),
        "prior": (2000, 16, 2e-3),
    }[stage]
    if size == "base":
        steps, batch_size, learning_rate = 20 * steps, 64, learning_rate / 2
    return {
        "steps": steps,
        "batch_size": batch_size,
        "optimizer": {"name": "adamw"},
        "schedule": {"name": "warmup_cosine", "learning_rate": learning_rate},
    }
