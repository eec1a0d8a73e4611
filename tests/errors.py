"""Error messages of calls with invalid arguments."""

from collections.abc import Callable
from typing import Any

import pytest


def value_error(function: Callable[..., Any], *args: Any, **options: Any) -> str:
    """Returns the message of the ValueError that a call raises; fails without one."""
    with pytest.raises(ValueError) as error:
        function(*args, **options)
    return str(error.value)
