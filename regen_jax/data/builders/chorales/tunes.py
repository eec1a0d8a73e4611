"""Recognizes chorales of one tune, and divides chorales by tunes."""

import re

import numpy as np

from regen_jax.data.builders import tune_similarity

TEST_FRACTION = 0.15
VALIDATION_FRACTION = 0.1
SPLIT_SEED = 0
SAME_TUNE = 0.55
SAME_TITLE_AND_TUNE = 0.4
"""Similarities from which on two melodies count as one tune. Among chorales of one
title, settings of the same tune have 0.45 or more, and different tunes 0.37 or less."""


def melody_skeleton(example: dict) -> np.ndarray:
    """Returns the skeleton i16[M] of an example's first voice."""
    notes = example["notes"]
    return tune_similarity.skeleton(
        notes[notes[:, 0] == 0, 1:], 16 // example["meter"][1]
    )


def drop_duplicates(examples: list[dict]) -> list[dict]:
    """Drops examples that are transpositions of another; one with lyrics is kept."""
    by_notes: dict[bytes, dict] = {}
    for example in sorted(examples, key=lambda example: not len(example["lyrics"])):
        notes = example["notes"] - [0, 0, 0, example["notes"][0, 3]]
        by_notes.setdefault(notes.tobytes(), example)
    unique = {id(example) for example in by_notes.values()}
    return [example for example in examples if id(example) in unique]


def group_by_tune(examples: list[dict]) -> list[list[int]]:
    """Groups the indices of examples by tune."""
    plain = [re.sub(r"\(?bwv.*|[^a-zäöüß]", "", e["title"].lower()) for e in examples]
    names = [title or index for index, title in enumerate(plain)]
    return tune_similarity.group(
        [melody_skeleton(example) for example in examples],
        names,
        SAME_TUNE,
        SAME_TITLE_AND_TUNE,
    )


def split_by_tune(examples: list[dict]) -> dict[str, list[dict]]:
    """Divides examples into `train`, `validation` and `test`, each tune in one of them.

    The tunes are permuted by NumPy's `RandomState(0)`, whose stream NumPy promises
    never to change. In this order they go to `test` while they fit, and those that do
    not to `validation`.
    """
    groups = group_by_tune(examples)
    members: dict[str, set[int]] = {"test": set(), "validation": set()}
    fractions = (TEST_FRACTION, VALIDATION_FRACTION)
    sizes = [round(fraction * len(examples)) for fraction in fractions]
    capacity = dict(zip(members, sizes, strict=True))
    for index in np.random.RandomState(SPLIT_SEED).permutation(len(groups)):
        for name, rows in members.items():
            if len(rows) + len(groups[index]) <= capacity[name]:
                rows.update(groups[index])
                break
    members["train"] = set(range(len(examples))).difference(*members.values())
    return {
        name: [example for i, example in enumerate(examples) if i in members[name]]
        for name in ("train", "validation", "test")
    }
