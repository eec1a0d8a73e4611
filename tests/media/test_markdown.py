import pytest

from regen_jax.media import markdown


def test_table_has_titles_and_escapes_what_ends_a_cell():
    assert markdown.table(
        {"text": ["a|b", "c"], "length": ["3", "1"]}
    ).splitlines() == [
        "| text | length |",
        "| --- | --- |",
        r"| a\|b | 3 |",
        "| c | 1 |",
    ]


def test_columns_of_unequal_length_raise_value_error():
    with pytest.raises(ValueError, match="shorter"):
        markdown.table({"text": ["a", "b"], "length": ["1"]})
