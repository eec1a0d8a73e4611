import numpy as np
import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.text.labels import LabelWords

WORDS = LabelWords({"label": ("Seven", "a"), "voice": ("female 1", "male 1", "male 2")})


def test_ids_of_each_label_follow_those_before():
    assert WORDS.space.symbols == ("any", "Seven", "a", "female 1", "male 1", "male 2")
    assert WORDS.id_ranges == [range(1, 3), range(3, 6)]
    ids = WORDS.encode(np.array([[1, 0], [0, 2]], np.int32))
    assert ids.tolist() == [[2, 3], [1, 5]] and ids.dtype == np.int32
    assert WORDS.decode(ids) == ["a, female 1", "Seven, male 2"]


@pytest.mark.parametrize(
    "prompt, ids",
    [
        ("seven, male 2", [1, 5]),
        ("Male  2 , SEVEN,", [1, 5]),
        ("a", [2, 0]),
    ],
)
def test_prompt_is_words_in_any_order(prompt, ids):
    assert WORDS.parse(prompt).tolist() == ids


@pytest.mark.parametrize(
    "prompt, message",
    [
        ("", "'' has no label: write one of Seven, a, and after commas at most one of"),
        (" , ", "has no label"),
        ("male 2", "'male 2' has no label"),
        (
            "seven male 2",
            "'seven male 2' in .* is no word that was learned: write one of",
        ),
        ("seven, male 9", "'male 9' in 'seven, male 9' is no word"),
        ("seven, any", "'any' in"),
        (
            "seven, male 1, male 2",
            "two words for the voice: write one of female 1, male",
        ),
        ("a, a", "two words for the label"),
        ("七", "'七' in"),
    ],
)
def test_other_prompt_raises_user_error_of_one_line(prompt, message):
    with pytest.raises(UserError, match=message) as caught:
        WORDS.parse(prompt)
    assert "\n" not in str(caught.value)


def test_pairs_of_words_are_seen_whatever_the_others_are():
    words = LabelWords({"a": "xy", "b": "pq", "c": "mn"})
    seen = words.encode(np.array([[0, 0, 0], [1, 1, 1], [0, 1, 1]], np.int32))
    ids = words.encode(np.array([[0, 0, 0], [0, 0, 1], [0, 1, 1], [1, 0, 0]], np.int32))
    assert words.has_unseen_pair(ids, seen).tolist() == [False, True, False, True]
    # Without the word that makes the pair, nothing is unseen.
    ids[1, 1] = ids[3, 0] = 0
    assert not words.has_unseen_pair(ids, seen)[[1, 3]].any()


def test_word_of_two_classes_raises_value_error():
    with pytest.raises(ValueError, match="'low' names two classes"):
        LabelWords({"pitch": ("low", "high"), "level": ("Low", "loud")})


def test_long_list_of_words_is_cut_in_errors():
    words = LabelWords({"label": [f"word {i}" for i in range(100)]})
    with pytest.raises(UserError, match=r"word 39, … \(100 in all\)"):
        words.parse("none")
