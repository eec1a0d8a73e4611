import itertools

import jax
import numpy as np
import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.video import captions
from regen_jax.modalities.video.captions import GRAMMAR, MOTIONS, Part

PARTS = [Part(d, m) for d in range(10) for m in range(len(MOTIONS))]


def test_every_caption_is_parsed_and_encoded_and_back():
    pairs = [pair for pair in itertools.product(PARTS[::3], PARTS) if len({*pair}) == 2]
    listed = [(part,) for part in PARTS]
    listed += [pair for pair in pairs if pair[0].digit != pair[1].digit]
    ids = np.stack([captions.encode(parts) for parts in listed])
    assert len({row.tobytes() for row in ids}) == len(listed)
    digits, motions = captions.as_arrays(listed)
    for compiled, array in zip(
        jax.jit(captions.parts_of)(ids), (digits, motions), strict=True
    ):
        np.testing.assert_array_equal(compiled, array)
    for parts, row, digit, motion in zip(listed, ids, digits, motions, strict=True):
        assert captions.parse(captions.write(parts)) == parts
        assert captions.decode(row) == parts
        padding = [-1] * (2 - len(parts))
        assert digit.tolist() == [p.digit for p in parts] + padding
        assert motion.tolist() == [p.motion for p in parts] + padding


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a 3 moves left", "a 3 moves left"),
        ("  A 3 Moves LEFT and bounces. ", "a 3 moves left and bounces"),
        ("3 falls;7 stands still", "a 3 falls; a 7 stands still"),
        ("an 8 falls", "a 8 falls"),
    ],
)
def test_case_articles_and_spaces_do_not_matter(text, expected):
    assert captions.write(captions.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", ";", "a 3", "moves left", "a 3 moves", "a 12 falls", "a cat falls"),
        *("a 3 moves left and falls", "a 3 falls and bounces", "a 3 falls; "),
        *("a 3 falls; a 3 moves up", "a 1 falls; a 2 falls; a 3 falls"),
        *("a 3 moves left a 7 falls", "a ³ falls", "a 3 falls\na 7 falls"),
    ],
)
def test_caption_outside_the_grammar_raises_user_error_of_one_line(text):
    with pytest.raises(UserError) as error:
        captions.parse(text)
    assert GRAMMAR in str(error.value) and "\n" not in str(error.value)
