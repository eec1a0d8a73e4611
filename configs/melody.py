"""German lyrics with meter and key → melody, on the sopranos of Bach's chorales.

`--config=configs/melody.py:abstraction=identity` chooses; see CHOICES. The default is
lyrics → music template (tonality, chords, rhythm and cadences) → melody; `identity` is
the direct baseline, trained for about the time of the other two arrows.

Expected of the default on the former splits, after 7 minutes on two CPU cores: 97.8 % of
notes in the key, as of real tunes (97.4 %), and 3.20 nats per note of template and tune,
where the direct baseline has 2.49.
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
    "abstraction=fsq": {"decoder": ("autoregressive",)},
    "abstraction=identity": {"decoder": ("inverse",)},
}


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, abstraction = chosen["size"] == "base", chosen["abstraction"]
    size = common.transformer(*(512, 8, 8) if base else (128, 3, 4))
    division = 4 if base else 2
    abstractions = {
        "music_template": {"division": division},
        "fsq": common.latent_queries(size, 32, {"name": "fsq", "levels": (8, 8, 8)}),
    }
    generator = {
        **size,
        "encoder_layers": 2,
        "conditioning": "cross",
        "rotary": True,
        "dropout": 0.1,
        "source_dropout": 0.0,
        "temperature": 0.8,
        "top_p": 0.9,
        "constraint_weight": 0.0,
        "remat": "none",
    }
    prior, decoder = dict(generator), dict(generator)
    if abstraction == "music_template":
        # Templates have rules; those that are drawn more narrowly dwell on one chord.
        prior |= {"temperature": 0.9, "constraint_weight": 4.0}
    if abstraction != "fsq":
        # Codes of a whole piece are not aligned with it in time; nor are lyrics.
        decoder |= {"conditioning": "aligned"}
    # Without a decoder to train, the prior has the time of both.
    steps = {"abstraction": 1000, "decoder": 800, "prior": 500}
    steps |= {"prior": 900} if abstraction == "identity" else {}
    times, batch_size, learning_rate = (10, 64, 2e-3 / 3) if base else (1, 16, 2e-3)
    train = {
        stage: common.training(times * number, batch_size, learning_rate)
        for stage, number in steps.items()
    }
    for stage in ("abstraction", "decoder"):
        # They read Y alone: tunes without words teach them too.
        train[stage]["split"] = "targets"
    return common.make_config(
        chosen["size"],
        {
            "task": "melody",
            "data": {
                "name": "chorales",
                "dir": "",
                "division": division,
                "max_beats": 96 if base else 64,
                "transpose": 5,
                "folk_tunes": "folk_tunes",
            },
            "source": {"name": "identity"},
            "abstraction": common.part(abstraction, abstractions),
            "prior": common.part(chosen["prior"], {"autoregressive": prior}),
            "decoder": common.part(chosen["decoder"], {"autoregressive": decoder}),
            "train": train,
        },
        evaluate={"every": 4000, "samples": 0, "loop_samples": 0, "batch_size": 42},
        tiny={"samples": 4},
    )
