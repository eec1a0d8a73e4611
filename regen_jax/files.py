"""Writing files that other processes may read at any moment."""

import uuid
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file, text as UTF-8, so that a kill or a reader never meets half of it.

    The content is written to a file of its own beside `path`, which then replaces it.

    Raises:
      OSError: it cannot be written; the former file is unchanged.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.new")
    content = content.encode() if isinstance(content, str) else content
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
