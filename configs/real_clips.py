"""First frames → the frames that follow, on three short real or animated videos.

`--config=configs/real_clips.py:data=moving_digits,size=base` chooses; see CHOICES. The
default predicts eight frames from four.

Expected on test clips of `moving_digits`: a PSNR of 17.7 dB, where copying the last frame
has 12.4 dB and linear motion of blocks 14.7 dB, after 7 minutes of CPU time. On those of
`real_clips`, a demonstration: 27.2 dB, 25.5 dB and 26.4 dB, after 4 minutes.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import common, generators

CHOICES = {
    "data": ("real_clips", "moving_digits"),
    "abstraction": ("identity", "kl", "keyframes"),
    "prior": ("regression", "diffusion"),
    "decoder": ("inverse", "regression", "diffusion"),
    "size": ("demo", "base", "tiny"),
}
FITTING = common.fitting(
    ({"decoder": ("inverse",)}, ("identity", "kl")),
    ({"decoder": ("regression", "inverse", "diffusion")}, ("keyframes",)),
)
DATA = {
    "real_clips": {"zooms": (1, 2), "stride": 1, "flips": True},
    "moving_digits": {"zooms": (1,), "stride": 4, "flips": False},
}
KEYFRAMES = {"every": 2, "factor": 2}
TEMPORAL = (True, False)  # Which levels of the codec halve the frame rate.
FRAMES = {"kl": 2, "keyframes": KEYFRAMES["every"]}  # Of Y per frame of Y′; else 1.
# Three videos are overfitted quickly; digits move far within a clip.
WINDOWS = {"real_clips": 5, "moving_digits": 0}
DROPOUT = {"real_clips": 0.1, "moving_digits": 0.0}
STEPS = {"real_clips": 800, "moving_digits": 2000}
BATCH_SIZE = 16
BASE = common.Scale(steps=10, batch_size=128, slower=2)


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, is_direct = chosen["size"] == "base", chosen["abstraction"] == "identity"
    name = chosen["data"]
    data = {
        **{"name": name, "size": 64 if base else 32},
        **{"num_given": 4, "num_predicted": 8, **DATA[name]},
    }
    priors = _generators(base, 3 if is_direct else 2, DROPOUT[name])
    conditioning = {"name": "frames", "window": WINDOWS[name]}
    conditioning["frames_per_target"] = FRAMES.get(chosen["abstraction"], 1)
    for prior in priors.values():
        prior["conditioning"] = conditioning
    parts = {
        "abstraction": {"keyframes": KEYFRAMES, "kl": _codec(base)},
        "prior": priors,
        "decoder": _generators(base, 3, DROPOUT[name]),
    }
    stages = {
        "abstraction": common.Stage(1000, BATCH_SIZE, 2e-3),
        "decoder": common.Stage(STEPS[name], BATCH_SIZE, 1e-3),
        "prior": common.Stage(STEPS[name], BATCH_SIZE, 1e-3),
    }
    train = common.stages(stages, BASE if base else None)
    report = {"every": 400, "samples": 0, "loop_samples": 64, "batch_size": 64}
    sections = common.sections(chosen, "frame_prediction", data, parts, train)
    tiny = {"samples": 4, "keep": ("networks.temporal",)}
    return common.make_config(
        chosen["size"], sections, report, tiny, checkpoint_every=500
    )


def _codec(base: bool) -> dict[str, Any]:
    """Returns the options of an autoencoder of clips, causal in time."""
    size = {"widths": (128, 256) if base else (32, 64), "num_blocks": 2 if base else 1}
    size["temporal"] = TEMPORAL
    return {
        "name": "autoencoder",
        "networks": {"name": "conv3d", "dtype": "float32", **size},
        "bottleneck": {"name": "kl", "dim": 16, "weight": 1e-6},
        "losses": ({"name": "squared_error"},),
    }


def _generators(base: bool, levels: int, dropout: float) -> dict[str, Any]:
    """Returns the options of each generator, by name."""
    widths = (128, 256, 512) if base else (64, 128, 128)
    network = {
        **{"name": "unet", "widths": widths[:levels], "num_blocks": 2 if base else 1},
        **{"dropout": dropout, "dtype": "float32"},
    }
    return {
        "regression": {"network": network},
        "diffusion": generators.diffusion(network, num_steps=12),
    }
