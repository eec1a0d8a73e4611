"""Compositions of skin tone, gender and profession that no split for training has.

Of the 300 that OpenMoji draws, 20 professions × 3 genders × 5 tones, each profession has
three in `validation` and three in `test`. Every pair of profession and gender, of
profession and tone, and of gender and tone remains in `train`: a model that composes can
draw what is held out.
"""

TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
GENDERS = ("woman", "man", "")
"""As captions say them: a person of either gender is named by the profession alone."""

HELD_OUT_TONES = {
    "validation": {
        "artist": ("medium-light", "medium-dark", "medium-dark"),
        "astronaut": ("medium", "dark", "dark"),
        "construction worker": ("medium-dark", "light", "light"),
        "cook": ("dark", "medium-light", "medium-light"),
        "detective": ("light", "medium", "medium"),
        "factory worker": ("medium-light", "medium-dark", "medium-dark"),
        "farmer": ("medium", "dark", "dark"),
        "firefighter": ("medium-dark", "light", "light"),
        "guard": ("dark", "medium-light", "medium-light"),
        "health worker": ("light", "medium", "medium"),
        "judge": ("medium-light", "medium-dark", "medium-dark"),
        "mechanic": ("medium", "dark", "dark"),
        "office worker": ("medium-dark", "light", "light"),
        "pilot": ("dark", "medium-light", "medium-light"),
        "police officer": ("light", "medium", "medium"),
        "scientist": ("medium-light", "medium-dark", "medium-dark"),
        "singer": ("medium", "dark", "dark"),
        "student": ("medium-dark", "light", "light"),
        "teacher": ("dark", "medium-light", "medium-light"),
        "technologist": ("light", "medium", "medium"),
    },
    "test": {
        "artist": ("light", "medium", "medium"),
        "astronaut": ("medium-light", "medium-dark", "medium-dark"),
        "construction worker": ("medium", "dark", "dark"),
        "cook": ("medium-dark", "light", "light"),
        "detective": ("dark", "medium-light", "medium-light"),
        "factory worker": ("light", "medium", "medium"),
        "farmer": ("medium-light", "medium-dark", "medium-dark"),
        "firefighter": ("medium", "dark", "dark"),
        "guard": ("medium-dark", "light", "light"),
        "health worker": ("dark", "medium-light", "medium-light"),
        "judge": ("light", "medium", "medium"),
        "mechanic": ("medium-light", "medium-dark", "medium-dark"),
        "office worker": ("medium", "dark", "dark"),
        "pilot": ("medium-dark", "light", "light"),
        "police officer": ("dark", "medium-light", "medium-light"),
        "scientist": ("light", "medium", "medium"),
        "singer": ("medium-light", "medium-dark", "medium-dark"),
        "student": ("medium", "dark", "dark"),
        "teacher": ("medium-dark", "light", "light"),
        "technologist": ("dark", "medium-light", "medium-light"),
    },
}
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
