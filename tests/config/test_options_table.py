import pytest

from regen_jax.config import options_table
from regen_jax.ranges import Checked


@pytest.mark.parametrize("kind", options_table.parts(), ids=lambda kind: kind.__name__)
def test_number_option_has_a_range(kind):
    unlimited = [
        f"{name}.{option.name}"
        for name, cls in options_table.parts()[kind].items()
        for option in options_table.options(cls)
        if option.value_type in ("int", "float") and not option.range
    ]
    assert unlimited == []


def test_bases_of_parts_and_sections_check_their_options():
    kinds = (*options_table.parts(), *options_table.SECTIONS.values())
    assert all(issubclass(kind, Checked) for kind in kinds)
