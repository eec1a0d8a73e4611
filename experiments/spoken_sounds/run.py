"""Words → mel spectrogram → sound: python -m experiments.spoken_sounds.run --workdir=x."""

from experiments.study import Column, Row, Study, main

ROWS = (Row("mel", "spoken_sounds.py"),)
_PARTS = (("", "samples"), ("true Y′: ", "true_y_prime"), ("real: ", "real"))
_METRICS = (
    ("label", "accuracy"),
    ("label, held out", "held_out_accuracy"),
    ("voice", "voice_accuracy"),
    ("rate", "rate_accuracy"),
)
COLUMNS = (
    *(
        Column(prefix + title, f"{part}/{metric}", "{:.1%}")
        for prefix, part in _PARTS
        for title, metric in _METRICS
    ),
    Column("Fréchet distance", "samples/frechet", "{:.1f}", "samples/frechet_std"),
    Column("real sounds", "real/frechet", "{:.1f}", "real/frechet_std"),
    Column("log-spectral distance", "samples/log_spectral_distance", "{:.1f} dB"),
    Column("of true Y′", "true_y_prime/log_spectral_distance", "{:.1f} dB"),
)
STUDY = Study("sounds", ROWS, COLUMNS)

if __name__ == "__main__":
    main(STUDY)
