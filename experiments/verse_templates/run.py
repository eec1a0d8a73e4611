"""Verses by a template: python -m experiments.verse_templates.run --workdir=runs/x."""

from experiments.study import Column, Row, Study, main

ROWS = tuple(
    Row(f"{title}, seed {seed}", config, {"seed": seed})
    for title, config in (
        ("X → template → Y", "simplification.py"),
        ("X → Y", "simplification.py:abstraction=identity"),
    )
    for seed in range(3)
)
COLUMNS = (
    *(Column(k, f"samples/{k.lower()}", "{:.1f}") for k in ("BLEU", "chrF", "SARI")),
    Column("nats per word", "pipeline/nll_per_word", "{:.2f}"),
    Column("perplexity per piece", "samples/perplexity", "{:.1f}"),
    Column("new 4-grams", "samples/novelty", "{:.0%}"),
)

if __name__ == "__main__":
    main(Study("verses_by_seed", ROWS, COLUMNS))
