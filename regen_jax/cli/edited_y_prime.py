"""Y′ as texts that people edit, which `sample` writes and `--y_prime` reads."""

import codecs
import json

import numpy as np

from regen_jax import paths
from regen_jax.errors import UserError
from regen_jax.interfaces import Abstraction
from regen_jax.spaces import Tokens


def read(abstraction: Abstraction, path: str) -> np.ndarray:
    """Returns the y′ of a file that --y_prime names.

    Raises:
      UserError: the file cannot be read or holds no y′, or the abstraction's y′ are not
        for people to edit.
    """
    if not abstraction.human_editable:
        raise UserError(
            f"--y_prime={path}: the Y′ of this run is not for people to edit: its "
            f"abstraction is {type(abstraction).__name__}"
        )
    try:
        return from_text(
            abstraction, decoded(paths.local(path, "--y_prime").read_bytes())
        )
    except (OSError, ValueError) as error:
        raise UserError(f"--y_prime={path} cannot be read: {error}") from error
    except UserError as error:
        raise UserError(f"--y_prime={path}: {error}") from error


def to_text(abstraction: Abstraction, y_prime: np.ndarray) -> str:
    """Returns a text from which `from_text` reads the same y′, editable if possible.

    A prior may generate a y′ that has no such text, such as an empty one: its ids are
    written instead, as JSON.
    """
    text = abstraction.to_text(y_prime)
    if not isinstance(abstraction.output_space, Tokens):
        return text
    try:
        if abstraction.to_text(abstraction.from_text(text)) == text:
            return text
    except UserError:
        pass
    return json.dumps({"ids": np.asarray(y_prime).tolist()}) + "\n"


def from_text(abstraction: Abstraction, text: str) -> np.ndarray:
    """Returns the y′ of a text that `to_text` or a person wrote.

    Raises:
      UserError: the text is not that of a y′; the message says where.
    """
    space = abstraction.output_space
    if not (isinstance(space, Tokens) and text.lstrip().startswith('{"ids"')):
        return abstraction.from_text(text)
    try:
        ids = np.array(json.loads(text)["ids"])
        fits = ids.dtype.kind == "i" and ids.shape == space.shape
    except (ValueError, KeyError, TypeError, RecursionError):
        fits = False
    if not fits or ids.min() < 0 or ids.max() >= space.vocab:
        raise UserError(
            f"'ids' must be integers from 0 to {space.vocab - 1}, of shape "
            f"{list(space.shape)}"
        )
    return ids.astype(np.int32)


def decoded(data: bytes) -> str:
    """Returns the text of a file: UTF-8, or UTF-16 with a byte-order mark.

    Raises:
      UserError: it is neither.
    """
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"byte {error.start + 1} is not valid UTF-8: save the file as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
