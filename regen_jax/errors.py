"""The exceptions that a command prints as a single line."""

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class UserError(Exception):
    """Something the user can mend: one line that says what, where, what would be right."""


class LimitError(UserError):
    """A prompt is larger than the options of the data set allow.

    Attributes:
      prompt: what it is, and how large.
      options: of the section `data`, by which the prompt would fit.
    """

    def __init__(self, prompt: str, limit: str, options: Mapping[str, Any]):
        super().__init__(f"{prompt}: {limit}")
        self.prompt, self.options = prompt, options


_INSTALLED = re.compile(r"[/\\](site-packages|dist-packages|lib)[/\\]|^<")
"""Of files of Python and of what is installed."""
LONGEST = 1000
"""The most characters of an error message."""
_LONGEST_QUOTE = 60


def quote(text: str) -> str:
    """Quotes what a user gave, for an error; of a long text the beginning."""
    return repr(
        text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 3]}..."
    )


def reason(error: Exception) -> str:
    """Returns the message of an exception, or its type where that is empty."""
    return str(error) or type(error).__name__


def described(error: Exception) -> str:
    """Returns the type of an exception, the line that it comes from, and its message.

    The line is the innermost of the user's code and of this package, if there is one; a
    SyntaxError names its own.
    """
    frames = traceback.extract_tb(error.__traceback__)
    inner = [f for f in frames if not _INSTALLED.search(f.filename)]
    inner *= not isinstance(error, SyntaxError)
    place = f" at {Path(inner[-1].filename).name}:{inner[-1].lineno}" if inner else ""
    return f"{type(error).__name__}{place}: {' '.join(str(error).split())}"


def line(error: object) -> str:
    """Formats an error as one line; keeps the beginning and end of a long one.

    Errors quote what users gave, and a word of a file may be the whole file.
    """
    text = " ".join(str(error).split())
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]} … {text[3 - LONGEST // 2 :]}"
