"""What the launchers need besides what the package itself does."""

import contextlib
from collections.abc import Iterator

from regen_jax.errors import UserError


@contextlib.contextmanager
def optional() -> Iterator[None]:
    """Imports in this context that fail are a `UserError` that says what to install."""
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed: pip install -e '.[launch]' "
            "-c launch/constraints.txt"
        ) from error
