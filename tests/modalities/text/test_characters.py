import numpy as np
import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.text.characters import (
    ENGLISH,
    SPANISH,
    character_space,
    decode,
    decode_text,
    encode,
    normalize,
)
from regen_jax.spaces import Tokens

SPACE = character_space(8)


def test_ids_are_indices_of_symbols_and_0_after_the_end():
    ids = encode(SPACE, "it's a")
    assert ids.dtype == np.int32
    expected = [1 + ENGLISH.index(character) for character in "it's a"]
    assert ids.tolist() == [*expected, 0, 0]
    assert decode(SPACE, ids) == list("it's a")
    assert decode_text(SPACE, ids) == "it's a"


def test_text_of_full_length_has_no_padding():
    ids = encode(SPACE, "abcdefgh")
    assert 0 not in ids
    assert decode_text(SPACE, ids) == "abcdefgh"


def test_ids_after_the_end_are_ignored():
    assert decode(SPACE, np.array([3, 0, 4, 0, 0, 0, 0, 0])) == ["a"]


def test_symbols_of_several_characters_are_encoded():
    space = Tokens(4, 3, padded=True, symbols=("", "AH0", "B"))
    assert encode(space, ["B", "AH0", "B"]).tolist() == [2, 1, 2, 0]
    assert decode(space, np.array([2, 1, 2, 0])) == ["B", "AH0", "B"]


def test_space_without_padding_needs_the_exact_length():
    space = Tokens(3, 2, symbols=("a", "b"))
    assert encode(space, "aba").tolist() == [0, 1, 0]
    assert decode_text(space, np.array([0, 1, 0])) == "aba"
    with pytest.raises(UserError, match="'ab' has 2 symbols: exactly 3 fit"):
        encode(space, "ab")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        ([], "the text is empty"),
        ("señor", r"'ñ' in 'señor' is unknown: known are ' ', \"'\", 'a', 'b', "),
        ("Abc", "'A' in 'Abc' is unknown"),
        ("abcdefghi", "'abcdefghi' has 9 symbols: at most 8 fit"),
        ("x" * 1000, r"'x{57}\.\.\.' has 1000 symbols: at most 8 fit"),
        (["a", ""], "'' in 'a ' is unknown"),
    ],
)
def test_invalid_text_raises_user_error(text, message):
    with pytest.raises(UserError, match=message) as caught:
        encode(SPACE, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello,  World!", "hello world"),
        ("En-mishpat (which is Kadesh)", "en mishpat which is kadesh"),
        ("it’s “fine” — really…", "it's fine really"),
        (" \t\n a \u00a0b ", "a b"),
        ("¿Qué? ¡Niño! Nin\u0303o", "qué niño niño"),
        ("5 % of $3", "5 of $3"),
        ("‘Yes,’ he said", "yes he said"),
        ("’tis the dogs’ bone, 'tis", "'tis the dogs' bone 'tis"),
        ("a ' b '' c", "a b c"),
        ("5′ tall, `so`", "5 tall so"),
        ("\ufeffsoft\u00adly", "softly"),
        ("zero\u200bwidth", "zero width"),
        ("Ｆｕｌｌ　width ５, ﬁne", "full width 5 fine"),
        ("...", ""),
    ],
)
def test_text_is_normalized(text, expected):
    assert normalize(text) == expected
    assert normalize(expected) == expected


@pytest.mark.parametrize("mark", "'’‘‛ʼ＇`´′")
def test_mark_within_a_word_is_an_apostrophe(mark):
    assert normalize(f"Don{mark}t") == "don't"
    assert set(normalize(f"Don{mark}t")) <= set(ENGLISH)


def test_normalized_texts_have_characters_of_their_alphabet():
    assert set(normalize("¡El pingüino, el ñandú y la ONU!")) <= set(SPANISH)
    assert set(normalize("Don't panic")) <= set(ENGLISH)
