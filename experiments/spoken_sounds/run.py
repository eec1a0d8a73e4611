"""Words → mel spectrogram → sound: python -m experiments.spoken_sounds.run --workdir=x."""

from experiments.study import FRECHET, Column, Row, Study, fractions, main

ROWS = (Row("mel", "spoken_sounds.py"),)
PARTS = {"samples": "", "true_y_prime": "true Y′: ", "real": "real: "}
ACCURACIES = {
    "accuracy": "label",
    "held_out_accuracy": "label, held out",
    "voice_accuracy": "voice",
    "rate_accuracy": "rate",
}
COLUMNS = (
    *fractions(ACCURACIES, PARTS),
    FRECHET,
    Column("real sounds", "real/frechet", "{:.1f}", "real/frechet_std"),
    Column("log-spectral distance", "samples/log_spectral_distance", "{:.1f} dB"),
    Column("of true Y′", "true_y_prime/log_spectral_distance", "{:.1f} dB"),
)
STUDY = Study("sounds", ROWS, COLUMNS)

if __name__ == "__main__":
    main(STUDY)
