"""Every key of every shipped book, misspelt, is refused at its line with the right key; the schema knows every key."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tariff import book as books
from tariff.errors import BookError
from tariff.locate import Path, lines_of
from tariff.schema import book_schema, component_schema
from tariff.section import Section
from tests.cases.toml_text import document

FREE = {"prices", "bands", "attributes", "limits"}  # tables whose keys are names of the book's own


def misspelt(key: str) -> str:
    """A slip of the finger: two letters swapped, or the only ones doubled.

    >>> misspelt("from"), misspelt("of")
    ('form', 'off')
    """
    if len(key) < 4 or key[1] == key[2]:
        return key + key[-1]
    return key[0] + key[2] + key[1] + key[3:]


def slips(text: str) -> Iterator[tuple[str, int, str]]:
    """The text with one key or header misspelt, its line, and the right key."""
    lines = text.splitlines()
    for path, number in lines_of(text).items():
        named = [part for part in path if isinstance(part, str)]
        line = lines[number - 1]
        if any(part in FREE for part in named[:-1]):
            continue
        key = named[-1]
        if line.lstrip().startswith("["):
            if line.split("]")[0].split(".")[-1].strip("[ ") != key:
                continue
            place = line.index("]") - len(key)
        else:
            place = line.index(key)
        wrong = line[:place] + misspelt(key) + line[place + len(key) :]
        slip = "\n".join([*lines[: number - 1], wrong, *lines[number:]])
        if is_toml(slip):  # a header that others stand below may leave them without a place
            yield slip, number, key


def is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@pytest.mark.parametrize("name", books.shipped())
def test_every_misspelt_key_is_named_at_its_line_with_the_right_one(name: str) -> None:
    count = 0
    for text, line, key in slips(books.shipped_text(name)):
        with pytest.raises(BookError) as caught:
            books.load(text, name)
        assert (caught.value.line, caught.value.hint) == (line, f"did you mean {key!r}?"), caught.value
        assert f"unknown key {misspelt(key)!r}" in caught.value.message
        count += 1
    assert count >= 12


def test_a_misspelt_key_is_told_before_what_its_absence_breaks() -> None:
    ladder = {"reset": "month", "limtis": ["100"]}
    component = {"id": "energy", "kind": "energy", "prices": ["1", "2"], "ladder": ladder}
    text = document({"currency": "XXX", "zone": "UTC", "version": [{"from": "2020-01-01", "component": [component]}]})
    with pytest.raises(BookError, match=r"unknown key 'limtis'.*did you mean 'limits'"):
        books.load(text, "made")


def test_kinds_of_third_parties_keep_their_own_keys() -> None:
    assert component_schema("windmill") == {}


def properties(path: Path, table: Any) -> dict[str, Any]:
    """What the schema has for the table at ``path``."""
    node: Any = book_schema()
    for part in path:
        if isinstance(part, int):
            node = node["items"]
            if node == {"$ref": "#/$defs/component"}:
                node = None  # its kind decides
        else:
            node = (node or component_schema(KINDS_AT[path[:4]]))["properties"][part]
    found: dict[str, Any] = (node or component_schema(table["kind"]))["properties"]
    return found


KINDS_AT: dict[Path, str] = {}
EVERYTHING: list[dict[str, Any]] = [
    {"id": "energy", "kind": "energy", "prices": ["1", "2"], "ladder": {"reset": "month", "limits": ["9"]}},
    {"id": "fee", "kind": "fixed", "by_total": [{"up_to": "9", "amount": "1"}, {"amount": "2"}]},
    {"id": "kw", "kind": "demand", "price": "1", "when": {"attribute": "big", "equals": "yes"}},
    {"id": "pf", "kind": "pf_adjust", "standard": "0.90", "of": ["energy"]},
    {"id": "free", "kind": "free_kwh", "kwh": "5", "of": "energy"},
    {"id": "var", "kind": "kvarh", "price": "1", "free_percent": "50"},
    {"id": "net", "kind": "net_metering", "of": "energy", "by": "period", "expires_on": "04-01"},
    {"id": "bank", "kind": "credit_bank", "of": ["energy"], "expires_months": 12},
    {"id": "least", "kind": "minimum", "amount": "1"},
    {"id": "vat", "kind": "percent", "percent": "5"},
]
CLASSES = {"mode": "by_total", "reset": "month", "classes": [{"up_to": "9", "prices": ["1"]}, {"prices": ["2"]}]}
MORE = [{"id": "energy", "kind": "energy", "ladder": {**CLASSES, "adders": [{"attribute": "a", "kwh": "1"}]}}]


def test_the_schema_knows_every_key_that_the_loader_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[Path, Any, set[str]]] = []
    plain = Section.done

    def done(self: Section) -> None:
        taken.append((self.path, self.table, set(self.taken)))
        plain(self)

    monkeypatch.setattr(Section, "done", done)
    window = {"period": "peak", "from": "08:00", "to": "09:00"}
    head = {"currency": "XXX", "zone": "UTC", "source": {"title": "t"}, "attributes": {"a": "1"}}
    for rows in (EVERYTHING, MORE):
        version = {"from": "2020-01-01", "source": {"title": "t"}, "component": rows}
        KINDS_AT.update({("version", 0, "component", place): row["kind"] for place, row in enumerate(rows)})
        books.load(document({**head, "version": [version | {"gas": {"calorific_mj": "39"}}]}), "made")
        for path, table, keys in taken:
            assert keys <= set(properties(path, table)), path
        taken.clear()
    timed = {"from": "2020-01-01", "window": [window], "component": [{"id": "e", "kind": "energy", "prices": ["1"]}]}
    KINDS_AT[("version", 0, "component", 0)] = "energy"
    books.load(document({**head, "version": [timed]}), "made")
    for path, table, keys in taken:
        assert keys <= set(properties(path, table)), path
    assert {path[:3] for path, _, _ in taken} >= {("version", 0, "window")}
