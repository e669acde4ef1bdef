"""A book and one account's attributes go in, the book as it holds for that account over a span comes out.

An attribute may be dated: ``household@2025-07-10`` holds from that local day on, ``demand_register_kw@2025-07`` for the
bill that begins in that local month. A change inside the span makes a version of its own where a component reads the
attribute; components whose ``when`` does not hold are left out. Every version carries the attributes in force.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime

from tariff import calendar as calendars
from tariff import money
from tariff.errors import RatingError
from tariff.model import Book, Series, Spec, Version, When

DATED = "@"
Attributes = Mapping[str, str]
_Changes = list[tuple[datetime, str, str]]
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])\Z")


@dataclass(frozen=True, slots=True)
class _Held:
    """What an account's attributes are over a span that begins at ``start`` (local)."""

    plain: Attributes
    month: Attributes
    changes: _Changes
    start: datetime

    def at(self, at: datetime) -> dict[str, str]:
        """The attributes in force at ``at``, or at the span's start if that is later."""
        dated = {name: value for since, name, value in self.changes if since <= max(at, self.start)}
        return {**self.plain, **dated, **self.month}


def applied(book: Book, attributes: Attributes, start: datetime, end: datetime) -> Book:
    """``book`` for an account with ``attributes`` over [start, end) in UTC; RatingError for a date that is none."""
    local = calendars.to_local(start, book.zone)
    held = _Held(*_sorted_out(attributes, local), local)
    known = mentioned(book)
    inside = sorted({at for at, name, _ in held.changes if local < at and name in known})
    until = calendars.to_local(end, book.zone)
    versions: list[Version] = []
    for index, version in enumerate(book.versions):
        following = book.versions[index + 1].start if index + 1 < len(book.versions) else until
        cuts = [at for at in inside if version.start < at < min(following, until)]
        versions += [_version(version, at, held.at(at)) for at in (version.start, *cuts)]
    return replace(book, versions=tuple(versions))


def _version(version: Version, at: datetime, held: Attributes) -> Version:
    """``version`` from ``at`` on, with the attributes that are in force there and the components that are for them."""
    when = dict(version.when)
    return replace(
        version,
        start=at,
        label=version.label if at == version.start else f"{version.label}{DATED}{_text(at)}",
        origin=version.label,
        components=tuple(one for one in version.components if one.id not in when or holds(when[one.id], held)),
        attributes=tuple(sorted(held.items())),
    )


def _text(at: datetime) -> str:
    return at.date().isoformat() if (at.hour, at.minute) == (0, 0) else at.isoformat(timespec="minutes")


def _sorted_out(attributes: Attributes, start: datetime) -> tuple[Attributes, Attributes, _Changes]:
    """The undated attributes, those of the month of ``start``, and the dated ones in order of time."""
    plain = {name: value for name, value in attributes.items() if DATED not in name}
    month: dict[str, str] = {}
    changes: _Changes = []
    for key, value in attributes.items():
        name, dated, text = key.partition(DATED)
        if not dated:
            continue
        if _MONTH.match(text):
            month.update({name: value} if text == f"{start:%Y-%m}" else {})
            continue
        try:
            changes.append((datetime.fromisoformat(text), name, value))
        except ValueError:
            raise RatingError(
                f"attribute {key!r} of the account: {text!r} is neither a day (2025-07-10) nor a month (2025-07)"
            ) from None
    return plain, month, sorted(changes)


def mentioned(book: Book) -> frozenset[str]:
    """Every text inside the book's components and conditions: what may be the name of an attribute that it reads."""
    found: set[str] = set()
    for version in book.versions:
        for item in (*version.components, *(when for _, when in version.when)):
            found.update(texts(item))
    return frozenset(found)


def texts(item: object) -> Iterator[str]:
    """Every text inside a frozen dataclass, a tuple or a text."""
    if isinstance(item, str):
        yield item
    elif isinstance(item, tuple):
        for one in item:
            yield from texts(one)
    elif is_dataclass(item) and not isinstance(item, (type, Series)):
        for field in fields(item):
            yield from texts(getattr(item, field.name))


def reads(spec: Spec, version: Version) -> tuple[tuple[str, str], ...]:
    """The attributes in force in ``version`` that ``spec`` names: with the spec, all that its price rests on."""
    names = set(texts(spec))
    return tuple((name, value) for name, value in version.attributes if name in names)


def holds(when: When, attributes: Attributes) -> bool:
    """Whether attributes pass a condition; a number is compared as one, and an absent attribute passes ``differs``."""
    value = attributes.get(when.attribute, "")
    if when.equals and value != when.equals:
        return False
    if when.differs and value == when.differs:
        return False
    for bound, sign in ((when.at_least, 1), (when.at_most, -1)):
        if bound and (not money.is_decimal(value) or sign * _compare(value, bound) < 0):
            return False
    return True


def _compare(one: str, other: str) -> int:
    scale = max(money.scale_of(one), money.scale_of(other))
    return money.scaled(one, scale) - money.scaled(other, scale)
