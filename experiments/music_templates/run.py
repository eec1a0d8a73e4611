"""Music by a template: python -m experiments.music_templates.run --workdir=runs/x."""

from experiments.study import Column, Row, Study, main

HARMONY = "harmony by a template"
ROWS = (
    Row(HARMONY, "harmony.py"),
    Row(
        "harmony, decoder without constraints",
        "harmony.py",
        {
            "decoder.constraint_weight": 0.0,
            "train.decoder.init_from": f"{{{HARMONY}}}",
            "train.prior.init_from": f"{{{HARMONY}}}",
        },
    ),
    Row("harmony, direct", "harmony.py:abstraction=identity"),
    Row("melody by a template", "melody.py"),
    Row("melody, direct", "melody.py:abstraction=identity"),
)
COLUMNS = (
    Column("voice-leading faults per 100 quarter notes", "samples/faults"),
    Column("of real pieces", "real/faults"),
    Column("notes in the key", "samples/in_key", "{:.1%}"),
    Column("notes in their chord", "samples/adherence_in_chord", "{:.0%}"),
    Column("chords kept", "samples/adherence_chord", "{:.0%}"),
    Column("distance of intervals", "samples/interval_distance"),
    Column("nats per note", "pipeline/nll_per_note"),
)

if __name__ == "__main__":
    main(Study("templates", ROWS, COLUMNS))
