"""Speech → text, by default strings of spoken digits in people's voices.

`--config=configs/speech_recognition.py:abstraction=identity` chooses; see CHOICES. The
default is speech → phonemes → characters; `identity` is the direct baseline. With
`data=spoken_bible` the vocabulary is open and the voice synthetic (espeak-ng).

Expected of the default on the former splits, after 6 minutes on two CPU cores: 4.0 % of
words wrong; of the direct baseline, after 6.5 minutes: 2.9 %.
"""

from ml_collections import ConfigDict

from configs import common

CHOICES = {
    "data": ("spoken_digits", "spoken_bible", "tuxpaint_spanish", "ljspeech"),
    "abstraction": ("phonemes", "identity"),
    "prior": ("autoregressive",),
    "decoder": ("inverse", "autoregressive"),
    "size": ("demo", "base", "tiny"),
}
# What fits together, the default first.
FITTING = {
    "abstraction=phonemes": {"decoder": ("autoregressive",)},
    "abstraction=identity": {"decoder": ("inverse",)},
}
DATA = {
    "spoken_digits": (2.048, 32, "english", "identity", 2),
    "spoken_bible": (2.048, 40, "english", "mel", 4),
    "tuxpaint_spanish": (4.096, 64, "spanish", "mel", 4),
    "ljspeech": (10.24, 192, "english", "mel", 4),
}
"""Seconds and characters of the longest example, alphabet, X′, and frames per vector."""
DECODER_STEPS = {"spoken_digits": 400}


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, data = chosen["size"] == "base", chosen["data"]
    seconds, characters, alphabet, source, stride = DATA[data]
    size = common.transformer(*(512, 6, 8) if base else (96, 2, 4))
    decoder = {
        **size,
        "encoder_layers": size["num_layers"],
        "conditioning": "cross",
        "dropout": 0.1,
        "source_dropout": 0.0,
        "beam_size": 4,
        "length_penalty": 0.6,
        "remat": "none",
    }
    prior = decoder | {
        "encoder_layers": 12 if base else 3,
        "source_stride": stride,
        "ctc": 0.3,
    }
    steps = {
        "abstraction": 1000,
        "decoder": DECODER_STEPS.get(data, 1000),
        # Without a decoder to train, the prior has the time of both.
        "prior": 1700 if chosen["abstraction"] == "identity" else 1400,
    }
    times, batch_size, learning_rate = (10, 128, 2e-3 / 3) if base else (1, 32, 2e-3)
    return common.make_config(
        chosen["size"],
        {
            "task": "speech_recognition",
            "data": {
                "name": data,
                "dir": "",
                "alphabet": alphabet,
                "max_characters": characters,
                "max_seconds": seconds,
            },
            "source": {"name": source},
            "abstraction": {"name": chosen["abstraction"]},
            "prior": common.part(chosen["prior"], {"autoregressive": prior}),
            "decoder": common.part(chosen["decoder"], {"autoregressive": decoder}),
            "train": {
                stage: common.training(times * number, batch_size, learning_rate)
                for stage, number in steps.items()
            },
        },
        evaluate={"every": 2000, "samples": 0, "loop_samples": 100, "batch_size": 100},
        tiny={"samples": 10},
    )
