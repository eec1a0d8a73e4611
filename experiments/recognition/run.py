"""Speech → phonemes → text: python -m experiments.recognition.run --workdir=runs/x."""

from experiments.study import Column, Row, Study, fractions, main

ROWS = (
    Row("through phonemes", "speech_recognition.py"),
    Row("direct, as many steps as both", "speech_recognition.py:abstraction=identity"),
)
COLUMNS = (
    *fractions({"wer": "WER", "cer": "CER", "per": "phonemes (PER)"}),
    Column("P2G fed true phonemes (WER)", "decoder/wer", "{:.1%}"),
)

if __name__ == "__main__":
    main(Study("recognition", ROWS, COLUMNS))
