"""German lyrics with meter and key → melody, on the sopranos of Bach's chorales.

`--config=configs/melody.py:abstraction=identity` chooses; see CHOICES. The default is
lyrics → music template (tonality, chords, rhythm and cadences) → melody; `identity` is
the direct baseline, trained for about the time of the other two arrows.

Expected of the default on the former splits, after 7 minutes on two CPU cores: 97.8 % of
notes in the key, as of real tunes (97.4 %), and 3.20 nats per note of template and tune,
where the direct baseline has 2.49.
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
    ({"decoder": ("autoregressive",)}, ("music_template", "fsq")),
    ({"decoder": ("inverse",)}, ("identity",)),
)
BASE = common.Scale(steps=10, batch_size=64, slower=3)


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, abstraction = chosen["size"] == "base", chosen["abstraction"]
    data = common.chorales(base) | {"folk_tunes": "folk_tunes"}
    size = generators.transformer(*(512, 8, 8) if base else (128, 3, 4))
    prior = generators.encoder_decoder(
        size, encoder_layers=2, rotary=True, dropout=0.1, temperature=0.8, top_p=0.9
    )
    prior["constraint_weight"] = 0.0
    # Codes of a whole piece are not aligned with it in time; nor are lyrics.
    decoder = prior | {"conditioning": "cross" if abstraction == "fsq" else "aligned"}
    if abstraction == "music_template":
        # Templates have rules; those that are drawn more narrowly dwell on one chord.
        prior |= {"temperature": 0.9, "constraint_weight": 4.0}
    codes = common.latent_queries(size, 32, {"name": "fsq", "levels": (8, 8, 8)})
    template = {"division": data["division"]}
    parts = {
        "abstraction": {"music_template": template, "fsq": codes},
        "prior": {"autoregressive": prior},
        "decoder": {"autoregressive": decoder},
    }
    steps = {"abstraction": 1000, "decoder": 800}
    # Without a decoder to train, the prior has the time of both.
    steps["prior"] = 900 if abstraction == "identity" else 500
    stages = common.equal_stages(16, 2e-3, **steps)
    # Tunes without words teach them too.
    without_source = "abstraction", "decoder"
    train = common.stages(stages, BASE if base else None, without_source)
    sections = common.sections(chosen, "melody", data, parts, train)
    report = {"every": 4000, "samples": 0, "loop_samples": 0, "batch_size": 42}
    return common.make_config(chosen["size"], sections, report, tiny={"samples": 4})
