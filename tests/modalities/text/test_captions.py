import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.text import captions

KNOWN = captions.words(["red heart", "skin tone", "skin tone", "medium-light skin"])


@pytest.mark.parametrize(
    "text, expected",
    [
        ("A red heart", "red heart"),
        ("  the man with\tan “apple” ", 'man with "apple"'),
        ("ANT", "ant"),
    ],
)
def test_articles_case_and_typography_are_normalized(text, expected):
    assert captions.normalize(text) == expected


def test_words_are_in_order_of_frequency():
    assert KNOWN == ("skin", "tone", "heart", "light", "medium", "red")


def test_caption_of_known_words_is_accepted():
    captions.check_words("red, medium-light heart!", KNOWN)


@pytest.mark.parametrize("separator", [" ", ""])
def test_error_of_a_long_caption_has_its_beginning(separator):
    caption = separator.join(f"word{i}" for i in range(500))
    with pytest.raises(
        UserError, match=r"in 'word0 ?word1.*\.\.\.' is in no"
    ) as caught:
        captions.check_words(caption, KNOWN)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "caption, words",
    [
        ("red hearth", r"'hearth' in 'red hearth' is in no .* such as 'heart'"),
        (
            "красное сердце",
            "'красное' in .* of their 6, such as 'skin', 'tone', 'heart'",
        ),
        ("红心", "'红心' in"),
    ],
)
def test_unknown_word_or_script_raises_user_error_of_one_line(caption, words):
    with pytest.raises(UserError, match=words) as caught:
        captions.check_words(caption, KNOWN)
    assert "\n" not in str(caught.value)
