"""Which digits and letters are spoken, how, and in which split each combination is."""

import dataclasses
import itertools
import string
from collections.abc import Iterator

import numpy as np

CLASSES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *string.ascii_lowercase,
)
ACCENTS = {
    "american": "en-us",
    "british": "en",
    "scottish": "en-gb-scotland",
    "caribbean": "en-029",
}
"""Language codes of espeak-ng."""
VOICES = {
    f"{sex} {number}": f"{sex[0]}{number}"
    for sex in ("female", "male")
    for number in range(1, 6)
}
"""Variants of espeak-ng's voices."""
PITCHES = {"low": 30, "middle": 50, "high": 70}
"""From 0 to 100 within the range of a voice."""
RATES = {"slow": 120, "steady": 175, "fast": 250}
"""Words per minute."""

SEEN_PER_CLASS = 10
HELD_OUT_PER_CLASS = 10
TRAIN_SIZE: int | None = None
"""None for all that the other splits leave."""
_PITCH_PAIRS = 3


@dataclasses.dataclass(frozen=True)
class Combination:
    """What is spoken, and how; each a word of the tables of this module."""

    label: str
    accent: str
    voice: str
    pitch: str
    rate: str


def split_combinations() -> dict[str, list[Combination]]:
    """Divides all combinations into `train`, `validation` and `test`.

    Of each class one voice is held out for `test` and one for `validation`, and so is one
    pitch of three voices each. A combination of such a pair is in no other split. Each of
    the two splits has `HELD_OUT_PER_CLASS` of these per class, and `SEEN_PER_CLASS` others,
    whose pairs `train` has but which it has not.

    NumPy promises never to change the stream of `RandomState`.
    """
    random = np.random.RandomState(0)
    pairs = _held_out_pairs(random)
    pools: dict[str, list[Combination]] = {"train": [], "validation": [], "test": []}
    for combination in _combinations():
        own = {
            (combination.label, combination.voice),
            (combination.voice, combination.pitch),
        }
        split = next((name for name in pairs if own & pairs[name]), "train")
        pools[split].append(combination)
    held_out = {name: pools.pop(name) for name in pairs}
    rest = _permuted(pools["train"], random)
    splits = {}
    for name, pool in held_out.items():
        hard = _first_of_each(_permuted(pool, random), HELD_OUT_PER_CLASS)
        easy = _first_of_each(rest, SEEN_PER_CLASS)
        taken = set(easy)
        rest = [combination for combination in rest if combination not in taken]
        splits[name] = [*easy, *hard]
    return {"train": rest[:TRAIN_SIZE], **splits}


def _combinations() -> Iterator[Combination]:
    for words in itertools.product(CLASSES, ACCENTS, VOICES, PITCHES, RATES):
        yield Combination(*words)


def _held_out_pairs(
    random: np.random.RandomState,
) -> dict[str, set[tuple[str, str]]]:
    """Returns pairs of class and voice, and of voice and pitch, of each split."""
    pairs: dict[str, set[tuple[str, str]]] = {"test": set(), "validation": set()}
    for label in CLASSES:
        voices = random.permutation([*VOICES])
        for split, voice in zip(pairs, voices, strict=False):
            pairs[split].add((label, str(voice)))
    voices = random.permutation([*VOICES])
    for number, split in enumerate(pairs):
        for voice in voices[number * _PITCH_PAIRS :][:_PITCH_PAIRS]:
            pitch = random.permutation([*PITCHES])[0]
            pairs[split].add((str(voice), str(pitch)))
    return pairs


def _permuted(
    combinations: list[Combination], random: np.random.RandomState
) -> list[Combination]:
    return [combinations[row] for row in random.permutation(len(combinations))]


def _first_of_each(combinations: list[Combination], number: int) -> list[Combination]:
    """Returns the first combinations of each class, `number` of them."""
    return [
        combination
        for label in CLASSES
        for combination in itertools.islice(
            (each for each in combinations if each.label == label), number
        )
    ]
