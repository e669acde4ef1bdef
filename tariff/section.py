"""One table of a tariff book goes in, typed values come out; what is unknown, missing or misspelt is a BookError.

Every kind of price component reads its table through a Section, so that all refusals look alike: file, line, what was
found, what would be right.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from tariff import money
from tariff.errors import BookError
from tariff.locate import Path, line_of


@dataclass
class Section:
    """A table at ``path`` of the book ``file``; keys that nobody has taken when ``done`` is called are refused."""

    table: Mapping[str, Any]
    path: Path
    file: str
    places: dict[Path, int]
    taken: set[str] = field(default_factory=set)

    def fail(self, key: str, message: str, hint: str = "") -> NoReturn:
        """Raise BookError at ``key`` of this table."""
        where = (*self.path, key) if key else self.path
        raise BookError(self.file, line_of(self.places, where), message, hint)

    def has(self, key: str) -> bool:
        """Whether the table has ``key``."""
        return key in self.table

    def raw(self, key: str, default: Any = None, *, required: bool = False) -> Any:
        """The value of ``key`` as TOML gave it."""
        self.taken.add(key)
        if key not in self.table:
            if required:
                near = difflib.get_close_matches(key, list(self.table), 1)
                self.fail("", f"{self.name}: {key!r} is missing", f"{near[0]!r} looks like it" if near else "")
            return default
        return self.table[key]

    @property
    def name(self) -> str:
        """Readable name of the table, e.g. version[0].component[1] 'energy'."""
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
        ident = self.table.get("id")
        return (text or "book") + (f" {ident!r}" if isinstance(ident, str) else "")

    def text(self, key: str, default: str | None = None, *, choices: Sequence[str] = ()) -> str:
        """Text; required without a default; one of ``choices`` if there are any."""
        value = self.raw(key, default, required=default is None)
        if not isinstance(value, str):
            self.fail(key, f"{key!r} must be text in quotes, not {value!r}")
        if choices and value not in choices:
            self.fail(key, f"{key} = {value!r} is not known", suggest(value, choices))
        return value

    def number(self, key: str, default: str | None = None) -> str:
        """A decimal number written as text, such as "0.589"; prices are never floats."""
        value = self.raw(key, default, required=default is None)
        if not money.is_decimal(value):
            self.fail(key, f"{key!r} must be a decimal number in quotes, not {value!r}", 'e.g. "0.589"')
        return str(value)

    def numbers(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of decimal numbers written as text."""
        value = self.raw(key, default, required=default is None)
        if not isinstance(value, (list, tuple)) or not all(money.is_decimal(item) for item in value):
            self.fail(key, f"{key!r} must be a list of decimal numbers in quotes", 'e.g. ["0.589", "0.639"]')
        return tuple(value)

    def integer(self, key: str, default: int | None = None, *, low: int = 0, high: int = 10**9) -> int:
        """A whole number within [low, high]."""
        value = self.raw(key, default, required=default is None)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fail(key, f"{key!r} must be a whole number from {low} to {high}, not {value!r}")
        return value

    def integers(self, key: str, *, low: int, high: int) -> tuple[int, ...]:
        """A list of whole numbers within [low, high]; empty if absent."""
        value = self.raw(key, [])
        if not isinstance(value, list) or not all(type(item) is int and low <= item <= high for item in value):
            self.fail(key, f"{key!r} must be a list of whole numbers from {low} to {high}")
        return tuple(value)

    def flag(self, key: str, default: bool = False) -> bool:
        """true or false."""
        value = self.raw(key, default)
        if not isinstance(value, bool):
            self.fail(key, f"{key!r} must be true or false, not {value!r}")
        return value

    def names(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of texts."""
        value = self.raw(key, default, required=default is None)
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            self.fail(key, f"{key!r} must be a list of texts in quotes")
        return tuple(value)

    def periods(self, key: str, known: Sequence[str]) -> tuple[str, ...]:
        """A list of periods that the version's windows give; empty if absent."""
        found = self.names(key, ())
        for name in found:
            if name not in known:
                self.fail(key, f"no window gives period {name!r}", suggest(name, sorted(known)))
        return found

    def bases(self, key: str, known: Sequence[str], *, required: bool = False) -> tuple[str, ...]:
        """A list of ids of components above this one; empty if absent and not ``required``."""
        found = self.names(key, None if required else ())
        for name in found:
            if name not in known:
                self.fail(key, f"{self.name}: no component {name!r} above it", suggest(name, known))
        return found

    def day(self, key: str) -> str:
        """A day of every year as MM-DD; "" if absent."""
        value = self.text(key, "")
        try:
            good = not value or (len(value) == 5 and datetime.fromisoformat(f"2001-{value}") is not None)
        except ValueError:
            good = False
        if not good:
            self.fail(key, f"{key} = {value!r} is no day of every year", 'e.g. "04-01"')
        return value

    def child(self, key: str) -> "Section | None":
        """The table under ``key``, or None."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.fail(key, f"{key!r} must be a table, not {value!r}")
        return Section(value, (*self.path, key), self.file, self.places)

    def children(self, key: str, *, required: bool = False) -> "Iterator[Section]":
        """The tables of the list under ``key``."""
        value = self.raw(key, [], required=required)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fail(key, f"{key!r} must be a list of tables", f"write [[{key}]]")
        for index, item in enumerate(value):
            yield Section(item, (*self.path, key, index), self.file, self.places)

    def done(self) -> None:
        """Refuse the first key that was never taken, with the nearest one that is known."""
        for key in self.table:
            if key not in self.taken:
                self.fail(key, f"{self.name}: unknown key {key!r}", suggest(key, sorted(self.taken)))


def suggest(word: str, known: Sequence[str]) -> str:
    """A hint for a misspelt ``word``."""
    near = difflib.get_close_matches(word, known, 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
