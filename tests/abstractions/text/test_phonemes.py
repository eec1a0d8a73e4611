import numpy as np
import pytest

from regen_jax.abstractions.text.phonemes import Phonemes
from regen_jax.errors import UserError
from regen_jax.modalities.text import characters
from regen_jax.spaces import Array, Tokens

CHARACTERS = characters.character_space(16)


def annotated(abstraction, written):
    ids = abstraction.extract(characters.encode(abstraction.input_space, written), {})
    space = abstraction.output_space
    assert ids.shape == space.shape and ids.dtype == np.int32
    return characters.decode(space, ids)


def test_extracted_phonemes_have_stress():
    expected = "W AH1 N | TH R IY1".replace("|", "_").split()
    expected = [" " if phone == "_" else phone for phone in expected]
    assert annotated(Phonemes(CHARACTERS), "one three") == expected


def test_extracted_phonemes_have_no_stress_without_the_option():
    abstraction = Phonemes(CHARACTERS, stress=False)
    assert annotated(abstraction, "one") == ["W", "AH", "N"]
    assert abstraction.output_space.vocab == 1 + 39 + 1
    assert Phonemes(CHARACTERS).output_space.vocab == 1 + 24 + 3 * 15 + 1


def test_output_space_has_phonemes_and_is_not_invertible():
    abstraction = Phonemes(CHARACTERS)
    space = abstraction.output_space
    assert space.length == 20 and space.padded and space.symbols[0] == ""
    assert Phonemes(CHARACTERS, length=7).output_space.length == 7
    assert abstraction.runs_on_host and not abstraction.invertible


def test_too_many_phonemes_raise_user_error():
    fits = Phonemes(CHARACTERS, length=3)
    assert annotated(fits, "one") == ["W", "AH1", "N"]
    with pytest.raises(UserError) as caught:
        annotated(fits, "three one")
    assert str(caught.value) == (
        "'three one' has 7 phonemes, and at most 3 fit: raise the option length of "
        "abstraction 'phonemes'"
    )


def test_empty_text_raises_user_error():
    with pytest.raises(UserError, match="no word to pronounce in ''"):
        Phonemes(CHARACTERS).extract(np.zeros(16, np.int32), {})


@pytest.mark.parametrize(
    "space",
    [
        Array((3, 1)),
        Tokens(4, 3),
        Tokens(4, 3, padded=True),
        Tokens(4, 3, symbols=("a", "b", "c")),
        Tokens(4, 3, padded=True, symbols=("", "AH0", "B")),
        characters.character_space(4, characters.SPANISH),
    ],
    ids=str,
)
def test_other_space_raises_value_error(space):
    with pytest.raises(ValueError, match="padded Tokens of English characters, not"):
        Phonemes(space)


def test_negative_length_raises_value_error():
    with pytest.raises(ValueError, match="length must be 0 or more, not -1"):
        Phonemes(CHARACTERS, length=-1)
