"""Y′ as a text that `sample` writes, people edit and `sample` reads."""

import codecs
import json
import string

import numpy as np
import pytest

from regen_jax.abstractions.music.music_template import MusicTemplate
from regen_jax.abstractions.text.text_template import TextTemplate
from regen_jax.abstractions.text.word_skeleton import WordSkeleton
from regen_jax.cli.edited_y_prime import decoded, from_text, to_text
from regen_jax.errors import UserError
from regen_jax.modalities.music import events
from regen_jax.modalities.text import tokenizer

TEXTS = (
    "And God said, Let there be light: and there was light.",
    f"{string.ascii_letters} {string.digits} .,;:?!",
)
PIECES = tokenizer.subword_space(tokenizer.train(TEXTS, 150, capitals=True), 12)
EDITABLE = (
    TextTemplate(PIECES),
    TextTemplate(PIECES, function_words=True, marks=True),
    WordSkeleton(PIECES),
    MusicTemplate(events.space(16, 4)),
    MusicTemplate(events.space(16, 4), levels=("chord",)),
    MusicTemplate(events.space(16, 4), levels=("chord", "rhythm"), melody=True),
)


@pytest.mark.parametrize("abstraction", EDITABLE, ids=lambda a: type(a).__name__)
def test_from_text_inverts_to_text_for_any_y_prime(abstraction):
    space = abstraction.output_space
    rng = np.random.default_rng(0)
    ids = rng.integers(0, space.vocab, (200, *space.shape))
    # Of any length, the full one and none among them, and without holes.
    first = ids.reshape(len(ids), space.length, -1)
    first += (first == 0) * rng.integers(1, space.vocab, first.shape)
    for row, length in zip(first, rng.integers(0, space.length + 1, 200), strict=True):
        row[length:] = 0
    first[:2] = np.array([0, 1])[:, None, None]
    unwritable = 0
    for one in ids.astype(np.int32):
        text = to_text(abstraction, one)
        read = from_text(abstraction, text)
        unwritable += text.startswith("{")
        # A text may have been in other pieces of its tokenizer.
        assert abstraction.to_text(read) == abstraction.to_text(one)
        if not isinstance(abstraction, TextTemplate):
            np.testing.assert_array_equal(read, one)
        assert read.shape == space.shape and read.dtype == np.int32
    assert unwritable
    if not isinstance(abstraction, TextTemplate):
        assert unwritable == sum(not one.any() for one in ids)


@pytest.mark.parametrize("ids", ["[1]", "3", "[[[]]]", '"a"', "[1.5]", "[" * 10**5])
def test_ids_outside_the_space_raise_user_error(ids):
    with pytest.raises(UserError, match=r"integers from 0 to \d+, of shape \[12\]"):
        from_text(EDITABLE[0], f'{{"ids": {ids}}}')
    for token in (-1, PIECES.vocab):
        text = json.dumps({"ids": [token] + [0] * 11})
        with pytest.raises(UserError, match="'ids' must be"):
            from_text(EDITABLE[0], text)


@pytest.mark.parametrize(
    "data",
    [
        "light é\n".encode(),
        codecs.BOM_UTF8 + "light é\n".encode(),
        codecs.BOM_UTF16_LE + "light é\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "light é\r\n".encode("utf-16-be"),
        "light é\r".encode(),
    ],
)
def test_common_encodings_and_line_ends_are_decoded(data):
    assert decoded(data) == "light é\n"


@pytest.mark.parametrize("data", [b"caf\xe9s", codecs.BOM_UTF16_LE + b"a"])
def test_invalid_utf_8_raises_user_error(data):
    with pytest.raises(UserError, match="byte [34] is not valid UTF-8: save"):
        decoded(data)
