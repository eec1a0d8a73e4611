"""Words ↔ phonemes: python -m experiments.pronunciation.run --workdir=runs/x."""

from experiments.study import Row, Study, fractions, main

ROWS = (
    Row("letters → phonemes", "pronunciation.py:direction=g2p,size=long"),
    Row("phonemes → letters", "pronunciation.py:direction=p2g"),
)
COLUMNS = fractions(
    {"symbol_error_rate": "symbols wrong", "word_error_rate": "words wrong"}
)

if __name__ == "__main__":
    main(Study("pronunciation", ROWS, COLUMNS))
