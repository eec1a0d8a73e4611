"""Speech and one picture of a face → a clip of that face talking.

`--config=configs/talking_head.py:abstraction=frame_latents` chooses; see CHOICES. The
default is speech → parameters of the face (jaw, lips, lids, pose) → frames: tracks that
are aligned in time with the speech, and a renderer. `frame_latents` learns as many tracks
of as many bits from the frames alone. `identity` is the direct baseline, speech → frames,
as differences from the picture. Voice and faces are synthetic.

Expected of the default, after 4 minutes of CPU time: the opening of the mouth has a
correlation of 0.94 with the true track of unheard sentences, and a lag of 1 ms. It is 0.92
of `frame_latents` after 19 minutes, and 0.85 of `identity` after 8.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import common, generators

CHOICES = {
    "abstraction": ("face_parameters", "frame_latents", "identity"),
    "prior": ("regression", "diffusion"),
    "decoder": ("inverse",),
    "size": ("demo", "base", "tiny"),
}
TRACKS, LEVELS = 7, 32  # Per frame: 35 bits of both abstractions.
CHUNK, OVERLAP = 50, 10  # Frames that a prior generates at once, 2 s.
STAGES = {
    "judge": common.Stage(150, 32, 2e-3),
    "abstraction": common.Stage(1200, 16, 2e-3),
    "prior": common.Stage(800, 16, 2e-3),
}
DIRECT = {"prior": common.Stage(500, 8, 2e-3)}  # Frames are large.
BASE = common.Scale(steps=10, batch_size=64, slower=2)


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES)
    base, tiny = (chosen["size"] == size for size in ("base", "tiny"))
    is_direct = chosen["abstraction"] == "identity"
    chosen["source"] = "frame_mel"
    data = {"name": "talking_faces", "max_seconds": 4.0, "judge_width": 32}
    latents = {
        "bottleneck": {"name": "rounding", "dim": TRACKS, "levels": LEVELS},
        "widths": (32, 64, 128) if base else (16, 32, 64),
    }
    parts = {
        "source": {"frame_mel": {"num_mels": 40}},
        "abstraction": {
            "face_parameters": {"levels": LEVELS},
            "frame_latents": latents,
        },
        "prior": _priors(base, tiny, is_direct),
    }
    stages = STAGES | DIRECT if is_direct else STAGES
    train = common.stages(stages, BASE if base else None)
    sections = common.sections(chosen, "talking_head", data, parts, train)
    report = {"every": 1000, "samples": 0, "loop_samples": 20, "batch_size": 20}
    return common.make_config(chosen["size"], sections, report, tiny={"samples": 4})


def _priors(base: bool, tiny: bool, is_direct: bool) -> dict[str, Any]:
    """Returns the section of each prior: of tracks from speech, or of frames."""
    size = generators.transformer(*(384, 8, 6) if base else (96, 3, 4), remat="none")
    network = {"name": "dit", "patch": 1, **size, "dropout": 0.1}
    shared = {}
    if is_direct:
        network |= {"name": "dit3d", "patch": 8, "patch_time": 2}
        shared["conditioning"] = {"name": "fields", "channels": 16}
    kinds = {
        "regression": {"network": network},
        "diffusion": generators.diffusion(network, num_steps=8) | {"guidance": 1.0},
    }
    chunks = {"length": 10, "overlap": 4} if tiny else {}
    chunks = {"name": "chunked", "length": CHUNK, "overlap": OVERLAP} | chunks
    parts = {
        name: chunks | {"generator": {"name": name, **options, **shared}}
        for name, options in kinds.items()
    }
    if is_direct:
        return parts
    # Y′ of faces has their picture, which is copied.
    copies = {"name": "pass_through", "reads": ("speech",)}
    return {name: copies | {"generator": part} for name, part in parts.items()}
