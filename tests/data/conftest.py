import pytest

CHORALES = (
    *("65.2", "66.6", "67.7", "84.5", "166.6", "197.10", "245.22", "255"),
    *("265", "269", "286", "347", "377", "384", "396", "424"),
)
"""Short ones: 84.5, 166.6 and 197.10 are one tune, and so are 245.22 and 377."""


@pytest.fixture(scope="session")
def music_dir(shared) -> str:
    """A data folder of 16 chorales, 12 of them for training, and 12 folk tunes."""
    from regen_jax.data import chorales, corpus, folk_tunes
    from regen_jax.data.prepare import prepare

    def pieces():
        return [corpus.folder("bach") / f"bwv{number}.mxl" for number in CHORALES]

    with shared("data") as folder, pytest.MonkeyPatch.context() as m:
        m.setattr(chorales, "pieces", pieces)
        m.setattr(chorales, "TEST_SHARE", 0.25)
        m.setattr(folk_tunes, "MAX_TUNES", 15)
        for name in ("chorales", "folk_tunes"):
            prepare(name, str(folder))
    return str(folder)
