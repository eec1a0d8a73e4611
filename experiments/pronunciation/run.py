"""Words ↔ phonemes: python -m experiments.pronunciation.run --workdir=runs/x."""

from experiments.study import Column, Row, Study, main

ROWS = (
    Row("letters → phonemes", "pronunciation.py:direction=g2p,size=long"),
    Row("phonemes → letters", "pronunciation.py:direction=p2g"),
)
COLUMNS = (
    Column("symbols wrong", "samples/symbol_error_rate", "{:.1%}"),
    Column("words wrong", "samples/word_error_rate", "{:.1%}"),
)

if __name__ == "__main__":
    main(Study("pronunciation", ROWS, COLUMNS))
