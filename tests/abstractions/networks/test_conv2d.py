import pytest

from regen_jax.abstractions.networks.conv2d import Conv2dNetworks
from tests.errors import value_error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, "widths must be one number or more, not none"),
        ({"widths": (4, 0)}, "widths[1] must be at least 1, not 0"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'bfloat16', not 'float16'"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    assert value_error(Conv2dNetworks, **options) == message
