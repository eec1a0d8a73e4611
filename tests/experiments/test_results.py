"""Results are data: tables of the README are those of the studies' JSON."""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "experiments"
STUDIES = sorted(path.parent.name for path in FOLDER.glob("*/results.json"))
README = (FOLDER / "README.md").read_text()


def cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)][
        1:-1
    ]


def tables(text: str) -> list[list[list[str]]]:
    """Returns the Markdown tables of a text as rows of cells."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [cells(line) for line in block.splitlines()]
        found.append(
            [row for row in rows if not re.fullmatch(r"[-: |]*", "".join(row))]
        )
    return found


@pytest.mark.parametrize("study", STUDIES)
def test_study_is_a_folder_with_its_command_and_results(study):
    assert (FOLDER / study / "run.py").is_file()
    results = json.loads((FOLDER / study / "results.json").read_text())
    assert set(results) >= {"command", "machine", "tables"} and results["tables"]
    for rows in results["tables"].values():
        assert len({len(row) for row in rows}) == 1


def test_readme_tables_are_those_of_results():
    recorded = [
        rows
        for study in STUDIES
        for rows in json.loads((FOLDER / study / "results.json").read_text())[
            "tables"
        ].values()
    ]
    shown = tables(README)
    assert shown and all(table in recorded for table in shown)


def test_top_readme_shows_results_of_the_demo():
    demo = json.loads((FOLDER / "digits/results.json").read_text())["tables"]["demo"]
    assert demo in tables((FOLDER.parent / "README.md").read_text())


def test_configs_readme_shows_the_generators_of_digits():
    results = json.loads((FOLDER / "digits/results.json").read_text())["tables"]
    measured = [table for name, table in results.items() if name == "generators"]
    shown = tables((FOLDER.parent / "configs/README.md").read_text())
    assert all(table in shown for table in measured)
