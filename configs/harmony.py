"""Soprano → four voices, on Bach's chorales.

`--config=configs/harmony.py:abstraction=identity` chooses; see CHOICES. The default is
soprano → lead sheet (tonality, chords, rhythm, cadences and the soprano) → four voices;
`identity` is the direct baseline, trained for about the time of the other two arrows.

Expected of the default on the former splits, after 7 minutes on two CPU cores: 2.7
voice-leading faults per 100 quarter notes, where Bach has 1.95; of the direct baseline,
after 8 minutes: 2.2.
"""

from ml_collections import ConfigDict

from configs import common, generators

CHOICES = {
    "abstraction": ("music_template", "fsq", "identity"),
    "prior": ("autoregressive",),
    "decoder": ("inverse", "autoregressive"),
    "size": ("demo", "base", "tiny"),
}
# What fits together, the default first.
FITTING = common.fitting(
    ({"decoder": ("autoregressive",)}, ("music_template",)),
    ({"decoder": ("autoregressive", "inverse")}, ("fsq",)),
    ({"decoder": ("inverse",)}, ("identity",)),
)
BASE = common.Scale(steps=10, batch_size=64, slower=3)


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, abstraction = chosen["size"] == "base", chosen["abstraction"]
    data = common.chorales(base)
    size = generators.transformer(*(512, 8, 8) if base else (128, 3, 4))
    decoder = generators.encoder_decoder(
        size, encoder_layers=2, rotary=True, dropout=0.1, temperature=0.8, top_p=0.9
    )
    # Codes of a whole piece are not aligned with it in time.
    decoder["conditioning"] = "cross" if abstraction == "fsq" else "aligned"
    decoder["constraint_weight"] = 4.0
    # Templates and voices have rules, codes have none.
    prior = decoder | ({"constraint_weight": 0.0} if abstraction == "fsq" else {})
    parts = {
        "abstraction": {
            "music_template": {"melody": True, "division": data["division"]},
            "fsq": common.latent_queries(
                size, 64, {"name": "fsq", "levels": (8, 8, 8)}
            ),
        },
        "prior": {"autoregressive": prior},
        "decoder": {"autoregressive": decoder},
    }
    steps = {"abstraction": 1000, "decoder": 850}
    # Without a decoder to train, the prior has the time of both.
    steps["prior"] = 1400 if abstraction == "identity" else 750
    stages = common.equal_stages(16, 2e-3, **steps)
    train = common.stages(stages, BASE if base else None)
    sections = common.sections(chosen, "harmony", data, parts, train)
    report = {"every": 4000, "samples": 0, "loop_samples": 0, "batch_size": 42}
    return common.make_config(chosen["size"], sections, report, tiny={"samples": 4})
