"""Prompts of one word per label, such as `seven, female 3, high`."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from regen_jax.errors import UserError, quote
from regen_jax.spaces import Tokens

ANY = "any"
"""Symbol of a word that is left out."""
_LISTED = 40


@dataclasses.dataclass(frozen=True)
class LabelWords:
    """A word for each label of an example; all but the first may be left out.

    Attributes:
      names: words of each label, in the order of their classes.
    """

    names: Mapping[str, Sequence[str]]

    def __post_init__(self):
        words = [word.lower() for word in (ANY, *itertools.chain(*self.names.values()))]
        if twice := {word for word in words if words.count(word) > 1}:
            raise ValueError(
                f"{min(twice)!r} names two classes: a prompt would be ambiguous"
            )

    @property
    def space(self) -> Tokens:
        """One position per label; 0 is `ANY`, and the words of each label follow."""
        symbols = (ANY, *itertools.chain(*self.names.values()))
        return Tokens(len(self.names), len(symbols), symbols=symbols)

    @property
    def id_ranges(self) -> list[range]:
        """The ids of the words of each label."""
        ends = [*itertools.accumulate(map(len, self.names.values()), initial=1)]
        return [range(*pair) for pair in itertools.pairwise(ends)]

    def encode(self, classes: np.ndarray) -> np.ndarray:
        """Returns the ids i32[N, A] of classes i32[N, A]."""
        return classes + np.array([ids.start for ids in self.id_ranges], np.int32)

    def decode(self, ids: np.ndarray) -> list[str]:
        """Returns ids i32[N, A] as prompts, without words left out."""
        symbols = self.space.symbols
        return [", ".join(symbols[word] for word in row if word) for row in ids]

    def parse(self, prompt: str) -> np.ndarray:
        """Returns the ids i32[A] of a prompt: words in any order, separated by commas.

        Raises:
          UserError: a word is unknown, a label has two, or the first has none.
        """
        symbols = [symbol.lower() for symbol in self.space.symbols]
        ids = np.zeros(len(self.names), np.int32)
        words = (" ".join(part.split()).lower() for part in prompt.split(","))
        for word in filter(None, words):
            if word not in symbols[1:]:
                raise UserError(
                    f"{quote(word)} in {quote(prompt)} is no word that was learned: "
                    f"write {self._grammar}"
                )
            number = symbols.index(word)
            (position,) = (i for i, r in enumerate(self.id_ranges) if number in r)
            if ids[position]:
                label = [*self.names][position]
                raise UserError(
                    f"{quote(prompt)} has two words for the {label}: write one of "
                    f"{_listed(self.names[label])}"
                )
            ids[position] = number
        if not ids[0]:
            raise UserError(
                f"{quote(prompt)} has no {next(iter(self.names))}: write {self._grammar}"
            )
        return ids

    def has_unseen_pair(self, ids: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Returns bool[N]: whether two words of ids i32[N, A] are in no row of `seen`.

        Args:
          ids: prompts; words left out are in no pair.
          seen: i32[M, A], prompts that were learned.
        """
        unseen = np.zeros(len(ids), bool)
        for columns in itertools.combinations(range(ids.shape[1]), 2):
            pairs, known = (
                rows[:, columns] @ [self.space.vocab, 1] for rows in (ids, seen)
            )
            complete = (ids[:, columns] > 0).all(axis=1)
            unseen |= complete & ~np.isin(pairs, known)
        return unseen

    @property
    def _grammar(self) -> str:
        """What a prompt may have, for errors."""
        first, *others = self.names.values()
        text = f"one of {_listed(first)}"
        if others:
            groups = "; ".join(map(_listed, others))
            text += f", and after commas at most one of each of {groups}"
        return text


def _listed(words: Sequence[str]) -> str:
    more = [f"… ({len(words)} in all)"] if len(words) > _LISTED else []
    return ", ".join([*words[:_LISTED], *more])
