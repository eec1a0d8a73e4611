"""Bars of a table: the numbers of cells, and a picture."""

import pytest
from PIL import Image

from experiments.bars import draw, numbers
from regen_jax.errors import UserError

TABLE = [
    ["", "bits", "accuracy"],
    ["VQ", "343", "97.9% ± 0.4%"],
    ["KL", "", "91.2%"],
]


@pytest.mark.parametrize(
    "cell, expected",
    [
        ("", []),
        ("22.3 dB", [22.3]),
        ("1,234,567", [1234567]),
        ("-8.4e+12 ± 0.5", [-8.4e12, 0.5]),
        ("97.9% ± 0.4%", [97.9, 0.4]),
    ],
)
def test_cell_gives_its_numbers(cell, expected):
    assert numbers(cell) == expected


def test_picture_of_two_columns_is_drawn(tmp_path):
    path = tmp_path / "bars.png"
    draw(path, TABLE, ["bits", "accuracy"])
    with Image.open(path) as picture:
        assert picture.width > 2 * picture.height
    assert path.stat().st_size < 300_000


def test_unknown_column_raises_user_error(tmp_path):
    with pytest.raises(UserError, match="no column 'size'; there are bits, accuracy"):
        draw(tmp_path / "bars.png", TABLE, ["size"])
