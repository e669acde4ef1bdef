"""Record in, row out, and back: one frozen dataclass becomes one tuple of what SQLite stores.

A datetime is INTEGER milliseconds UTC, a bool 0 or 1, an enum its value; tuples, mappings and nested records are
canonical JSON (sorted keys, no blanks, datetimes as ISO 8601 with Z). Loading back follows the record's type hints.
"""

import dataclasses
import json
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Union, get_args, get_origin, get_type_hints

EPOCH = datetime(1970, 1, 1)
_MS = timedelta(milliseconds=1)


class Kind(StrEnum):
    """How a column is stored."""

    TEXT = "text"
    INTEGER = "integer"
    BOOL = "bool"
    TIME = "time"
    FLOAT = "float"  # statistics only, never money or energy
    JSON = "json"


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One column: its storage kind, whether it may be NULL, and the hint that loads it back."""

    name: str
    kind: Kind
    optional: bool
    hint: Any
    default: Any  # encoded default of a column added later; None = no default


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970 of a naive UTC time, finer parts dropped."""
    return (at - EPOCH) // _MS


@lru_cache(maxsize=1 << 16)
def from_ms(ms: int) -> datetime:
    """The naive UTC time of ``ms`` milliseconds since 1970."""
    return EPOCH + timedelta(milliseconds=ms)


def canonical(value: Any) -> str:
    """Canonical JSON of records, mappings, sequences, enums and datetimes: equal values give equal text."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def revive(value: Any, hint: Any) -> Any:
    """Plain JSON back to what ``hint`` says: nested records, tuples, enums, datetimes; anything else stays as it is."""
    return _reviver(hint)(value)


def _same(value: Any) -> Any:
    """What needs no reviving."""
    return value


@cache
def _reviver(hint: Any) -> Callable[[Any], Any]:
    """The function that revives values of ``hint``, made once: a type is looked into once and not for each value."""
    hint, optional = _unwrap(hint)
    made = _made(hint)
    if not optional or made is _same:
        return made
    return lambda value: None if value is None else made(value)


def _made(hint: Any) -> Callable[[Any], Any]:
    origin = get_origin(hint)
    if origin is tuple:
        one = _reviver(get_args(hint)[0])
        return tuple if one is _same else lambda value: tuple(map(one, value))
    if origin is not None and issubclass(origin, Mapping):
        each = _reviver(get_args(hint)[1])
        return _same if each is _same else lambda value: {k: each(v) for k, v in value.items()}
    if not isinstance(hint, type):
        return _same
    if issubclass(hint, datetime):
        return lambda value: datetime.fromisoformat(value[:-1])
    if issubclass(hint, Enum):
        return hint
    if dataclasses.is_dataclass(hint):
        fields = {name: _reviver(kind) for name, kind in hints_of(hint).items()}
        return lambda value: hint(**{k: fields[k](v) for k, v in value.items() if k in fields})
    return _same


@cache
def hints_of(record: type) -> Mapping[str, Any]:
    """Resolved type hints of a record type."""
    return get_type_hints(record)


def _unwrap(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        inner = [a for a in get_args(hint) if a is not type(None)]
        if len(inner) == 1:
            return inner[0], True
    return hint, False


def _kind(hint: Any) -> Kind:
    if isinstance(hint, type) and get_origin(hint) is None:
        for base, kind in ((bool, Kind.BOOL), (str, Kind.TEXT), (int, Kind.INTEGER), (float, Kind.FLOAT)):
            if issubclass(hint, base):
                return kind
        if issubclass(hint, datetime):
            return Kind.TIME
    return Kind.JSON


def _default(entry: "dataclasses.Field[Any]", kind: Kind) -> Any:
    value = entry.default
    if value is dataclasses.MISSING and entry.default_factory is not dataclasses.MISSING:
        value = entry.default_factory()
    if value is dataclasses.MISSING:
        return {Kind.TEXT: "", Kind.JSON: "null", Kind.FLOAT: 0.0}.get(kind, 0)
    encode = _encoder(kind)
    return encode(value) if encode and value is not None else value


def _encoder(kind: Kind) -> Callable[[Any], Any] | None:
    encoders: Mapping[Kind, Callable[[Any], Any]] = {Kind.TIME: to_ms, Kind.JSON: canonical, Kind.BOOL: int}
    return encoders.get(kind)


def _decoder(kind: Kind, hint: Any) -> Callable[[Any], Any] | None:
    if kind is Kind.TIME:
        return from_ms
    if kind is Kind.BOOL:
        return bool
    if kind is Kind.JSON:
        revived = _reviver(hint)
        return json.loads if revived is _same else lambda text: revived(json.loads(text))
    if isinstance(hint, type) and issubclass(hint, Enum):
        enum: Callable[[Any], Any] = hint
        return enum
    return None


class Codec:
    """Turns records of one type into rows and back, in the order of the record's fields."""

    def __init__(self, record: type) -> None:
        """Read the record's fields and hints once."""
        self.record = record
        hints = hints_of(record)
        columns = []
        for entry in dataclasses.fields(record):
            hint, optional = _unwrap(hints[entry.name])
            kind = _kind(hint)
            columns.append(Column(entry.name, kind, optional, hint, _default(entry, kind)))
        self.columns = tuple(columns)
        self.names = tuple(c.name for c in columns)
        self._fields = attrgetter(*self.names)
        self._encoders = [(i, e) for i, c in enumerate(columns) if (e := _encoder(c.kind))]
        self._decoders = [(i, d) for i, c in enumerate(columns) if (d := _decoder(c.kind, c.hint))]
        self._encode = {c.name: _encoder(c.kind) for c in columns}

    def row(self, record: Any) -> list[Any]:
        """One record as a list of stored values, in column order."""
        values = list(self._fields(record)) if len(self.names) > 1 else [getattr(record, self.names[0])]
        for i, encode in self._encoders:
            if values[i] is not None:
                values[i] = encode(values[i])
        return values

    def value(self, name: str, value: Any) -> Any:
        """One field's value as stored, for a condition."""
        encode = self._encode[name]
        return encode(value) if encode and value is not None else value

    def load(self, row: Sequence[Any]) -> Any:
        """One stored row as a record."""
        values = list(row)
        for i, decode in self._decoders:
            if values[i] is not None:
                values[i] = decode(values[i])
        return self.record(*values)
