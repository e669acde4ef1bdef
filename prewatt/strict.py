"""TOML text and a dataclass go in; a filled record comes out, or a refusal that names file, line, key and a suggestion.

A table is a frozen dataclass; nested tables are dataclasses, ``[[name]]`` is a tuple of them, and ``[name.ANY]`` a
mapping to them. A field of type ``Mapping[str, str]`` named ``settings`` takes the keys that the others leave.
"""

import difflib
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar

from prewatt.errors import BadConfig
from tariff.locate import Path, line_of, lines_of

T = TypeVar("T")


def setting(doc: str, default: Any = MISSING, **options: Any) -> Any:
    """One setting: its default (none: it must be given) and the sentence that ``config schema`` prints."""
    metadata = {"doc": doc, **options}
    if isinstance(default, type) or callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata) if default is not MISSING else field(metadata=metadata)


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed TOML file with the places of its keys; ``file`` is the name that messages show."""

    file: str
    data: Mapping[str, Any]
    lines: dict[Path, int]

    def refuse(self, where: Path, what: str, attempt: str = "") -> BadConfig:
        """The refusal of one key, as file:line:key."""
        key = ".".join(str(part) for part in where) or "top level"
        return BadConfig(what, which=f"{self.file}:{line_of(self.lines, where) or 1}:{key}", attempt=attempt)


def parse(text: str, file: str) -> Document:
    """Parse a TOML text; a syntax error becomes BadConfig with its line."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        line = at.group(1) if at else str(len(text.splitlines()) or 1)
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise BadConfig(f"not TOML: {reason}", which=f"{file}:{line}", attempt="prewatt config schema") from None
    return Document(file, data, lines_of(text))


def fill(document: Document, kind: type[T], where: Path = (), data: Mapping[str, Any] | None = None) -> T:
    """Make a ``kind`` from the table at ``where``; every key must be a field of it, of the field's type."""
    table = document.data if data is None else data
    hints = typing.get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    free = "settings" in known and hints["settings"] == Mapping[str, str]
    values: dict[str, Any] = {}
    rest: dict[str, str] = {}
    for key, value in table.items():
        if key in known and not (free and key == "settings"):
            values[key] = _value(document, hints[key], (*where, key), value, known[key].metadata)
        elif free:
            rest[key] = _text(document, (*where, key), value)
        else:
            raise document.refuse((*where, key), f"unknown key {key!r}", suggest(key, known))
    if free:
        values["settings"] = rest
    for name, f in known.items():
        if name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise document.refuse(where, f"missing key {name!r}", f"{name} = ...  # {f.metadata.get('doc', '')}")
    return kind(**values)


def suggest(key: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """The known name that looks most like ``key``, else all of them."""
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    return f"{close[0]!r}" if close else "one of " + ", ".join(sorted(known))


def _value(document: Document, hint: Any, where: Path, value: Any, metadata: Mapping[str, Any]) -> Any:
    """One value as its field wants it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return fill(document, hint, where, _table(document, where, value))
    if origin is tuple:
        if not isinstance(value, list):
            raise document.refuse(where, f"want a list, got {value!r}")
        return tuple(_value(document, args[0], (*where, i), item, metadata) for i, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        table = _table(document, where, value)
        return {key: _value(document, args[1], (*where, key), item, metadata) for key, item in table.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        words = [str(member.value) for member in hint]
        if value not in words:
            raise document.refuse(where, f"{value!r} is not a {hint.__name__.lower()}", suggest(str(value), words))
        return hint(value)
    return _scalar(document, hint, where, value, metadata)


def _scalar(document: Document, hint: Any, where: Path, value: Any, metadata: Mapping[str, Any]) -> Any:
    """A text, a number or a truth value, inside its limits."""
    names = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}
    fits = isinstance(value, int | float if hint is float else hint)
    if not fits or (hint in (int, float) and isinstance(value, bool)):
        raise document.refuse(where, f"want {names.get(hint, hint)}, got {value!r}")
    words = metadata.get("words")
    if words and value not in words:
        raise document.refuse(where, f"{value!r} is not known here", suggest(str(value), words))
    least, most = metadata.get("least"), metadata.get("most")
    if (least is not None and value < least) or (most is not None and value > most):
        raise document.refuse(where, f"{value} is out of range", f"{least} to {most}")
    return value


def _table(document: Document, where: Path, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise document.refuse(where, f"want a table, got {value!r}", f"[{'.'.join(map(str, where))}]")
    return value


def _text(document: Document, where: Path, value: Any) -> str:
    """A plug-in's own setting: a text, or a whole number or truth value written as one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise document.refuse(where, f"want a text or a whole number, got {value!r}")
