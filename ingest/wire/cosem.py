"""What COSEM objects mean on the wire: names, date-times, units and selective access become Python values and back.

A date-time is local time with a deviation in minutes to UTC (UTC = local + deviation), or "not specified"; then the
zone of the metering point counts, which is configuration. Bytes raise only ``WireRefusal``, our own
mistakes ValueError.
"""

import struct
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from ingest.errors import WireRefusal
from ingest.wire.axdr import Data, Tag

NOT_SPECIFIED: Final = -0x8000  # deviation, Blue Book clause 4.1.6.1
DST_ACTIVE: Final = 0x80  # clock status bit 7
INVALID_CLOCK: Final = 0x03  # clock status bits 0 (invalid) and 1 (doubtful)
_DATE_TIME: Final = struct.Struct(">HBBBBBBBhB")


class ClassId(IntEnum):
    """Interface classes that we read (Blue Book)."""

    DATA = 1
    REGISTER = 3
    EXTENDED_REGISTER = 4
    DEMAND_REGISTER = 5
    PROFILE_GENERIC = 7
    CLOCK = 8
    ASSOCIATION_LN = 15
    SCRIPT_TABLE = 9
    SCHEDULE = 10
    ACTIVITY_CALENDAR = 20
    PUSH_SETUP = 40
    SECURITY_SETUP = 64
    DISCONNECT_CONTROL = 70
    LIMITER = 71


class Name(NamedTuple):
    """One attribute (or method) of one object: class, logical name as ``1.0.1.8.0.255``, number."""

    class_id: int
    obis: str
    number: int

    def pack(self) -> bytes:
        """The nine bytes of a COSEM attribute or method descriptor."""
        return _descriptor(self)


@lru_cache(maxsize=4096)
def _descriptor(name: Name) -> bytes:
    return name.class_id.to_bytes(2, "big") + obis_bytes(name.obis) + bytes([name.number])


class When(NamedTuple):
    """A COSEM date-time: ``local`` wall time, minutes to UTC or None (not specified), clock status (255: unknown)."""

    local: datetime
    deviation_min: int | None
    status: int = 0

    def utc(self, zone: str = "UTC") -> datetime:
        """Naive UTC; ``zone`` (IANA) is used only where the deviation is not specified.

        In the repeated hour the status bit "daylight saving active" decides; without it the first pass is taken.
        """
        if self.deviation_min is not None:
            return self.local + timedelta(minutes=self.deviation_min)
        known = self.status != 0xFF and not self.status & DST_ACTIVE
        local = self.local.replace(tzinfo=ZoneInfo(zone), fold=1 if known and self._ambiguous(zone) else 0)
        return local.astimezone(UTC).replace(tzinfo=None)

    def _ambiguous(self, zone: str) -> bool:
        tz = ZoneInfo(zone)
        first, second = (self.local.replace(tzinfo=tz, fold=fold).utcoffset() for fold in (0, 1))
        return first is not None and second is not None and first > second

    @property
    def doubtful(self) -> bool:
        """Whether the meter itself does not trust this time."""
        return self.status != 0xFF and bool(self.status & INVALID_CLOCK)


def unpack_time(raw: bytes) -> When:
    """Twelve bytes as a date-time; WireRefusal("no_time") when a field that matters is undefined or impossible.

    >>> unpack_time(bytes.fromhex("07e4011502100000ffffc400")).utc().isoformat()
    '2020-01-21T15:00:00'
    """
    if len(raw) != _DATE_TIME.size:
        raise WireRefusal("no_time", f"a date-time of {len(raw)} bytes, wanted 12")
    year, month, day, _, hour, minute, second, hundredths, deviation, status = _DATE_TIME.unpack(raw)
    micro = hundredths * 10_000 if hundredths < 100 else 0
    try:
        local = datetime(year, month, day, hour, minute, 0 if second == 0xFF else second, micro)
    except ValueError as error:
        raise WireRefusal("no_time", f"{raw.hex()}: {error}") from error
    if deviation != NOT_SPECIFIED and not -840 <= deviation <= 840:
        raise WireRefusal("no_time", f"deviation of {deviation} minutes")
    return When(local, None if deviation == NOT_SPECIFIED else deviation, status)


def pack_time(when: When) -> bytes:
    """Twelve bytes; the weekday is filled in.

    >>> pack_time(When(datetime(2020, 1, 21, 16), -60)).hex()
    '07e401150210000000ffc400'
    """
    local = when.local
    deviation = NOT_SPECIFIED if when.deviation_min is None else when.deviation_min
    hundredths = local.microsecond // 10_000
    return _DATE_TIME.pack(
        local.year,
        local.month,
        local.day,
        local.isoweekday(),
        local.hour,
        local.minute,
        local.second,
        hundredths,
        deviation,
        when.status,
    )


def local_of(at: datetime, zone: str) -> When:
    """A UTC time as a meter in ``zone`` writes it when it gives no deviation."""
    local = at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    return When(local.replace(tzinfo=None, fold=0), None, DST_ACTIVE if local.dst() else 0)


def time_of(data: Data) -> When:
    """The date-time in an octet-string or date-time value."""
    if data.tag not in (Tag.OCTET_STRING, Tag.DATE_TIME) or not isinstance(data.value, bytes):
        raise WireRefusal("no_time", f"{data.tag.name} where a date-time was expected")
    return unpack_time(data.value)


def obis_bytes(obis: str) -> bytes:
    """Six bytes of a logical name written with dots; ValueError when it is not one.

    >>> obis_bytes("1.0.1.8.0.255").hex()
    '0100010800ff'
    """
    parts = bytes(int(part) for part in obis.split("."))
    if len(parts) != 6:
        raise ValueError(f"{obis!r} is not a logical name of six numbers")
    return parts


def obis_text(raw: bytes) -> str:
    """A logical name written with dots."""
    if len(raw) != 6:
        raise WireRefusal("bad_name", f"a logical name of {len(raw)} bytes")
    return ".".join(str(part) for part in raw)


class Unit(IntEnum):
    """Units that prewatt reads (Blue Book, table 4)."""

    W = 27
    VA = 28
    VAR = 29
    WH = 30
    VAH = 31
    VARH = 32
    A = 33
    V = 35
    M3 = 13
    NONE = 255


UNIT_TEXTS: Final[dict[int, str]] = {
    **dict(enumerate(("a", "mo", "wk", "d", "h", "min", "s", "deg", "degC", "currency", "m", "m/s"), 1)),
    **dict(enumerate(("m3", "m3", "m3/h", "m3/h", "m3/d", "m3/d", "l", "kg", "N", "Nm", "Pa", "bar", "J", "J/h"), 13)),
    **dict(enumerate(("W", "VA", "var", "Wh", "VAh", "varh", "A", "C", "V", "V/m", "F", "Ohm", "Ohm m2/m"), 27)),
    **dict(enumerate(("Wb", "T", "A/m", "H", "Hz", "1/Wh", "1/varh", "1/VAh", "V2h", "A2h", "kg/s", "S", "K"), 40)),
    53: "1/V2h",
    54: "1/A2h",
    55: "1/m3",
    56: "%",
    57: "Ah",
    60: "Wh/m3",
    61: "J/m3",
    62: "mol%",
    63: "g/m3",
    64: "Pa s",
    65: "J/kg",
    66: "g/cm2",
    67: "atm",
    70: "dBm",
    71: "dBuV",
    72: "dB",
    254: "other",
    255: "",
}
"""Every unit code by its symbol (Blue Book, table 4; 14, 16 and 18 are the corrected volumes and flows)."""


def scaler_of(data: Data) -> tuple[Fraction, int]:
    """The exact factor and unit code of a ``scaler_unit`` structure; the exponent is bounded to what meters use."""
    plain = data.plain
    if data.tag is not Tag.STRUCTURE or not isinstance(plain, list) or len(plain) != 2:
        raise WireRefusal("bad_scaler", f"{data.tag.name} where scaler_unit was expected")
    exponent, unit = plain
    if not isinstance(exponent, int) or not isinstance(unit, int) or not -12 <= exponent <= 12:
        raise WireRefusal("bad_scaler", f"{plain!r}")
    return Fraction(10) ** exponent, unit


def scaler_data(exponent: int, unit: int) -> Data:
    """A ``scaler_unit`` structure as a meter answers it."""
    return Data(Tag.STRUCTURE, (Data(Tag.INTEGER, exponent), Data(Tag.ENUM, unit)))


class Column(NamedTuple):
    """One captured object of a profile: which attribute fills the column (``part`` 0: the whole attribute)."""

    class_id: int
    obis: str
    attribute: int
    part: int = 0

    def data(self) -> Data:
        """As it stands in ``capture_objects`` and in a range descriptor."""
        return Data(
            Tag.STRUCTURE,
            (
                Data(Tag.LONG_UNSIGNED, self.class_id),
                Data(Tag.OCTET_STRING, obis_bytes(self.obis)),
                Data(Tag.INTEGER, self.attribute),
                Data(Tag.LONG_UNSIGNED, self.part),
            ),
        )


def column_of(data: Data) -> Column:
    """A captured object; anything else raises WireRefusal("bad_column")."""
    plain = data.plain
    if isinstance(plain, list) and len(plain) == 4:
        class_id, name, attribute, index = plain
        numbers = all(isinstance(number, int) for number in (class_id, attribute, index))
        if numbers and isinstance(name, bytes) and len(name) == 6:
            return Column(class_id, obis_text(name), attribute, index)
    raise WireRefusal("bad_column", f"{plain!r}"[:80])


class Access(NamedTuple):
    """Selective access: the selector (1 range, 2 entry) and its parameters."""

    selector: int
    parameters: Data


CLOCK_COLUMN: Final = Column(ClassId.CLOCK, "0.0.1.0.0.255", 2)


def by_range(start: When, end: When, column: Column = CLOCK_COLUMN) -> Access:
    """Rows of a profile whose ``column`` lies from ``start`` to ``end``, both included (range_descriptor)."""
    first, last = (Data(Tag.OCTET_STRING, pack_time(when)) for when in (start, end))
    return Access(1, Data(Tag.STRUCTURE, (column.data(), first, last, Data(Tag.ARRAY, ()))))


def by_entry(first: int, last: int) -> Access:
    """Rows of a profile by number, from 1, both included; ``last`` 0: to the end (entry_descriptor, selector 2)."""
    rows = (Data(Tag.DOUBLE_LONG_UNSIGNED, number) for number in (first, last))
    columns = (Data(Tag.LONG_UNSIGNED, number) for number in (1, 0))
    return Access(2, Data(Tag.STRUCTURE, (*rows, *columns)))


def range_of(access: Access) -> tuple[Column, When, When]:
    """What a range descriptor asks for (the meter's side)."""
    parts = access.parameters.value
    if access.selector != 1 or not isinstance(parts, tuple) or len(parts) != 4:
        raise WireRefusal("bad_access", f"selector {access.selector}")
    return column_of(parts[0]), time_of(parts[1]), time_of(parts[2])


def entries_of(access: Access) -> tuple[int, int]:
    """The rows that an entry descriptor asks for (the meter's side): first, last (0: to the end)."""
    plain = access.parameters.plain
    if access.selector != 2 or not isinstance(plain, list) or len(plain) != 4:
        raise WireRefusal("bad_access", f"selector {access.selector}")
    if not all(isinstance(number, int) for number in plain):
        raise WireRefusal("bad_access", f"{plain!r}"[:80])
    return plain[0], plain[1]
