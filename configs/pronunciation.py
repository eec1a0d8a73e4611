"""Words → phonemes and phonemes → words, on the CMU pronouncing dictionary.

`--config=configs/pronunciation.py:direction=p2g` chooses; see CHOICES. These are the
arrows between characters and phonemes that speech recognition goes through, on words
that no training set has seen.

Expected of `size=long`, seven passes over the training pairs for error rates to compare
with published ones, after 60 minutes on two CPU cores that have other work too: 30.6 % of
the test words wrong (G2P). Of `size=demo` on the former splits: 53.3 % (G2P) and 71.4 %
(P2G).
"""

from ml_collections import ConfigDict

from configs import common, generators

CHOICES = {"direction": ("g2p", "p2g"), "size": ("demo", "long", "base", "tiny")}
STEPS = {"demo": 1200, "long": 13_000, "base": 40_000}
SIZES = {
    "demo": {**generators.transformer(128, 2, 4), "encoder_layers": 2},
    "long": {
        **generators.transformer(128, 2, 4),
        "encoder_layers": 3,
        "rotary": True,
        "dropout": 0.05,
    },
    "base": {**generators.transformer(512, 4, 8), "encoder_layers": 4},
}


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES)
    size = "demo" if chosen["size"] == "tiny" else chosen["size"]
    base, long = size == "base", size == "long"
    return common.make_config(
        chosen["size"],
        {
            "task": "pronunciation",
            "data": {
                "name": "pronunciations",
                "dir": "",
                "direction": chosen["direction"],
                # Of the 12,493 test words 9 are longer than 16, and none than 20: a
                # quarter more steps in the same time are worth more.
                "max_length": 16 if long else 20,
            },
            "source": {"name": "identity"},
            "abstraction": {"name": "identity"},
            "prior": {
                "name": "autoregressive",
                "conditioning": "cross",
                "rotary": False,
                "dropout": 0.1,
                "source_dropout": 0.0,
                "beam_size": 4,
                "remat": "none",
                **SIZES[size],
            },
            "decoder": {"name": "inverse"},
            "train": {
                "prior": common.training(
                    STEPS[size], 512 if base else 64, 1e-3 if base else 2e-3
                )
            },
        },
        evaluate={
            "every": STEPS["long"] // 20 if long else 3000,
            "samples": 0,
            "loop_samples": 500,
            "batch_size": 500,
        },
        checkpoint_every=500 if long else 1000,
        tiny={"samples": 10},
    )
