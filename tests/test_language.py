"""Words that must not come back, in code, docs and names of tests.

The project speaks as its field does: see CONTRIBUTING.md. Each word has the one that
stands in its place.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

WORDS = {
    r"told": "conditioned on, logged, reported",
    r"heed(s|ed)?": "apply the constraints, respect",
    r"anew": "again, newly drawn",
    r"giver": "target_origin",
    r"yardsticks?": "baseline, reference",
    r"an? (key|entry|value|code|token|line) an? \w+": "one key per example",
    r"(nats|bits|steps|samples|frames|notes|seconds|tokens) an? "
    r"(word|note|token|second|frame|step|pixel|example|quarter|beat|code)": "per token",
    r"figures of": "metrics of",
    r"(behind|in front of) (the|their|its|an?) (end|tokens|patches|layers)": "after",
    r"Exhibits?": "Media",
    r"HostRule": "HostFeature",
    r"drop_source": "source_dropout",
    r"rule_weight": "constraint_weight",
    r"(colour|colours|coloured|labell\w+)": "American spelling",
    r"(normalis\w+|recognis\w+|standardis\w+|analyse[sd]?)": "American spelling",
}
"""Regular expressions, matched as whole words, and what to write instead."""

# This list itself, a document of the law, and spellings that are data.
IGNORED = ("tests/test_language.py", "LICENSE", "launch/constraints.txt")
SUFFIXES = (".py", ".md", ".cfg", ".toml", ".yaml", ".sh", ".cff", "")


def files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [
        name
        for name in listed
        if name not in IGNORED
        and Path(name).suffix in SUFFIXES
        and (ROOT / name).is_file()
    ]


def uses(pattern: str, text: str) -> list[str]:
    """Returns the lines, also of names such as `test_told`, with the words of a pattern."""
    word = re.compile(rf"(?<![a-zA-Z])(?:{pattern})(?![a-zA-Z])")
    return [line.strip() for line in text.splitlines() if word.search(line)]


@pytest.mark.parametrize("pattern", WORDS)
def test_abandoned_word_does_not_come_back(pattern):
    found = [
        f"{name}: {line}"
        for name in files()
        for line in uses(pattern, (ROOT / name).read_text(encoding="utf-8"))
    ]
    assert not found, f"say {WORDS[pattern]!r} instead:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "line, pattern",
    [
        ("def test_user_is_told_why():", r"told"),
        ("one key: a key an example", r"an? (key|entry) an? \w+"),
    ],
)
def test_word_is_found_within_names_and_sentences(line, pattern):
    assert uses(pattern, line) == [line]
    assert not uses(pattern, "untold keys per example")
