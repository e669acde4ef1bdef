"""The JSON schema takes every shipped book and refuses wrong ones, and it knows every key that the loader takes."""

import copy
import tomllib
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from tariff import book as books
from tariff.components import kinds
from tariff.schema import KINDS, book_schema

VALIDATOR = jsonschema.Draft202012Validator(book_schema(), format_checker=jsonschema.FormatChecker())


def table(name: str) -> dict[str, Any]:
    return tomllib.loads(books.shipped_text(name))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(book_schema())


@pytest.mark.parametrize("name", books.shipped())
def test_shipped_books_are_valid(name: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(table(name))] == []


def test_every_kind_is_described() -> None:
    assert set(KINDS) == set(kinds())


def tables(item: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all tables of a book but those whose keys are names of the book's own."""
    if isinstance(item, dict):
        if not path or path[-1] not in ("prices", "bands", "attributes", "limits"):
            yield path
        for key, value in item.items():
            yield from tables(value, (*path, key))
    elif isinstance(item, list):
        for place, value in enumerate(item):
            yield from tables(value, (*path, place))


@pytest.mark.parametrize("name", books.shipped())
def test_an_unknown_key_in_any_table_is_refused(name: str) -> None:
    whole = table(name)
    for path in tables(whole):
        wrong = copy.deepcopy(whole)
        at: Any = wrong
        for key in path:
            at = at[key]
        at["nonsense"] = "1"
        assert list(VALIDATOR.iter_errors(wrong)), path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("currency",), 7),
        (("rounding",), "sideways"),
        (("decimals",), 7),
        (("cycle_day",), 29),
        (("version",), []),
        (("version", 0, "component"), []),
        (("version", 0, "window", 0, "from"), "8:00"),
        (("version", 0, "window", 0, "days"), [8]),
        (("version", 0, "component", 0, "prices", "peak"), [0.568]),
        (("version", 0, "component", 0, "ladder", "limits"), [2760]),
        (("version", 0, "component", 0, "ladder", "reset"), "yearly"),
        (("version", 0, "component", 0, "ladder", "mode"), "stairs"),
        (("version", 0, "component", 0, "quantity"), "some"),
        (("version", 0, "holidays"), ["first of May"]),
    ],
)
def test_a_wrong_value_is_refused(path: tuple[Any, ...], value: Any) -> None:
    wrong = table("zhejiang-residential")
    at: Any = wrong
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    assert list(VALIDATOR.iter_errors(wrong))


@pytest.mark.parametrize("path", [("currency",), ("zone",), ("version",), ("version", 0, "from")])
def test_a_missing_key_is_refused(path: tuple[Any, ...]) -> None:
    wrong = table("zhejiang-residential")
    at: Any = wrong
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    assert list(VALIDATOR.iter_errors(wrong))
