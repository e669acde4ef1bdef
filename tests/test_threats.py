"""The threat model names a test for every stop, and each of these tests exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)))


def tables() -> list[list[str]]:
    """The cells of every row of the tables, heads and rules left out."""
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| who |", "| what |"))
    ]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_every_stop_names_its_test() -> None:
    assert len(tables()) >= 20
    for cells in tables():
        assert len(cells) == 4 and cells[2] and re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`", cells[3]), cells


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_it_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
