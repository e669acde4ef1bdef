"""The data of one push become labelled numbers: what stands in it, by which profile, in base units with their times.

Four shapes cover the meters of the field (see ``PushProfile``). A scaler inside the push comes before the profile's; a
number that neither scales is left out and named. Bytes raise only ``WireRefusal``.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from ingest.errors import WireRefusal
from ingest.obis import unit_of
from ingest.pushmodel import PlainList, PushProfile
from ingest.wire.axdr import NUMBERS, Data, Tag
from ingest.wire.cosem import UNIT_TEXTS, When, obis_text, scaler_of, unpack_time

CLOCKS: Final = ("0.0.1.0.0.255", "0.1.1.0.0.255")
NAMES: Final = ("0.0.42.0.0.255",)
VERSIONS: Final = ("1.0.0.2.129.255", "1.1.0.2.129.255")
IDENTITIES: Final = (
    "0.0.96.1.0.255",
    "1.1.0.0.5.255",
    "1.0.0.0.0.255",
    "1.1.0.0.1.255",
    "0.0.96.1.1.255",
    "0.0.96.1.2.255",
    "0.0.96.1.3.255",
    "0.0.42.0.0.255",
    "0.0.96.1.255.255",
)
"""Codes that say which meter it is, the nearest to the number on its front first."""
TYPES: Final = ("1.1.96.1.1.255", "0.0.96.1.7.255")
"""Codes of the meter's type, where a maker tells it."""
PUSH_SETUP: Final = 40


class Entry(NamedTuple):
    """One value of a push: its code ("" when it stands alone), the value, its scaler where the push has one."""

    obis: str
    data: Data
    scaler: Data | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A push taken apart: its shape, its entries, its push setup, and the system title that ciphered it."""

    shape: str
    entries: tuple[Entry, ...]
    setup: str = ""
    title: str = ""

    def text(self, codes: Iterable[str]) -> str:
        """The text under the first of ``codes`` that is there."""
        known = {entry.obis: text_of(entry.data) for entry in reversed(self.entries) if entry.obis}
        return next((known[code] for code in codes if known.get(code)), "")

    @property
    def version(self) -> str:
        """The list version: under its code, or the text in front of all codes."""
        first = self.entries[0] if self.entries else None
        alone = text_of(first.data) if first is not None and not first.obis else ""
        return self.text(VERSIONS) or alone


class Value(NamedTuple):
    """One decoded value: a number in the base unit ``unit``, or text; ``raw_unit`` is unset."""

    obis: str
    value: Decimal | str
    unit: str = ""


@dataclass(slots=True)
class Push:
    """What a push says: values, the meter, its clock, and the codes of numbers that nothing scales."""

    values: list[Value] = field(default_factory=list)
    meter: str = ""
    clock: When | None = None
    unscaled: list[str] = field(default_factory=list)


def body_of(data: Data) -> Body:
    """Take a push apart by its shape."""
    children = data.value if isinstance(data.value, tuple) else ()
    if data.tag not in (Tag.ARRAY, Tag.STRUCTURE) or not children:
        raise WireRefusal("unknown_list", f"{data.tag.name} where a list was expected")
    if all(_row(child) for child in children):
        return Body("rows", tuple(_row_entry(child) for child in children))
    definitions = _definitions(children[0])
    if definitions and len(definitions) == len(children):
        return _described(definitions, children)
    entries = tuple(_pairs(children))
    if 2 * sum(bool(entry.obis) for entry in entries) >= len(entries):
        return Body("pairs", entries)
    return Body("plain", tuple(Entry("", child) for child in children))


def _code(data: Data) -> str:
    is_code = data.tag is Tag.OCTET_STRING and isinstance(data.value, bytes) and len(data.value) == 6
    return obis_text(data.value) if is_code and isinstance(data.value, bytes) else ""


def _is_scaler(data: Data) -> bool:
    parts = data.value
    return (
        data.tag is Tag.STRUCTURE
        and isinstance(parts, tuple)
        and [part.tag for part in parts] == [Tag.INTEGER, Tag.ENUM]
    )


def _row(data: Data) -> bool:
    parts = data.value
    return (
        data.tag is Tag.STRUCTURE
        and isinstance(parts, tuple)
        and len(parts) in (2, 3)
        and bool(_code(parts[0]))
        and (len(parts) == 2 or _is_scaler(parts[2]))
    )


def _row_entry(data: Data) -> Entry:
    parts = data.value if isinstance(data.value, tuple) else ()
    return Entry(_code(parts[0]), parts[1], parts[2] if len(parts) == 3 else None)


def _definitions(data: Data) -> list[tuple[int, str, int]]:
    """Class, code and attribute of each object that a push object list names; empty when it is none."""
    wanted = [Tag.LONG_UNSIGNED, Tag.OCTET_STRING, Tag.INTEGER, Tag.LONG_UNSIGNED]
    found: list[tuple[int, str, int]] = []
    for item in data.value if data.tag is Tag.ARRAY and isinstance(data.value, tuple) else ():
        parts = item.value if isinstance(item.value, tuple) else ()
        if [part.tag for part in parts][:4] != wanted or not _code(parts[1]):
            return []
        class_id, attribute = parts[0].value, parts[2].value
        if isinstance(class_id, int) and isinstance(attribute, int):
            found.append((class_id, _code(parts[1]), attribute))
    return found


def _described(definitions: list[tuple[int, str, int]], children: tuple[Data, ...]) -> Body:
    """Objects and values side by side; attribute 3 of a register is the scaler of its attribute 2."""
    scalers: dict[str, Data] = {}
    entries: list[Entry] = []
    setup = ""
    for (class_id, obis, attribute), child in zip(definitions, children, strict=True):
        if class_id == PUSH_SETUP:
            setup = obis
        elif attribute == 3 and _is_scaler(child):
            scalers[obis] = child
        elif attribute == 2:
            entries.append(Entry(obis, child))
    return Body("described", tuple(e._replace(scaler=scalers.get(e.obis)) for e in entries), setup)


def _pairs(children: tuple[Data, ...]) -> Iterable[Entry]:
    """Code, value, maybe a scaler, or a row of them; nulls fill the places of phases that a meter does not have."""
    at = 0
    while at < len(children):
        if _row(children[at]):
            yield _row_entry(children[at])
            at += 1
            continue
        code = _code(children[at])
        if not code or at + 1 == len(children):
            if children[at].tag is not Tag.NULL:
                yield Entry("", children[at])
            at += 1
            continue
        has = at + 2 < len(children) and _is_scaler(children[at + 2])
        yield Entry(code, children[at + 1], children[at + 2] if has else None)
        at += 3 if has else 2


def fits(profile: PushProfile, body: Body) -> bool:
    """Whether a push is one of ``profile``'s, by what it says of itself."""
    if profile.shape != body.shape or profile.by_name_only:
        return False
    if profile.version and not body.version.startswith(profile.version):
        return False
    if profile.first and (not body.entries or body.entries[0].obis != profile.first):
        return False
    if profile.titles and not body.title.startswith(profile.titles):
        return False
    if profile.devices or profile.setups:
        device = body.text(NAMES)
        if device[:3].isalpha():
            return device.startswith(profile.devices)
        return body.setup in profile.setups
    return profile.shape != "plain" or labelled(profile, body) is not None


def labelled(profile: PushProfile, body: Body) -> Body | None:
    """A plain push with its codes, None when no list of the profile has its places and kinds."""
    if body.shape != "plain":
        return body
    for known in profile.lists:
        if len(known.kinds) == len(body.entries) and _list_fits(known, body.entries):
            pairs = zip(known.codes, body.entries, strict=True)
            return Body("plain", tuple(entry._replace(obis=code) for code, entry in pairs if code))
    return None


_KINDS: Final[Mapping[str, frozenset[Tag]]] = {
    "s": frozenset({Tag.OCTET_STRING, Tag.VISIBLE_STRING, Tag.UTF8_STRING}),
    "e": frozenset({Tag.ENUM, Tag.BOOLEAN}),
    "1": frozenset({Tag.UNSIGNED, Tag.INTEGER}),
    "2": frozenset({Tag.LONG_UNSIGNED, Tag.LONG}),
    "4": frozenset({Tag.DOUBLE_LONG_UNSIGNED, Tag.DOUBLE_LONG}),
    "n": frozenset({Tag.DOUBLE_LONG_UNSIGNED, Tag.DOUBLE_LONG, Tag.LONG64_UNSIGNED, Tag.LONG64}),
    "-": frozenset(Tag),
}


def _list_fits(known: PlainList, entries: tuple[Entry, ...]) -> bool:
    """Whether every place holds its kind, and the first text is what the list begins with."""
    if not all(map(_kind_fits, known.kinds, entries)):
        return False
    text = next((text_of(e.data) for kind, e in zip(known.kinds, entries, strict=True) if kind == "s"), "")
    return not known.lead or re.fullmatch(known.lead, text) is not None


def _kind_fits(kind: str, entry: Entry) -> bool:
    value = entry.data.value
    if kind == "t":
        return isinstance(value, bytes) and len(value) == 12
    return entry.data.tag in _KINDS[kind]


def choose(profiles: Mapping[str, PushProfile], body: Body) -> PushProfile | None:
    """The one profile that a push is for; None for a push that needs none (its scalers stand in it)."""
    fitting = [profile for profile in profiles.values() if fits(profile, body)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise WireRefusal("unknown_list", f"fits {' and '.join(p.name for p in fitting)}: name one")
    if any(entry.scaler is not None for entry in body.entries):
        return None
    raise WireRefusal("unknown_list", f"{body.shape} of {len(body.entries)}, no scalers, no profile knows it")


def decode(body: Body, profile: PushProfile | None) -> Push:
    """The values of a push by ``profile``; WireRefusal("unknown_list") when its places are not the profile's."""
    if profile is not None:
        known = labelled(profile, body)
        if known is None:
            raise WireRefusal("unknown_list", f"{len(body.entries)} values are no list of {profile.name}")
        body = known
        kind = body.text(TYPES)
        own = (powers for start, powers in profile.by_type.items() if kind.startswith(start))
        profile = replace(profile, exponents={**profile.exponents, **next(own, {})})
    push = Push()
    for entry in body.entries:
        _take(push, entry, profile)
    push.meter = push.meter or body.text(IDENTITIES)
    if not push.values and push.unscaled:
        raise WireRefusal("unknown_list", f"nothing scales {', '.join(push.unscaled[:3])}")
    return push


def _take(push: Push, entry: Entry, profile: PushProfile | None) -> None:
    obis, data = entry.obis, entry.data
    if data.tag is Tag.NULL or isinstance(data.value, tuple):
        return
    if _is_time(obis, data):
        push.clock = push.clock or _when(data)
        return
    if not obis:
        text = text_of(data)
        if "_V" in text:
            push.values.append(Value(VERSIONS[1], text))
        elif text and not push.meter and any(map(str.isdigit, text)):
            push.meter = text
        return
    if data.tag not in NUMBERS or data.tag is Tag.ENUM:
        push.values.append(Value(obis, text_of(data)))
        return
    number = _number(data)
    scaled = _scaled(obis, number, entry.scaler, profile) if number is not None else None
    if scaled is None:
        push.unscaled.append(obis)
    else:
        push.values.append(scaled)


def _number(data: Data) -> Decimal | None:
    value = data.value
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    return Decimal(value) if isinstance(value, int) else None


def _scaled(obis: str, number: Decimal, scaler: Data | None, profile: PushProfile | None) -> Value | None:
    if scaler is not None:
        factor, code = scaler_of(scaler)
        exponent = len(str(factor.numerator)) - 1 - (len(str(factor.denominator)) - 1)
        return Value(obis, number.scaleb(exponent), UNIT_TEXTS.get(code, f"unit_{code}"))
    unit = unit_of(obis)
    power = profile.exponent(obis, unit) if profile is not None else None
    if power is None and (unit or obis.split(".")[2] in ("24", "13", "33", "53", "73")):
        return None
    return Value(obis, number.scaleb(power or 0), unit)


def _is_time(obis: str, data: Data) -> bool:
    twelve = isinstance(data.value, bytes) and len(data.value) == 12
    return twelve and (obis in CLOCKS or data.tag is Tag.DATE_TIME or (not obis and not _printable(data.value)))


def _when(data: Data) -> When | None:
    try:
        return unpack_time(data.value if isinstance(data.value, bytes) else b"")
    except WireRefusal:
        return None


def _printable(value: object) -> bool:
    return isinstance(value, bytes) and bool(value) and all(0x20 <= byte < 0x7F for byte in value)


def text_of(data: Data) -> str:
    """A value as text: octets that are printable as they read, others in hex."""
    if isinstance(data.value, bytes):
        plain = data.value.rstrip(b"\x00")
        return plain.decode("ascii") if _printable(plain) else data.value.hex()
    if isinstance(data.value, bool):
        return str(data.value).lower()
    return "" if data.value is None or isinstance(data.value, tuple) else str(data.value).strip("\x00 ")


def time_in(when: When | None, zone: str) -> tuple[datetime | None, str]:
    """A push's time in UTC, or why there is none; ``zone`` counts only where the deviation is not specified."""
    if when is None:
        return None, ""
    if when.deviation_min is None and not zone:
        return None, "no_zone"
    try:
        return when.utc(zone or "UTC"), ""
    except (OverflowError, ValueError):
        return None, "no_time"
