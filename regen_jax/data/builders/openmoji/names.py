"""Reads the English names of emoji, and makes captions of them."""

import json
from pathlib import Path

from regen_jax.data.builders.packages import path_in_package

_FULLY_QUALIFIED = 2
"""The status in Unicode's `emoji-test.txt` of the one code sequence to be written."""
_VARIATION = "FE0F"
"""Asks for a picture in place of a letter; names of drawings may lack it."""
_REGIONS = range(0x1F1E6, 0x1F200)
"""Letters of country codes, of which two make a flag."""
_LAST_TAG = "\U000e007f"
"""Ends the flag of a part of a country, such as Wales."""


def names_file() -> Path:
    """Returns the path of the names; `UserError` without the package `emoji`."""
    return path_in_package(
        "emoji",
        "unicode_codes/emoji.json",
        content="the names of emoji",
        package="emoji 2.16.0",
        extra="emoji",
    )


def read_captions(names: Path, drawings: Path) -> dict[str, str]:
    """Returns the caption of every emoji that has a name and a drawing.

    Args:
      names: a file of JSON that has the English name and the status of each emoji.
      drawings: a folder of SVG files, each named by the code points of its emoji.

    Returns:
      Captions such as `woman artist dark skin tone` by the name of the drawing without
      its suffix, such as `1F469-1F3FF-200D-1F3A8`, in the order of `names`.
    """
    drawn = {path.stem for path in drawings.glob("*.svg")}
    captions = {}
    for emoji, entry in json.loads(names.read_text(encoding="utf-8")).items():
        codes = [f"{ord(character):04X}" for character in emoji]
        plain = "-".join(code for code in codes if code != _VARIATION)
        stems = [stem for stem in ("-".join(codes), plain) if stem in drawn]
        if entry.get("status") == _FULLY_QUALIFIED and stems:
            captions[stems[0]] = _caption(emoji, entry["en"])
    return captions


def _caption(emoji: str, name: str) -> str:
    """Returns a name such as `:red_heart:` as words; says of a flag that it is one."""
    words = name.strip(":").replace("_", " ")
    is_country = all(ord(character) in _REGIONS for character in emoji)
    # Flags are named by the bare country.
    return f"flag of {words}" if is_country or emoji.endswith(_LAST_TAG) else words
