"""Speech → a talking face: python -m experiments.talking_head.run --workdir=runs/x.

Handcrafted and learned Y′ have as many bits per frame; the direct model has no Y′.
"""

from experiments.study import Column, Row, Study, main

ROWS = (
    Row("face parameters", "talking_head.py"),
    Row("learned latents", "talking_head.py:abstraction=frame_latents"),
    Row("direct", "talking_head.py:abstraction=identity"),
)
COLUMNS = (
    Column("mouth correlation", "samples/mouth_correlation", "{:.3f}"),
    Column("of true Y′", "true_y_prime/mouth_correlation", "{:.3f}"),
    Column("lag", "samples/mouth_lag_ms", "{:.0f} ms"),
    Column("PSNR", "samples/psnr", "{:.1f} dB"),
    Column("from true Y′", "true_y_prime/psnr", "{:.1f} dB"),
    Column("identity", "samples/identity_accuracy", "{:.1%}"),
    Column("real: identity", "real/identity_accuracy", "{:.1%}"),
)
STUDY = Study("heads", ROWS, COLUMNS, shared=("judge",))

if __name__ == "__main__":
    main(STUDY)
