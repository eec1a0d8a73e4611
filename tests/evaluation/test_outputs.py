import numpy as np
import pytest

from regen_jax.errors import UserError
from regen_jax.evaluation import outputs


def test_columns_are_read_as_they_were_written(tmp_path):
    file = outputs.path(tmp_path, "test")
    texts = ["a\nb", 'c"\u2028d', ""]
    outputs.write(file, {"output": texts, "wer": np.array([[1, 2], [0.5, 3], [0, 1]])})
    columns = outputs.read(file)
    assert columns["output"] == texts
    np.testing.assert_array_equal(columns["wer"], [[1, 2], [0.5, 3], [0, 1]])
    assert [path.name for path in tmp_path.iterdir()] == ["outputs_test.jsonl"]


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "{", "[]\n", '{"a": 1}\n', '{"a": "b"}\n{}\n', '{"a": []}\n'),
        *('{"a": "b"}\n{"a": 1}\n', '{"a": [NaN, 1]}\n', "[" * 10**5),
        f'{{"a": [1{"0" * 400}, 1]}}\n',
    ],
    ids=range(11),
)
def test_damaged_file_raises_user_error_of_one_line(tmp_path, content):
    file = tmp_path / "outputs_test.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match="cannot be read"):
        outputs.read(file)
