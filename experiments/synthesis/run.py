"""Text → mel → wave: python -m experiments.synthesis.run --workdir=runs/x."""

from experiments.study import Column, Row, Study, fractions, main

VOCODER = "mel prior and vocoder"
ROWS = (
    Row(VOCODER, "speech_synthesis.py"),
    Row(
        "mel prior and Griffin-Lim",
        "speech_synthesis.py:decoder=inverse",
        {
            "train.prior.init_from": f"{{{VOCODER}}}",
            "train.judge.init_from": f"{{{VOCODER}}}",
        },
    ),
)
COLUMNS = (
    *fractions({"cer": "CER", "wer": "WER"}),
    Column("CER of references", "real/cer", "{:.1%}"),
    Column("MCD", "samples/mcd", "{:.2f} dB"),
    Column("real-time factor", "samples/throughput_real_time_factor"),
)

if __name__ == "__main__":
    main(Study("synthesis", ROWS, COLUMNS))
