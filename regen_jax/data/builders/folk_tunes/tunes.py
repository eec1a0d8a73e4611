"""Reads folk tunes in ABC notation."""

import logging
import re
from collections.abc import Sequence

import numpy as np

from regen_jax.data.builders import music21_corpus, tune_similarity
from regen_jax.data.builders.chorales.tunes import SAME_TUNE, melody_skeleton
from regen_jax.data.builders.music21_corpus import UnsuitablePiece

BOOKS = ("airdsAirs", "miscFolk", "oneills1850", "ryansMammoth")
MAX_TUNES = 1_000
SEED = 0

logger = logging.getLogger(__name__)


def sample_tunes() -> list[str]:
    """Returns 1,000 tunes of the books in ABC notation, alike on every machine.

    Tunes with first and second endings, or with several voices, are not among them.
    """
    paths = [
        path
        for book in BOOKS
        for path in music21_corpus.corpus_folder(book).glob("*.abc")
    ]
    texts = [
        path.read_text(encoding="utf-8", errors="replace") for path in sorted(paths)
    ]
    tunes = [
        tune
        for text in texts
        for tune in re.split(r"^(?=X:)", text, flags=re.MULTILINE)[1:]
        if not re.search(r"[\[|] ?[12]|^V:", tune, re.MULTILINE)
    ]
    order = np.random.RandomState(SEED).permutation(len(tunes))[:MAX_TUNES]
    return [tunes[index] for index in sorted(order)]


def read_tunes(texts: Sequence[str]) -> list[dict]:
    """Reads the tunes that are one voice in one meter with full bars, as examples."""
    examples = music21_corpus.read_pieces(read_tune, texts, "folk tunes")
    return [example for example in examples if example is not None]


def read_tune(text: str) -> dict:
    """Reads the example of a tune in ABC notation.

    Raises:
      UnsuitablePiece: it is not one voice in one meter, or cannot be read.
    """
    from music21 import converter
    from music21.exceptions21 import Music21Exception

    try:
        score = converter.parse(text, format="abc")
        if len(score.parts) != 1:
            raise UnsuitablePiece("not one part")
        bars = music21_corpus.read_bars(score.parts[0])
        voice = music21_corpus.read_voice(score.parts[0], bars)
    except (Music21Exception, LookupError, TypeError, ValueError) as error:
        raise UnsuitablePiece(f"not read: {type(error).__name__}") from error
    title = re.search(r"^T: *(.*?)\s*$", text, re.MULTILINE)
    return music21_corpus.make_example(
        [voice], bars, music21_corpus.estimate_key(score), title[1] if title else ""
    )


def drop_tunes_of(chorales: Sequence[dict], examples: list[dict]) -> list[dict]:
    """Drops the examples that are the tune of a chorale.

    Beats are compared with beats, and with halves of them: a quarter note of a chorale
    may be a half note elsewhere.
    """
    skeletons = [melody_skeleton(chorale) for chorale in chorales]
    nearest = np.zeros(len(examples))
    for steps in (4, 6, 8):
        others = [tune_similarity.skeleton(e["notes"][:, 1:], steps) for e in examples]
        for skeleton in skeletons:
            similarity = tune_similarity.similarities(skeleton, others)
            nearest = np.maximum(nearest, similarity)
    remaining = [
        example
        for example, similarity in zip(examples, nearest, strict=True)
        if similarity < SAME_TUNE
    ]
    logger.info(
        "left out: %d tunes of held-out chorales", len(examples) - len(remaining)
    )
    return remaining
