"""TOML is read strictly: every refusal names file, line, key and what was probably meant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prewatt.errors import BadConfig
from prewatt.strict import fill, parse, setting, suggest


class Colour(StrEnum):
    """Two words."""

    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    """A table in a list."""

    name: str = setting("its name")
    count: int = setting("how many", 1, least=0, most=9)


@dataclass(frozen=True, slots=True)
class Open:
    """A table that keeps unknown keys as settings."""

    kind: str = setting("its kind")
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outer:
    """A whole file."""

    title: str = setting("a title", "none")
    on: bool = setting("a switch", False)
    colour: Colour = setting("a colour", Colour.RED)  # noqa: RUF009
    inner: tuple[Inner, ...] = setting("tables", tuple)
    names: tuple[str, ...] = setting("names", tuple)
    by: Mapping[str, int] = setting("numbers by name", dict)
    free: Open | None = None


def read(text: str) -> Outer:
    """The file, as ``f.toml``."""
    return fill(parse(text, "f.toml"), Outer)


def test_a_whole_file() -> None:
    found = read(
        'title = "x"\non = true\ncolour = "blue"\nnames = ["a", "b"]\n[by]\na = 1\n[[inner]]\nname = "i"\ncount = 9\n'
    )
    assert found == Outer("x", True, Colour.BLUE, (Inner("i", 9),), ("a", "b"), {"a": 1})


def test_an_empty_file_is_all_defaults() -> None:
    assert read("") == Outer()


@pytest.mark.parametrize(
    ("text", "which", "attempt"),
    [
        ("titel = 'x'", "f.toml:1:titel", "'title'"),
        ("\n\n[[inner]]\nname = 'a'\n\n[[inner]]\nname = 'b'\ncuont = 3\n", "f.toml:8:inner.1.cuont", "'count'"),
        ("title = 3", "f.toml:1:title", ""),
        ("on = 1", "f.toml:1:on", ""),
        ("[[inner]]\ncount = 1", "f.toml:1:inner.0", "name = ...  # its name"),
        ("[[inner]]\nname = 'a'\ncount = 10", "f.toml:3:inner.0.count", "0 to 9"),
        ("[[inner]]\nname = 'a'\ncount = true", "f.toml:3:inner.0.count", ""),
        ("colour = 'rot'", "f.toml:1:colour", ""),
        ("names = 'a'", "f.toml:1:names", ""),
        ("names = ['a', 2]", "f.toml:1:names.1", ""),
        ("by = 3", "f.toml:1:by", "[by]"),
        ("[by]\na = 'x'", "f.toml:2:by.a", ""),
        ('text = """\ntitel\n"""', "f.toml:1:text", "one of by, colour"),
    ],
)
def test_refusals_name_file_line_key_and_a_suggestion(text: str, which: str, attempt: str) -> None:
    with pytest.raises(BadConfig) as refused:
        read(text)
    assert refused.value.which == which
    if attempt:
        assert attempt in refused.value.attempt
    assert refused.value.code == 78


def test_what_is_not_toml_is_refused_with_its_line() -> None:
    with pytest.raises(BadConfig) as refused:
        read("title = 'x'\nthis is not toml\n")
    assert refused.value.which == "f.toml:2"


def test_free_keys_become_texts() -> None:
    found = fill(parse('kind = "k"\nhost = "h"\nport = 25\ntls = true', "f.toml"), Open)
    assert found == Open("k", {"host": "h", "port": "25", "tls": "true"})


def test_a_free_key_cannot_be_called_settings() -> None:
    found = fill(parse('kind = "k"\nsettings = "s"', "f.toml"), Open)
    assert found.settings == {"settings": "s"}


@given(st.text(max_size=300))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        read(text)
    except BadConfig as refused:
        assert refused.which.startswith("f.toml:")


def test_suggestions() -> None:
    assert suggest("hots", ["host", "port"]) == "'host'"
    assert suggest("zzz", ["host", "port"]) == "one of host, port"
