"""Compositions of skin tone, gender and profession that no split for training has.

Of the 300 that OpenMoji draws, 20 professions × 3 genders × 5 tones, each profession has
three in `validation` and three in `test`. Every pair of profession and gender, of
profession and tone, and of gender and tone remains in `train`: a model that composes can
draw what is held out.
"""

TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
GENDERS = ("woman", "man", "")
"""As captions say them: a person of either gender is named by the profession alone."""

PROFESSIONS = (
    *("artist", "astronaut", "construction worker", "cook", "detective"),
    *("factory worker", "farmer", "firefighter", "guard", "health worker"),
    *("judge", "mechanic", "office worker", "pilot", "police officer"),
    *("scientist", "singer", "student", "teacher", "technologist"),
)


def _rotated_tones(start: int) -> dict[str, tuple[str, ...]]:
    """Returns tones of each profession: the woman's, and two further on the others'.

    `start` is the woman's of the first profession; that of each profession is the next.
    """
    tones = {}
    for number, profession in enumerate(PROFESSIONS, start):
        woman, others = (TONES[(number + n) % len(TONES)] for n in (0, 2))
        tones[profession] = (woman, others, others)
    return tones


HELD_OUT_TONES = {"validation": _rotated_tones(1), "test": _rotated_tones(0)}
"""By split and profession, the tone that is held out of each of `GENDERS`, in order.

Of nearly half of the professions the person of either gender is drawn as the man: the
two are held out together, so that no picture is in two splits.
"""


def caption(tone: str, gender: str, profession: str) -> str:
    """Returns the caption of a composition, such as `woman artist dark skin tone`."""
    return f"{gender} {profession} {tone} skin tone".lstrip()


def held_out_captions() -> dict[str, str]:
    """Returns the split of each held-out caption: `validation` or `test`."""
    return {
        caption(tone, gender, profession): split
        for split, professions in HELD_OUT_TONES.items()
        for profession, tones in professions.items()
        for gender, tone in zip(GENDERS, tones, strict=True)
    }
