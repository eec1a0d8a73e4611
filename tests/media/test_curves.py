import numpy as np
import pytest

from regen_jax.media.curves import render_curves


def test_curve_rises_from_bottom_to_top_of_its_panel():
    picture = render_curves(
        [{"real": np.linspace(0, 1, 20)}], ["clip"], width=100, height=50
    )
    assert picture.dtype == np.uint8 and picture.shape == (86, 206, 3)
    is_curve = np.all(picture == (214, 88, 40), axis=-1)
    rows = [np.mean(np.nonzero(is_curve[26:, x])[0]) for x in (100, 190)]
    assert rows[0] > 40 > 10 > rows[1]


def test_curves_of_a_name_have_one_color_in_all_panels():
    flat = np.full(5, 0.5)
    picture = render_curves([{"a": flat, "b": flat}, {"b": flat}], ["", ""], height=40)
    blue = np.all(picture == (40, 104, 178), axis=-1)
    assert blue[26:66].any() and blue[76:116].any()


def test_other_number_of_labels_raises_value_error():
    with pytest.raises(ValueError, match="1 panels of curves have 0 labels"):
        render_curves([{}], [])
