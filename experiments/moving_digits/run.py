"""Caption → clip, by Y′ or direct: python -m experiments.moving_digits.run --workdir=x.

The steps of the direct model are chosen so that it trains for as many FLOPs as the prior
of trajectories; the judge's are not counted.
"""

from experiments.equal_flops import with_equal_flops
from experiments.study import FRECHET, Column, Row, Scale, Study, fractions, main

TRAJECTORY = Row("trajectory", "moving_digits.py")
LATENTS = Row("latents", "moving_digits.py:abstraction=latents")
DIRECT = Row("direct", "moving_digits.py:abstraction=identity")


def rows(scale: Scale) -> tuple[Row, ...]:
    """Returns the rows, the direct one with the steps of equal FLOPs."""
    return TRAJECTORY, LATENTS, with_equal_flops(DIRECT, TRAJECTORY, scale)


ACCURACIES = {
    "digit_accuracy": "digit",
    "motion_accuracy": "motion",
    "held_out_digit_accuracy": "held-out digit",
    "held_out_motion_accuracy": "held-out motion",
}
COLUMNS = (
    *fractions(ACCURACIES, {"samples": "", "real": "real: "}),
    FRECHET,
    Column("real: Fréchet", "real/frechet", "{:.1f}", "real/frechet_std"),
    Column("warping error", "samples/warping_error"),
    Column("real: warping", "real/warping_error"),
)
STUDY = Study("clips", rows, COLUMNS, shared=("judge",))

if __name__ == "__main__":
    main(STUDY)
