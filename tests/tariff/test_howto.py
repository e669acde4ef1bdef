"""The how-to's books are books, and it names every kind and every key."""

import re
from pathlib import Path

import pytest

from tariff import book as books
from tariff import components

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "tariff-book.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
HEAD = 'currency = "XXX"\nzone = "UTC"\n'


def test_the_book_of_the_howto_loads() -> None:
    book = books.load(BLOCKS[0], "howto")
    assert [spec.id for spec in book.versions[0].components] == ["energy", "vat"]


def test_a_commented_key_of_the_howto_is_a_key_too() -> None:
    books.load(re.sub(r"^# (?=[a-z\[])", "", BLOCKS[0], flags=re.M), "howto")


@pytest.mark.parametrize("block", BLOCKS[1:])
def test_the_parts_of_the_howto_are_parts_of_books(block: str) -> None:
    version = "" if "[[version]]" in block else '[[version]]\nfrom = "2025-01-01"\n'
    assert books.load(HEAD + version + block, "part").versions[0].components


def test_every_kind_is_in_the_howto() -> None:
    for kind in components.kinds():
        assert f"`{kind}`" in TEXT or f'kind = "{kind}"' in TEXT, kind


def test_every_key_that_a_kind_reads_is_in_the_howto() -> None:
    for path in sorted((Path(components.__file__).parent).glob("[a-z]*.py")):
        for key in re.findall(
            r"\.(?:text|number|numbers|integer|integers|flag|names|day|bases)\(\s*\"(\w+)\"", path.read_text()
        ):
            assert re.search(rf"\b{key}\b", TEXT), f"{path.name}: {key}"
