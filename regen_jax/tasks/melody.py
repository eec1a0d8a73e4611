"""Lyrics with meter and key → melody."""

import dataclasses
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from regen_jax.data.readers.in_memory import InMemoryExamples
from regen_jax.data.readers.scores import load_scores
from regen_jax.data.tfds import prepared
from regen_jax.errors import UserError
from regen_jax.interfaces import Example
from regen_jax.interfaces.task import Generated, PromptKind
from regen_jax.modalities.music import events
from regen_jax.modalities.music.score import Note, Score, from_events, scale
from regen_jax.modalities.text import tokenizer
from regen_jax.ranges import Count
from regen_jax.spaces import Tokens
from regen_jax.tasks.scored import ScoreTask

_HEAD = re.compile(r"\s*([0-9]+)/([0-9]+)\s+([^\s:]+)\s*:\s*(.*)", re.DOTALL)
_EXAMPLE = '"4/4 G: Wach auf, mein Herz, und sin-ge / dem Schöp-fer al-ler Din-ge"'


@dataclasses.dataclass(frozen=True)
class Melody(ScoreTask):
    """X is a text such as `4/4 G: Nun dan-ket al-le Gott / …`, and Y its tune.

    Meter and key come first (lower case is minor), then syllables; `-` joins those of a
    word and `/` ends a line, which the tune ends with a fermata.

    Attributes:
      pieces_vocab: pieces that a tokenizer learns of the lyrics of the train split.
      max_pieces: the most of X; longer texts are left out.
      folk_tunes: a prepared set of tunes without words, of which those that the grid can
        write are among `targets`; none if empty.
    """

    prompt_kinds: ClassVar = {"text": PromptKind("a text to generate from")}

    pieces_vocab: Count = 400
    max_pieces: Count = 160
    folk_tunes: str = "folk_tunes"

    @property
    def x(self) -> Tokens:
        return tokenizer.subword_space(tuple(self.info["pieces"]), self.max_pieces)

    @property
    def y(self) -> Tokens:
        return events.space(self.steps)

    def read_info(self) -> dict[str, Any]:
        train = self.splits.stored("train")
        pieces = _tokenizer(self.name, train, self.dir, self.pieces_vocab)
        known = self.with_info({"pieces": pieces})
        return {"pieces": list(pieces), "meters": _meters(known)}

    def examples(self, split: str) -> Sequence[Example]:
        return _melodies(self, split)

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "text":
            raise UserError(f"melody reads --text=LYRICS, not --{kind}")
        text = lyrics(value)
        meter, _, _ = text.partition(" ")
        known = self.info["meters"]
        if meter not in known:
            raise UserError(
                f"the meter {meter[:20]} is not in the training data: choose "
                f"{' or '.join(known)}"
            )
        return {"x": tokenizer.encode(self.x, text)}

    def fits(self, score: Score) -> bool:
        return super().fits(score) and len(self._text_ids(score)) > 0

    def is_pair(self, score: Score) -> bool:
        return bool(written(score))

    def _text_ids(self, score: Score) -> list[int]:
        """Returns pieces of the text of a score; none if it has no words or too many."""
        text, space = written(score), self.x
        try:
            ids = tokenizer.tokenize(space, text) if text else []
        except UserError:
            # It has a character that is in no text of the train split.
            return []
        return ids if len(ids) <= self.max_pieces else []

    def score(self, prompts: Example, index: int, ids: np.ndarray) -> Score:
        if "x" not in prompts:
            return from_events(ids, self.division)
        text = tokenizer.decode(self.x, np.asarray(prompts["x"])[index])
        beats, unit, key, words = _HEAD.fullmatch(text).groups()
        meter = int(beats), int(unit)
        return from_events(ids, self.division, meter, key, syllables(words))

    def source_metrics(self, generated: Generated) -> dict[str, float]:
        """Computes `notes_per_syllable`."""
        texts = [tokenizer.decode(self.x, row) for row in generated.prompts["x"]]
        sung = sum(len(syllables(text.partition(":")[2])) for text in texts)
        notes = events.onset_mask(generated.y, axis=1).sum()
        return {"notes_per_syllable": float(notes / sung)}

    def _keys(self, prompts: Example, y: np.ndarray) -> list[str]:
        if "x" not in prompts:
            return super()._keys(prompts, y)
        texts = (tokenizer.decode(self.x, row) for row in np.asarray(prompts["x"]))
        return [_HEAD.fullmatch(text)[3] for text in texts]


def lyrics(text: str) -> str:
    """Normalizes a text of X.

    Raises:
      UserError: meter, key or words are missing, or there is no such key.
    """
    # Editors of texts begin them with a byte-order mark.
    match = _HEAD.fullmatch(text.removeprefix("\ufeff"))
    if match is None:
        raise UserError(
            f"lyrics begin with meter, key and a colon, as in {_EXAMPLE}, not with "
            f"{text[:20]!r}"
        )
    beats, unit, key, words = match.groups()
    beats, unit = (number.lstrip("0") or "0" for number in (beats, unit))
    try:
        scale(key)
    except ValueError as error:
        raise UserError(
            f"there is no key {key[:20]!r}: use C C# D … B, or c c# d … b in minor"
        ) from error
    lines = [line.strip() for line in words.split("/")]
    lines = lines[:-1] if len(lines) > 1 and not lines[-1] else lines
    for number, line in enumerate(lines, 1):
        if not re.search(r"[^\W\d_]", line):
            raise UserError(f"line {number} of the lyrics has no words")
    return f"{beats}/{unit} {key}: {' / '.join(lines)} /"


def syllables(words: str) -> list[str]:
    """Splits lyrics into syllables; those within a word end in `-`."""
    result = []
    for word in words.replace("/", " ").split():
        parts = [part for part in word.split("-") if part]
        result += [f"{part}-" for part in parts[:-1]] + parts[-1:]
    return result


def written(score: Score) -> str:
    """Writes X of a score from the lyrics of its first voice; empty if it has none."""
    notes = score.voices[0]
    if not any(note.lyric for note in notes):
        return ""
    words = "".join(map(_sung, notes)).strip()
    words = re.sub(r"\s+", " ", words.removesuffix("/"))
    return lyrics(f"{score.meter[0]}/{score.meter[1]} {score.key}: {words}")


def _sung(note: Note) -> str:
    """Returns the text of a note: `Wach `, `sin-`, and `/` where a line ends."""
    syllable = note.lyric.replace("/", "")
    between = "" if not syllable or syllable.endswith("-") else " "
    return syllable + between + (" / " if note.fermata else "")


@functools.lru_cache(maxsize=4)
def _tokenizer(name: str, train: str, data_dir: str, vocab: int) -> tuple[str, ...]:
    """Pieces of the lyrics of the split that is trained on, in every key."""
    folder = Path(prepared.require(name, train, data_dir).data_dir)

    def learn() -> tuple[str, ...]:
        texts = [written(piece.score) for piece in load_scores(name, train, data_dir)]
        texts += [f"{key}:" for key in (*events.PITCH_CLASSES, "c#", "d#", "a#", "f#")]
        return tokenizer.train([text for text in texts if text], vocab)

    try:
        return tokenizer.load_or_train(
            folder / f"tokenizer-{train}-{vocab}.json", learn
        )
    except ValueError as error:
        raise UserError(f"config.data: {error}") from error


def _meters(task: Melody) -> list[str]:
    """Returns the time signatures of the texts that a task trains on, such as `3/4`."""
    train = task.splits.stored("train")
    scores = (piece.score for piece in load_scores(task.name, train, task.dir))
    meters = {score.meter for score in scores if task.fits(score)}
    return [f"{beats}/{unit}" for beats, unit in sorted(meters)]


@functools.lru_cache(maxsize=8)
def _melodies(task: Melody, split: str) -> InMemoryExamples:
    alone = split == "targets"
    scores = [score for _, score in task.pieces(split)]
    if alone and task.folk_tunes:
        tunes = task.pieces("train", task.folk_tunes, whole=True)
        scores += [score for _, score in tunes]
    examples = []
    for score in scores:
        tune = dataclasses.replace(score, voices=score.voices[:1])
        example = {"y": task.encoded(tune, task.y)}
        if not alone:
            if not (ids := task._text_ids(score)):
                continue
            example["x"] = np.zeros(task.max_pieces, np.int32)
            example["x"][: len(ids)] = ids
        examples.append(example)
    return task.listed(split, examples)
