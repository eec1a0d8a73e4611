import string

import numpy as np
import pytest

from regen_jax.abstractions.text.word_skeleton import MARKS, MASKS, WordSkeleton
from regen_jax.errors import UserError
from regen_jax.modalities.text import tokenizer
from regen_jax.modalities.text.function_words import FUNCTION_WORDS
from regen_jax.spaces import Array, Tokens

SENTENCES = (
    "Abraham took his son, and Abraham went to Egypt, to Sarah and Abraham.",
    "And the king was quickly angry; but the holy men were going (slowly) to it.",
    "The seven sons of Sarah were blessed, and the grass is green: it was evening!",
    "The king's red house has 12 rooms - or so they said to Sarah.",
    "Let us go; let them see the seed, and let it be. Why?",
    f"{string.ascii_letters} {string.digits} {' '.join(MARKS)} a'b",
)


@pytest.fixture(scope="module")
def rule():
    space = tokenizer.subword_space(tokenizer.train(SENTENCES, 250), 96)
    return WordSkeleton(space)


def skeleton(rule, written):
    ids = rule.extract(tokenizer.encode(rule.input_space, written), {})
    assert ids.shape == rule.output_space.shape and ids.dtype == np.int32
    return rule.to_text(ids)


def test_content_words_are_masked_in_place(rule):
    expected = """
    <name> <word> his <word> , and <name> <word> to <name> , to <name> and <name> .
    and the <word> was <-ly> <word> ; but the <word> <word> were <-ing> ( <-ly> ) to it .
    the <number> <-s> of <name> were <-ed> , and the <word> is <word> : it was <-ing> !
    the <-'s> <word> <word> has <number> <-s> - or so they <word> to <name> .
    """
    found = [skeleton(rule, text) for text in SENTENCES[:4]]
    assert found == [line.strip() for line in expected.strip().splitlines()]


@pytest.mark.parametrize(
    "word, mask",
    [
        ("going", "<-ing>"),
        ("king", "<word>"),
        ("thing", "<word>"),
        ("crying", "<-ing>"),
        ("blessed", "<-ed>"),
        ("red", "<word>"),
        ("seed", "<word>"),
        ("quickly", "<-ly>"),
        ("holy", "<word>"),
        ("fly", "<word>"),
        ("sons", "<-s>"),
        ("grass", "<word>"),
        ("king's", "<-'s>"),
        ("12", "<number>"),
        ("2nd", "<number>"),
        ("seven", "<number>"),
        ("Seventy", "<number>"),
        ("heaven", "<word>"),
        ("The", "the"),
        ("Thou", "thou"),
    ],
)
def test_content_word_gets_the_mask_of_its_class(rule, word, mask):
    assert skeleton(rule, word) == mask


def test_capital_explained_by_its_position_is_no_name(rule):
    # `Let` begins a sentence, and is as frequent without a capital; `Abraham` is not.
    assert skeleton(rule, "Let us go") == "<word> us <word>"
    assert skeleton(rule, "Abraham, Let it be") == "<name> , <word> it be"
    assert skeleton(rule, "Then Let it be") == "then <name> it be"


def test_hyphenated_words_and_signs_follow_the_word_pattern(rule):
    assert skeleton(rule, "The sea-king's") == "the <word> - <-'s>"
    assert skeleton(rule, "'the king'") == "the <word>"


def test_skeleton_is_the_same_for_other_content_words_of_a_class(rule):
    one, other = "The king was angry with Sarah.", "The son was green with Egypt."
    assert skeleton(rule, one) == skeleton(rule, other)


def test_output_space_has_all_symbols(rule):
    space = rule.output_space
    assert space.padded and space.depth == 1 and space.length == rule.input_space.length
    assert space.symbols[0] == "" and len(set(space.symbols)) == space.vocab
    assert set(space.symbols) == {"", *MASKS, *FUNCTION_WORDS, *MARKS}
    assert WordSkeleton(rule.input_space, length=7).output_space.length == 7
    assert rule.runs_on_host and not rule.invertible


def test_from_text_inverts_to_text(rule):
    for text in SENTENCES:
        ids = rule.extract(tokenizer.encode(rule.input_space, text), {})
        np.testing.assert_array_equal(rule.from_text(rule.to_text(ids)), ids)
        np.testing.assert_array_equal(
            rule.from_text(f" {rule.to_text(ids).upper()}\n"), ids
        )


@pytest.mark.parametrize(
    "text, message",
    [
        (" \n", "the skeleton is empty: at least one word, mask or mark is needed"),
        ("the <word>\nand", "a skeleton is one line, not 2 lines"),
        (
            "the <noun>",
            "word 2 of the skeleton, '<noun>', is no function word: write a",
        ),
        (
            "the heaven",
            "word 2 of the skeleton, 'heaven', is no function word: write a",
        ),
        (
            "the <word>.",
            "'<word>.', is no function word: write a mask for others (<name>",
        ),
        (
            "the " * 97,
            "a skeleton of 97 words and marks does not fit from word 97, 'the'",
        ),
    ],
)
def test_from_text_of_invalid_text_raises_user_error(rule, text, message):
    with pytest.raises(UserError) as caught:
        rule.from_text(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_text_without_a_skeleton_raises_user_error(rule):
    with pytest.raises(UserError, match="there is no word in '' to make a skeleton of"):
        rule.extract(np.zeros(rule.input_space.shape, np.int32), {})
    with pytest.raises(UserError, match="raise the option length of abstraction"):
        skeleton(WordSkeleton(rule.input_space, length=3), "And it was so.")


def test_consistency_is_one_minus_the_token_error_rate(rule):
    y = np.stack(
        [tokenizer.encode(rule.input_space, s) for s in ("It was green.", "Go to it!")]
    )
    own = np.stack([rule.extract(row, {}) for row in y])
    assert rule.consistency_metrics({}, y, own) == {"skeleton": 1.0}
    # One substitution and one deletion among four and four.
    other = np.stack(
        [rule.from_text("he was <word> ."), rule.from_text("<word> it to !")]
    )
    edits = 1 + 2
    assert rule.consistency_metrics({}, y, other) == {
        "skeleton": pytest.approx(1 - edits / 8)
    }
    far = np.stack([rule.from_text("so"), rule.from_text("so")])
    assert rule.consistency_metrics({}, y, far) == {"skeleton": 0.0}
    assert rule.consistency_metrics({}, y, np.zeros_like(own)) == {"skeleton": 0.0}


def test_code_metrics_are_the_token_error_rate(rule):
    given = np.stack([rule.from_text("he was <word> ."), rule.from_text("so <word>")])
    true = np.stack([rule.from_text("it was <-ing> up ."), rule.from_text("so <word>")])
    # Two substitutions and an insertion over seven.
    assert rule.code_metrics(given, true) == {"ter": pytest.approx(3 / 7)}
    assert rule.code_metrics(true, true) == {"ter": 0.0}


def test_invalid_option_raises_value_error(rule):
    with pytest.raises(ValueError, match="length must be 0 or more, not -1"):
        WordSkeleton(rule.input_space, length=-1)
    for other in (Array((3, 1)), Tokens(4, 3)):
        with pytest.raises(ValueError, match="of a tokenizer's pieces, not of"):
            WordSkeleton(other)
