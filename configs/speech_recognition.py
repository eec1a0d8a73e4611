"""Speech → text, by default strings of spoken digits in people's voices.

`--config=configs/speech_recognition.py:abstraction=identity` chooses; see CHOICES. The
default is speech → phonemes → characters; `identity` is the direct baseline. With
`data=spoken_bible` the vocabulary is open and the voice synthetic (espeak-ng).

Expected of the default on the former splits, after 6 minutes on two CPU cores: 4.0 % of
words wrong; of the direct baseline, after 6.5 minutes: 2.9 %.
"""

from ml_collections import ConfigDict

from configs import common, generators

CHOICES = {
    "data": ("spoken_digits", "spoken_bible", "tuxpaint_spanish", "ljspeech"),
    "abstraction": ("phonemes", "identity"),
    "prior": ("autoregressive",),
    "decoder": ("inverse", "autoregressive"),
    "size": ("demo", "base", "tiny"),
}
# What fits together, the default first.
FITTING = common.fitting(
    ({"decoder": ("autoregressive",)}, ("phonemes",)),
    ({"decoder": ("inverse",)}, ("identity",)),
)
# Features are read as they are, and waves through their spectrogram.
SOURCES = {"spoken_digits": "identity"}
STRIDES = {"identity": 2, "mel": 4}
"""By X′, frames per vector of the encoder."""
DECODER_STEPS = {"spoken_digits": 400}
BASE = common.Scale(steps=10, batch_size=128, slower=3)


def get_config(arg: str = "") -> ConfigDict:
    """Returns the config of `arg`, `key=value` pairs of CHOICES separated by commas."""
    chosen = common.parse_choices(arg, CHOICES, FITTING)
    base, data = chosen["size"] == "base", chosen["data"]
    chosen["source"] = SOURCES.get(data, "mel")
    size = generators.transformer(*(512, 6, 8) if base else (96, 2, 4))
    decoder = generators.encoder_decoder(
        size, dropout=0.1, beam_size=4, length_penalty=0.6
    )
    prior = decoder | {
        "encoder_layers": 12 if base else 3,
        "source_stride": STRIDES[chosen["source"]],
        "ctc": 0.3,
    }
    parts = {
        "prior": {"autoregressive": prior},
        "decoder": {"autoregressive": decoder},
    }
    steps = {
        "abstraction": 1000,
        "decoder": DECODER_STEPS.get(data, 1000),
        # Without a decoder to train, the prior has the time of both.
        "prior": 1700 if chosen["abstraction"] == "identity" else 1400,
    }
    table = common.equal_stages(32, 2e-3, **steps)
    train = common.stages(table, BASE if base else None)
    options = common.speech(data)
    sections = common.sections(chosen, "speech_recognition", options, parts, train)
    report = {"every": 2000, "samples": 0, "loop_samples": 100, "batch_size": 100}
    return common.make_config(chosen["size"], sections, report, tiny={"samples": 10})
