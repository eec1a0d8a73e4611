import itertools
import json
import random
import re

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.data.builders.simple_bible.bibles import bible_file, read_verses
from regen_jax.errors import UserError
from regen_jax.modalities.text import tokenizer
from regen_jax.modalities.text.characters import character_space
from regen_jax.modalities.text.tokenizer import (
    CAPITAL,
    decode,
    encode,
    is_subword_space,
    load_or_train,
    normalize,
    subword_space,
    tokenize,
    train,
    words,
)
from regen_jax.spaces import Category, Tokens


@pytest.fixture(scope="module")
def verses():
    return list(read_verses(bible_file("bbe")).values())[::15]


@pytest.fixture(scope="module")
def pieces(verses):
    return train(verses, 600)


@pytest.fixture(scope="module")
def space(pieces):
    return subword_space(pieces, 200)


def test_pieces_are_padding_then_characters_then_merges(pieces, space):
    assert space == Tokens(200, 600, padded=True, symbols=pieces)
    assert pieces[0] == "" and "" not in pieces[1:]
    characters_end = pieces.index("▁") + 1
    assert all(len(piece) == 1 for piece in pieces[1:characters_end])
    assert all(len(piece) > 1 for piece in pieces[characters_end:])
    assert {"▁the", "▁And", "▁Lord"} < set(pieces)


def test_training_ignores_the_order_of_texts(verses, pieces):
    shuffled = list(verses)
    random.Random(0).shuffle(shuffled)
    assert train(iter(shuffled), 600) == pieces


def test_vocabulary_smaller_than_the_alphabet_raises_value_error():
    with pytest.raises(ValueError, match="vocabulary of 4 .*are 5"):
        train(["ab", "ba c"], 4)
    # The library alone would allocate memory for the largest in advance.
    for vocab in (100, 2**31 - 1):
        assert train(["ab ab"], vocab) == ("", "a", "b", "▁", "ab", "▁ab")


def test_decoded_text_equals_the_text(verses, space):
    for verse in verses:
        ids = encode(space, verse) if len(verse) < 150 else tokenize(space, verse)
        assert decode(space, np.array(ids)) == normalize(verse) == verse


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_text_of_known_characters_is_decoded_and_merged_as_in_bpe(space, data):
    letters = [piece for piece in space.symbols if len(piece) == 1 and piece != "▁"]
    text = data.draw(st.text([*letters, " ", "\n", "’", "—"], min_size=1, max_size=60))
    ids = np.array(tokenize(space, text), np.int32)
    assert decode(space, np.append(ids, [0, 5])) == normalize(text)
    assert [space.symbols[index] for index in ids] == _merge_by_hand(
        normalize(text), space.symbols
    )


def _merge_by_hand(text, pieces):
    """Merges the characters of a text by byte pair encoding as in the paper."""
    order = {piece: index for index, piece in enumerate(pieces)}
    merged = []
    for word in text.split():
        # Letters with apostrophes, or one mark of punctuation.
        for chunk in re.findall(r"▁?[a-zA-Z']+|▁?.", f"▁{word}"):
            parts = list(chunk)
            while pairs := [
                (order[a + b], index)
                for index, (a, b) in enumerate(itertools.pairwise(parts))
                if a + b in order
            ]:
                _, index = min(pairs)
                parts[index : index + 2] = [parts[index] + parts[index + 1]]
            merged += parts
    return merged


def test_tokenization_equals_the_library_with_learned_merges(verses, space):
    """A space has no list of merges, but all words are tokenized alike."""
    learned = tokenizer._empty_tokenizer()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<pad>"],
        initial_alphabet=["▁"],
        show_progress=False,
    )
    learned.train_from_iterator(verses, trainer)
    for word in sorted({word for verse in verses for word in verse.split()}):
        assert tokenize(space, word) == learned.encode(word).ids, word


def test_words_are_tokenized_independently_with_their_punctuation(space):
    text = "And Jesus' brothers (the two) said, Come to Beth-el."
    ids = encode(space, text)
    assert words(space, ids) == text.split()
    word_ids = [index for word in text.split() for index in tokenize(space, word)]
    assert word_ids == [index for index in ids.tolist() if index]
    marks = {
        index for index, piece in enumerate(space.symbols) if set(piece) & set(",.()-")
    }
    assert all(len(space.symbols[index].strip("▁")) == 1 for index in marks)


@pytest.fixture(scope="module")
def capital_space(verses):
    return subword_space(train(verses, 600, capitals=True), 200)


def test_sentence_capitals_are_separate_pieces(verses, capital_space):
    def pieces_of(text):
        return [capital_space.symbols[index] for index in tokenize(capital_space, text)]

    assert pieces_of("And the Lord") == [CAPITAL, "▁and", "▁the", "▁Lord"]
    assert pieces_of("the LORD")[1:] == pieces_of("LORD") != [CAPITAL, "▁lord"]
    begins = [verse.split()[0] for verse in verses]
    assert np.mean([pieces_of(word)[0] == CAPITAL for word in begins]) > 0.8
    for verse in verses:
        assert decode(capital_space, tokenize(capital_space, verse)) == verse


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_text_with_capital_marks_is_decoded(capital_space, data):
    letters = {piece for piece in capital_space.symbols if len(piece) == 1} - {"▁", "⇧"}
    text = data.draw(st.text([*sorted(letters), " "], min_size=1, max_size=60))
    assert decode(capital_space, tokenize(capital_space, text)) == normalize(text)


def test_capital_mark_is_not_a_character_and_capitalizes_the_next_word(
    capital_space,
):
    with pytest.raises(UserError, match="'⇧', character 3"):
        tokenize(capital_space, "a ⇧b")
    mark, the = (capital_space.symbols.index(symbol) for symbol in (CAPITAL, "▁the"))
    assert decode(capital_space, [mark, mark, the, mark]) == "The"
    space = subword_space(train(["the (the sea", "The"], 60, capitals=True), 9)
    assert [space.symbols[i] for i in tokenize(space, "(The")] == [
        CAPITAL,
        "▁(",
        "the",
    ]
    assert decode(space, tokenize(space, "(The")) == "(The"
    assert decode(space, tokenize(space, "seT")) == "seT"
    # A letter that occurs only as a capital stays one.
    texts = ["(Zion ion ion (in (in", "the the the The The"]
    space = subword_space(train(texts, 60, capitals=True), 9)
    assert decode(space, tokenize(space, "(Zion")) == "(Zion"


def test_ids_that_no_text_has_are_decoded(space):
    the, he = (space.symbols.index(piece) for piece in ("▁the", "he"))
    start = space.symbols.index("▁")
    ids = np.array([he, the, he, start, start, the, 0, the])
    assert words(space, ids) == ["he", "thehe", "the"]
    assert decode(space, np.zeros(4, int)) == "" and decode(space, [the]) == "the"


def test_typography_is_normalized():
    text = "\ufeff  Cæsar＇s  “ſon”—a\n\u00a0e\u0301\u2026 "
    assert normalize(text) == 'Caesar\'s "son"-a \u00e9...'
    assert normalize(normalize(text)) == normalize(text)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the text is empty"),
        (" \n", "the text is empty"),
        ("And Бог said", "'Б', character 5 of 'And Бог said', is unknown: known are"),
        ("a <pad>", "'<', character 3 of 'a <pad>', is unknown"),
        ("a ▁b", "'▁', character 3"),
        ("Z " * 250, r"'Z Z.*\.\.\.' has \d+ pieces: at most 200 fit"),
    ],
)
def test_invalid_text_raises_user_error(space, text, message):
    with pytest.raises(UserError, match=message) as caught:
        encode(space, text)
    assert "\n" not in str(caught.value)


def test_subword_space_is_distinguished_from_others(space):
    assert is_subword_space(space)
    assert not is_subword_space(character_space(9))
    assert not is_subword_space(Tokens(9, 9)) and not is_subword_space(Category(9))


def test_pieces_are_trained_once_and_loaded_from_the_file(tmp_path, pieces):
    path = tmp_path / "tokenizer-600.json"
    assert load_or_train(path, lambda: pieces) == pieces
    assert load_or_train(path, pytest.fail) == pieces
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    opened = tokenizers.Tokenizer.from_file(str(path))
    space = subword_space(pieces, 9)
    text = "the Lord, my God"
    assert opened.encode(text).ids == tokenize(space, text)
    assert opened.decode(opened.encode(text).ids) == text


def test_unwritable_file_is_ignored(tmp_path, pieces):
    assert load_or_train(tmp_path / "missing" / "a.json", lambda: pieces) == pieces
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps({"model": {"vocab": {"a": 0}}}), "\xff"]
)
def test_damaged_file_raises_user_error(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(
        UserError, match=r"tokenizer\.json is not a tokenizer: delete it"
    ):
        load_or_train(path, pytest.fail)


def test_spaces_in_turn_have_their_own_tokenizers():
    def tokenized(number):
        # A new tuple each time, whose address another may have had.
        pieces = (
            "",
            tokenizer.WORD_START,
            *(chr(97 + (i + number) % 26) for i in range(26)),
        )
        return tokenize(subword_space(pieces, 8), "abz")

    letters = [
        [2 + (letter - number) % 26 for letter in (0, 1, 25)] for number in range(26)
    ]
    for number in [*range(26), *range(26)]:
        assert [i for i in tokenized(number) if i != 1] == letters[number]
