"""Text → speech, by default a synthetic voice (espeak-ng) that reads real short texts.

`--config=configs/speech_synthesis.py:abstraction=codec` chooses; see CHOICES. The default
is text → phonemes → log-mel spectrogram → wave: a rule, a model that learns durations
by itself, and a vocoder. `data=tuxpaint_spanish` and `data=ljspeech` are human voices.

Expected of the default on the former splits, after 7 minutes on two CPU cores and 10 more
for the recognizer that judges: 9.3 % of characters and 21.3 % of words wrong, where the
references have 5.5 % and 13.7 %, and a mel-cepstral distortion of 2.68 dB.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import common

CHOICES = {
    "data": ("spoken_bible", "tuxpaint_spanish", "ljspeech"),
    "source": ("phonemes", "identity"),
    "abstraction": ("mel", "codec", "prosody", "wave_frames"),
    "prior": ("diffusion", "regression", "autoregressive"),
    "decoder": ("inverse", "adversarial", "pipeline"),
    "size": ("demo", "base", "tiny"),
}
_CONTINUOUS = {"prior": ("regression", "diffusion")}
# What fits together, the default first; phonemes are known for English alone.
FITTING = {
    "data=tuxpaint_spanish": {"source": ("identity",)},
    "abstraction=mel": _CONTINUOUS | {"decoder": ("adversarial", "inverse")},
    "abstraction=codec": {"prior": ("autoregressive",), "decoder": ("inverse",)},
    "abstraction=prosody": {"prior": ("autoregressive",), "decoder": ("pipeline",)},
    "abstraction=wave_frames": _CONTINUOUS | {"decoder": ("inverse",)},
}
DATA = {
    "spoken_bible": (2.048, 40, "english"),
    "tuxpaint_spanish": (4.096, 64, "spanish"),
    "ljspeech": (10.24, 192, "english"),
}
"""Seconds and characters of the longest example, and alphabet."""
HOP = 256
MEL = {"name": "mel", "num_mels": 80, "hop": HOP}
# A weight above 0 turns the adversary on.
WAVE_LOSSES = ({"name": "spectral"}, {"name": "adversarial", "weight": 0.0})
STAGES = {
    "judge": (1800, 32, 1.5e-3),
    "abstraction": (1500, 16, 2e-3),
    "decoder": (1000, 16, 2e-3),
    "prior": (2000, 16, 2e-3),
}
"""Steps, batch size and learning rate."""


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, data = chosen["size"] == "base", chosen["data"]
    seconds, characters, alphabet = DATA[data]
    vocos = {"width": 512 if base else 192, "num_layers": 8 if base else 4}
    abstractions = {
        "mel": MEL,
        "codec": {
            "name": "autoencoder",
            "networks": {"name": "vocos", **vocos, "hop": HOP, "stride": 2},
            "bottleneck": {"name": "rvq", "num_codes": 64, "depth": 4, "decay": 0.9},
            "losses": WAVE_LOSSES,
        },
        "wave_frames": {"size": HOP},
    }
    priors = _priors(base)
    vocoder = {**vocos, "segment": 32, "losses": WAVE_LOSSES}
    named = {"name": "adversarial", **vocoder}
    mel_pipeline = {"abstraction": MEL, "prior": priors["regression"], "decoder": named}
    return common.make_config(
        chosen["size"],
        {
            "task": "speech_synthesis",
            "data": {
                "name": data,
                "dir": "",
                "alphabet": alphabet,
                "max_characters": characters,
                "max_seconds": seconds,
                "judge_width": 144,
                "judge_layers": 3,
            },
            "source": {"name": chosen["source"]},
            "abstraction": common.part(chosen["abstraction"], abstractions),
            "prior": common.part(chosen["prior"], priors),
            "decoder": common.part(
                chosen["decoder"], {"adversarial": vocoder, "pipeline": mel_pipeline}
            ),
            "train": {
                stage: common.training(20 * steps, 64, learning_rate / 2)
                if base
                else common.training(steps, batch_size, learning_rate)
                for stage, (steps, batch_size, learning_rate) in STAGES.items()
            },
        },
        evaluate={"every": 1000, "samples": 0, "loop_samples": 100, "batch_size": 50},
        tiny={"samples": 10, "keep": ("duration_encoder.num_layers",)},
    )


def _priors(base: bool) -> dict[str, Any]:
    """Returns the options of each prior, by its choice."""
    size = common.transformer(*(512, 10, 8) if base else (128, 4, 4)) | {
        "remat": "none"
    }
    network = {"name": "dit", "patch": 2, **size}
    aligned = {
        "name": "duration_aligned",
        "duration_encoder": {"width": size["width"], "num_layers": 2},
    }
    solver = {"solver": {"name": "heun"}, "num_steps": 6}
    return {
        "autoregressive": {
            "top_p": 0.9,
            "dropout": 0.1,
            **size,
            "conditioning": "cross",
            "encoder_layers": 6 if base else 2,
        },
        "diffusion": aligned
        | {"generator": {"name": "diffusion", "network": network, **solver}},
        "regression": aligned
        | {"generator": {"name": "regression", "network": network}},
    }
