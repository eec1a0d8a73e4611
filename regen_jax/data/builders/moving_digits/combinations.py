"""Combinations of digit and motion that no clip of `train` has.

Of 10 digits × 10 motions, each digit lacks two motions and each motion two digits: one of
them is in `validation`, the other in `test`. So all digits and motions of what is held out
are known, and a model that composes can generate it.
"""

from regen_jax.modalities.video.captions import MOTIONS, NUM_DIGITS, Part

HELD_OUT = {
    "validation": tuple(
        Part(digit, (3 * digit + 1) % len(MOTIONS)) for digit in range(NUM_DIGITS)
    ),
    "test": tuple(
        Part(digit, (7 * digit + 4) % len(MOTIONS)) for digit in range(NUM_DIGITS)
    ),
}
"""By split."""

LEARNED = tuple(
    Part(digit, motion)
    for digit in range(NUM_DIGITS)
    for motion in range(len(MOTIONS))
    if all(Part(digit, motion) not in parts for parts in HELD_OUT.values())
)
"""Combinations of `train`."""
