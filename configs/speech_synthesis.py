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

from configs import common, generators

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
HOP = 256
MEL = {"name": "mel", "num_mels": 80, "hop": HOP}
BOTTLENECK = {"name": "rvq", "num_codes": 64, "depth": 4, "decay": 0.9}
STAGES = {
    "judge": common.Stage(1800, 32, 1.5e-3),
    **common.equal_stages(16, 2e-3, abstraction=1500, decoder=1000, prior=2000),
}
BASE = common.Scale(steps=20, batch_size=64, slower=2)


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base = chosen["size"] == "base"
    codec = common.wave_autoencoder(BOTTLENECK, base, HOP)
    vocoder = common.vocoder(base)
    priors = _priors(base)
    mel_pipeline = {
        "abstraction": MEL,
        "prior": priors["regression"],
        "decoder": vocoder,
    }
    parts = {
        "abstraction": {"mel": MEL, "codec": codec, "wave_frames": {"size": HOP}},
        "prior": priors,
        "decoder": {"adversarial": vocoder, "pipeline": mel_pipeline},
    }
    data = common.speech(chosen["data"]) | {"judge_width": 144, "judge_layers": 3}
    train = common.stages(STAGES, BASE if base else None)
    sections = common.sections(chosen, "speech_synthesis", data, parts, train)
    report = {"every": 1000, "samples": 0, "loop_samples": 100, "batch_size": 50}
    tiny = {"samples": 10, "keep": ("duration_encoder.num_layers",)}
    return common.make_config(chosen["size"], sections, report, tiny)


def _priors(base: bool) -> dict[str, Any]:
    """Returns the options of each prior, by its choice."""
    size = generators.transformer(*(512, 10, 8) if base else (128, 4, 4))
    size |= {"remat": "none"}
    network = {"name": "dit", "patch": 2, **size}
    encoder = {"width": size["width"], "num_layers": 2}
    aligned = {"name": "duration_aligned", "duration_encoder": encoder}
    reads_text = {"conditioning": "cross", "encoder_layers": 6 if base else 2}
    diffusion = {"name": "diffusion", "solver": {"name": "heun"}, "num_steps": 6}
    return {
        "autoregressive": {"top_p": 0.9, "dropout": 0.1, **size, **reads_text},
        "diffusion": aligned | {"generator": diffusion | {"network": network}},
        "regression": aligned
        | {"generator": {"name": "regression", "network": network}},
    }
