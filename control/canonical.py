"""A frozen record goes in and canonical JSON comes out, and back with exact types; equal records give equal bytes.

A field at its default is left out, so that a field which a later version adds changes no stored byte and no id: what
was decided years ago still re-derives bit for bit. Keys are sorted, there is no white space, times are naive UTC ISO
8601, enumerations their values, tuples lists. Floats (statistics only, never money) are written as Python's shortest
exact form, so that they come back bit for bit.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from control.errors import CanonicalError

R = TypeVar("R")
ID_HEX = 20  # 80 bits: a collision among 10**9 ids is rarer than 10**-6


def dumps(value: Any) -> str:
    """Canonical JSON of a record, mapping, sequence or scalar; CanonicalError for a type that has no canonical form."""
    return json.dumps(
        _plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False
    )


def loads(record: type[R], text: str) -> R:
    """The record that ``dumps`` wrote; CanonicalError if a field is unknown, missing without default or mistyped."""
    try:
        raw = json.loads(text)
    except ValueError as wrong:
        raise CanonicalError(f"not JSON: {wrong}") from None
    return cast(R, _typed(record, raw, record.__name__))


def content_id(prefix: str, *parts: Any) -> str:
    """An id derived from content: ``prefix`` and 80 bits of SHA-256 over the canonical parts.

    >>> content_id("d", "A1", 7)
    'd-e198c268803f4656da36'
    """
    digest = hashlib.sha256(dumps(list(parts)).encode()).hexdigest()
    return f"{prefix}-{digest[:ID_HEX]}"


def _plain(value: Any) -> Any:
    """JSON's own types only."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise CanonicalError(f"{value.isoformat()}: records carry naive UTC times")
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        told = ((name, getattr(value, name), default) for name, default in _fields(type(value)))
        return {
            name: _plain(item) for name, item, default in told if item != default or type(item) is not type(default)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise CanonicalError(f"{type(value).__name__} has no canonical form")


@cache
def _fields(record: type) -> tuple[tuple[str, Any], ...]:
    """Fields of a record type with their defaults, MISSING where there is none."""
    return tuple(
        (item.name, item.default_factory() if item.default_factory is not MISSING else item.default)
        for item in fields(record)
    )


@cache
def _hints(record: type) -> dict[str, Any]:
    """Resolved types of a record's fields."""
    return get_type_hints(record)


def _typed(wanted: Any, raw: Any, place: str) -> Any:
    """``raw`` as a value of type ``wanted``."""
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        return _optional(get_args(wanted), raw, place)
    if origin is tuple:
        _check(isinstance(raw, list), raw, place)
        return tuple(_typed(get_args(wanted)[0], item, place) for item in raw)
    if origin is not None and issubclass(origin, Mapping):
        _check(isinstance(raw, dict), raw, place)
        return {key: _typed(get_args(wanted)[1], item, place) for key, item in raw.items()}
    if is_dataclass(wanted):
        return _record(cast(type, wanted), raw, place)
    return _scalar(wanted, raw, place)


def _optional(kinds: tuple[Any, ...], raw: Any, place: str) -> Any:
    """The one kind beside None."""
    if raw is None and NoneType in kinds:
        return None
    return _typed(next(kind for kind in kinds if kind is not NoneType), raw, place)


def _record(wanted: type, raw: Any, place: str) -> Any:
    """A nested record; an absent field takes its default, so that old decisions still load."""
    _check(isinstance(raw, dict), raw, place)
    hints = _hints(wanted)
    unknown = sorted(set(raw) - set(hints))
    if unknown:
        raise CanonicalError(f"{place}: unknown field {unknown[0]!r}")
    try:
        return wanted(**{key: _typed(hints[key], item, f"{place}.{key}") for key, item in raw.items()})
    except TypeError as wrong:
        raise CanonicalError(f"{place}: {wrong}") from None


def _scalar(wanted: Any, raw: Any, place: str) -> Any:
    """A time, an enumeration or one of JSON's own scalars, exactly typed."""
    try:
        if wanted is datetime:
            return datetime.fromisoformat(raw)
        if isinstance(wanted, type) and issubclass(wanted, Enum):
            return wanted(raw)
    except (TypeError, ValueError):
        raise CanonicalError(f"{place}: {raw!r} is no {wanted.__name__}") from None
    if wanted is float and type(raw) is int:
        return float(raw)
    _check(type(raw) is wanted, raw, place)
    return raw


def _check(right: bool, raw: Any, place: str) -> None:
    """Refuse a value of another shape."""
    if not right:
        raise CanonicalError(f"{place}: {raw!r} is of another type")
