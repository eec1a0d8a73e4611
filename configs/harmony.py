"""Soprano → four voices, on Bach's chorales.

`--config=configs/harmony.py:abstraction=identity` chooses; see CHOICES. The default is
soprano → lead sheet (tonality, chords, rhythm, cadences and the soprano) → four voices;
`identity` is the direct baseline, trained for about the time of the other two arrows.

Expected of the default on the former splits, after 7 minutes on two CPU cores: 2.7
voice-leading faults per 100 quarter notes, where Bach has 1.95; of the direct baseline,
after 8 minutes: 2.2.
"""

from ml_collections import ConfigDict

from configs import common

CHOICES = {
    "abstraction": ("music_template", "fsq", "identity"),
    "prior": ("autoregressive",),
    "decoder": ("inverse", "autoregressive"),
    "size": ("demo", "base", "tiny"),
}
# What fits together, the default first.
FITTING = {
    "abstraction=music_template": {"decoder": ("autoregressive",)},
    "abstraction=fsq": {"decoder": ("autoregressive", "inverse")},
    "abstraction=identity": {"decoder": ("inverse",)},
}


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, abstraction = chosen["size"] == "base", chosen["abstraction"]
    size = common.transformer(*(512, 8, 8) if base else (128, 3, 4))
    division = 4 if base else 2
    abstractions = {
        "music_template": {"melody": True, "division": division},
        "fsq": common.latent_queries(size, 64, {"name": "fsq", "levels": (8, 8, 8)}),
    }
    generator = {
        **size,
        "encoder_layers": 2,
        # Codes of a whole piece are not aligned with it in time.
        "conditioning": "cross" if abstraction == "fsq" else "aligned",
        "rotary": True,
        "dropout": 0.1,
        "source_dropout": 0.0,
        "temperature": 0.8,
        "top_p": 0.9,
        "constraint_weight": 4.0,
        "remat": "none",
    }
    # Templates and voices have rules, codes have none.
    prior = generator | ({"constraint_weight": 0.0} if abstraction == "fsq" else {})
    # Without a decoder to train, the prior has the time of both.
    steps = {"abstraction": 1000, "decoder": 850, "prior": 750}
    steps |= {"prior": 1400} if abstraction == "identity" else {}
    times, batch_size, learning_rate = (10, 64, 2e-3 / 3) if base else (1, 16, 2e-3)
    return common.make_config(
        chosen["size"],
        {
            "task": "harmony",
            "data": {
                "name": "chorales",
                "dir": "",
                "division": division,
                "max_beats": 96 if base else 64,
                "transpose": 5,
            },
            "source": {"name": "identity"},
            "abstraction": common.part(abstraction, abstractions),
            "prior": common.part(chosen["prior"], {"autoregressive": prior}),
            "decoder": common.part(chosen["decoder"], {"autoregressive": generator}),
            "train": {
                stage: common.training(times * number, batch_size, learning_rate)
                for stage, number in steps.items()
            },
        },
        evaluate={"every": 4000, "samples": 0, "loop_samples": 0, "batch_size": 42},
        tiny={"samples": 4},
    )
