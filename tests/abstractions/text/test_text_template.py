import re
import string

import numpy as np
import pytest

from regen_jax.abstractions.text.text_template import TextTemplate
from regen_jax.errors import UserError
from regen_jax.modalities.text import tokenizer
from regen_jax.modalities.text.function_words import FUNCTION_WORDS, is_function_word
from regen_jax.spaces import Array, Tokens

SENTENCES = (
    "At the first God made the heaven and the earth.",
    "And the earth was waste and without form; and it was dark on the deep:",
    "And God said, Let there be light: and there was light.",
    "God gave the light the name of Day, and the dark he gave the name of Night.",
    "The heaven is high, and the earth is wide; heaven and earth are his.",
    "Then Abraham took his son, and Abraham went up into the hills.",
    "Now Abraham was old; and his brother's house was in the dark hills.",
    "And the son of Abraham made a sea-wall by the deep sea, (so it was said).",
    "They have not seen the light, nor the sons of the earth, nor the sea!",
    "Is it not dark in the house? You may let him go, or he will be angry.",
    '"Why?" they said to her, and she gave no answer: JKLMPQRSTUVWXYZ xyzj\'k.',
    f"{' '.join(string.ascii_letters)} ' a'b",
)


@pytest.fixture(scope="module")
def space():
    return tokenizer.subword_space(tokenizer.train(SENTENCES, 320, capitals=True), 96)


def template(rule, written):
    ids = rule.extract(tokenizer.encode(rule.input_space, written), {})
    assert ids.shape == rule.output_space.shape and ids.dtype == np.int32
    return rule.to_text(ids)


def encoded(rule, *templates):
    return np.stack([rule.from_text(line) for line in templates])


def test_content_words_are_kept_in_order(space):
    rule = TextTemplate(space)
    expected = ["first God made heaven earth", "earth waste without form dark deep"]
    assert [template(rule, text) for text in SENTENCES[:2]] == expected
    assert template(rule, "They have not seen the sea-wall!") == "not seen sea wall"
    assert template(rule, "In his brother's house.") == "brother's house"


def test_template_pieces_are_those_of_its_words(space):
    rule = TextTemplate(space)
    ids = rule.extract(tokenizer.encode(space, "(Heaven), and-light!"), {})
    written = [tokenizer.tokenize(space, word) for word in ("heaven", "light")]
    np.testing.assert_array_equal(ids[ids > 0], np.concatenate(written))


@pytest.mark.parametrize("keep", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("function_words", [False, True])
def test_first_capital_and_punctuation_change_nothing(space, keep, function_words):
    rule = TextTemplate(
        tokenizer.subword_space(space.symbols, 160), keep, function_words
    )
    for text in SENTENCES:
        expected = template(rule, text)
        bare = re.sub('[-.,;:?!()"]', " ", text)
        for other in (
            bare,
            text.replace(" ", ", "),
            re.sub("^And", "and", text),
        ):
            assert template(rule, other) == expected


@pytest.mark.parametrize("keep", [1.0, 0.5, 0.2])
def test_function_words_change_nothing(space, keep):
    rule = TextTemplate(tokenizer.subword_space(space.symbols, 160), keep)
    random = np.random.default_rng(0)
    some = [
        word for word in sorted(FUNCTION_WORDS) if len(word) < 4 and "z" not in word
    ]
    for text in SENTENCES:
        found = text.split()
        fewer = [word for word in found if not is_function_word(word)]
        more = list(found)
        for word in random.choice(some, 5):
            more.insert(random.integers(len(more) + 1), str(word))
        expected = template(rule, text)
        assert template(rule, " ".join(fewer)) == expected
        assert template(rule, " ".join(more)) == expected


def test_templates_are_nested_as_keep_grows(space):
    for function_words in (False, True):
        for text in SENTENCES:
            longer = None
            for keep in (1.0, 0.7, 0.5, 0.3, 0.1):
                found = template(
                    TextTemplate(space, keep, function_words), text
                ).split()
                if longer is not None:
                    rest = iter(longer)
                    assert all(word in rest for word in found)
                longer = found


def test_names_keep_their_capitals(space):
    rule = TextTemplate(space)
    assert template(rule, "Then God and Abraham saw the Sea") == "God Abraham saw sea"
    assert template(rule, "And the sea of Abraham") == "sea Abraham"


def test_marks_explain_capitals_at_sentence_starts(space):
    rule = TextTemplate(space, 1.0, function_words=True, marks=True)
    text = 'And the Sea was dark. It was "dark!" And God (said.) The earth: The Sea'
    line = 'and the Sea was dark. it was "dark!" And God (said.) the earth: The Sea'
    assert template(rule, text) == template(rule, line) == line
    assert rule.to_text(rule.from_text(text)) == line
    # Without marks nothing tells: a word is the same in either case.
    bare = TextTemplate(space, 1.0, function_words=True)
    assert template(bare, "God said, Let the Sea") == "God said let the sea"
    # The first word that stays begins the template.
    some = TextTemplate(space, marks=True)
    assert template(some, "And the Sea. The Heaven") == "sea. heaven"


def test_function_words_are_kept_with_the_option(space):
    rule = TextTemplate(space, 1.0, function_words=True)
    text = "And the heaven, and the earth: it was dark!"
    assert template(rule, text) == "and the heaven and the earth it was dark"


def test_punctuation_is_kept_with_the_option(space):
    rule = TextTemplate(space, 1.0, function_words=True, marks=True)
    text = 'And the heaven, "and the earth: (it was dark) on the sea-wall!"'
    line = 'and the heaven, "and the earth: (it was dark) on the sea-wall!"'
    assert template(rule, text) == line
    assert rule.to_text(rule.from_text(text)) == line
    # Marks stay where they are when words go.
    assert template(TextTemplate(space, marks=True), text) == (
        'heaven, " earth: ( dark) sea-wall!"'
    )
    with pytest.raises(UserError, match="no word in the template ',;'"):
        rule.from_text(",;")
    with pytest.raises(UserError, match="word 2 of the template: '§', character 1"):
        rule.from_text("the §")


@pytest.mark.parametrize(
    "keep, kept", [(0.05, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (1.0, 4)]
)
def test_number_of_words_is_the_fraction_rounded_up(space, keep, kept):
    text = "the light and the dark, the heaven and the earth"
    assert len(template(TextTemplate(space, keep), text).split()) == kept


def test_number_of_words_is_exact_despite_floating_point(space):
    assert 0.28 * 25 > 7
    text = " ".join(["light"] * 25)
    assert len(template(TextTemplate(space, 0.28), text).split()) == 7


def test_rarest_words_are_kept(space):
    def pieces(word):
        return tokenizer.tokenize(space, word)

    assert len(pieces("wax")) > 1 == len(pieces("earth")) == len(pieces("Abraham"))
    assert pieces("earth") < pieces("Abraham")
    rule = TextTemplate(space, 0.3)
    text = "Abraham and the wax of the earth"
    assert template(rule, text) == "wax"
    assert template(TextTemplate(space, 0.5), text) == "Abraham wax"
    assert template(rule, "the earth of Abraham") == "Abraham"
    assert template(rule, "earth upon earth") == "earth"
    mixed = TextTemplate(space, 0.25, function_words=True)
    assert template(mixed, "and the earth of Abraham was in") == "earth Abraham"


def test_text_of_function_words_keeps_the_rarest(space):
    rule = TextTemplate(space)
    assert template(rule, "It was so, and it is.").count(" ") == 0
    with pytest.raises(UserError, match=r"no word in '\?!' to make a template of"):
        template(rule, "?!")


def test_from_text_inverts_to_text(space):
    for keep in (1.0, 0.5, 0.1):
        for options in ((False, False), (True, False), (False, True), (True, True)):
            rule = TextTemplate(space, keep, *options)
            for text in SENTENCES:
                ids = rule.extract(tokenizer.encode(space, text), {})
                np.testing.assert_array_equal(rule.from_text(rule.to_text(ids)), ids)


def test_from_text_ignores_spaces_and_a_first_capital(space):
    rule = TextTemplate(space)
    expected = rule.from_text("heaven Abraham brother's")
    found = rule.from_text("  Heaven   Abraham\tbrother’s\n")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "text, message",
    [
        (" \n", "the template is empty: at least one word is needed"),
        ("light\ndark", "a template is one line of words, not 2 lines"),
        ("the light, dark", "word 2 of the template, 'light,', is not made of letters"),
        (
            "light sea-wall",
            "word 2 of the template, 'sea-wall', is not made of letters",
        ),
        (
            "light łódź",
            "word 2 of the template: 'ł', character 1 of 'łódź', is unknown",
        ),
        ("light " * 97, "word 97 of a template, 'light', is beyond its 96 pieces"),
    ],
)
def test_from_text_of_invalid_text_raises_user_error(space, text, message):
    with pytest.raises(UserError) as caught:
        TextTemplate(space).from_text(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_template_beyond_the_length_raises_user_error(space):
    rule = TextTemplate(space, length=3)
    assert rule.output_space == Tokens(
        3, space.vocab, padded=True, symbols=space.symbols
    )
    assert TextTemplate(space).output_space == space
    assert template(rule, "earth and heaven") == "earth heaven"
    with pytest.raises(UserError, match="raise the option length of abstraction"):
        template(rule, SENTENCES[0])


def test_consistency_counts_words_in_order(space):
    rule = TextTemplate(space)
    y = [
        "And Heaven was dark, and the earth.",
        "Light of light",
        "and it was so",
    ]
    y = np.stack([tokenizer.encode(space, text) for text in y])
    wanted = encoded(rule, "earth heaven dark sea", "light light", "Abraham dark")
    # heaven dark; light light; nothing
    assert rule.consistency_metrics({}, y, wanted) == {"words": 4 / 8}
    own = np.stack([rule.extract(row, {}) for row in y])
    assert rule.consistency_metrics({}, y, own) == {"words": 1.0}
    assert rule.consistency_metrics({}, np.zeros_like(y), np.zeros_like(wanted)) == {
        "words": 0.0
    }


def test_code_metrics_count_words_in_any_order(space):
    rule = TextTemplate(space)
    given = encoded(rule, "light dark light sea", "earth")
    true = encoded(rule, "dark light heaven", "earth sea")
    assert rule.code_metrics(given, true) == {
        "precision": 3 / 5,
        "recall": 3 / 5,
        "f1": 3 / 5,
    }
    assert rule.code_metrics(given[:1], true[:1]) == {
        "precision": 2 / 4,
        "recall": 2 / 3,
        "f1": 4 / 7,
    }
    nothing = np.zeros_like(given)
    assert set(rule.code_metrics(nothing, true).values()) == {0.0}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"keep": 0.0}, r"keep must be in \(0, 1\], not 0.0"),
        ({"keep": 1.5}, r"keep must be in \(0, 1\], not 1.5"),
        ({"length": -1}, "length must be 0 or more, not -1"),
    ],
)
def test_invalid_option_raises_value_error(space, options, message):
    with pytest.raises(ValueError, match=message):
        TextTemplate(space, **options)


@pytest.mark.parametrize(
    "other", [Array((3, 1)), Tokens(4, 3), Tokens(4, 2, symbols=("", "▁"))], ids=str
)
def test_other_space_raises_value_error(other):
    with pytest.raises(
        ValueError, match="padded Tokens of a tokenizer's pieces, not of"
    ):
        TextTemplate(other)


@pytest.mark.parametrize("word", ["The", "and,", "(Thou", "it’s", "unto;", '"His"'])
def test_function_word_is_recognized(word):
    assert is_function_word(word)


@pytest.mark.parametrize("word", ["", "heaven", "not", "without", "king's", "?"])
def test_content_word_is_not_a_function_word(word):
    assert not is_function_word(word)
