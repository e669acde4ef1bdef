"""The how-to's book is a book."""

import re
from pathlib import Path

from tariff import book as books

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "tariff-book.md"


def test_the_book_of_the_howto_loads() -> None:
    text = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert text is not None
    book = books.load(text[1], "howto")
    assert [spec.id for spec in book.versions[0].components] == ["energy", "vat"]


def test_a_commented_key_of_the_howto_is_a_key_too() -> None:
    text = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert text is not None
    books.load(re.sub(r"^# (?=[a-z\[])", "", text[1], flags=re.M), "howto")
