"""Data units of Q/GDW 376.1 go in, points and their values in base units come out; and the way back for a terminal.

A unit is DA (which measuring point or group) and DT (which item), then that item's bytes. Their lengths follow from
function and item, so that an item whose layout is not known ends the reading of its frame. Items as several public
implementations agree on them (named in docs/howto/dial-in.md). Energies have digits of 0.1 Wh: Wh are their floors.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from ingest.errors import WireRefusal
from ingest.wire.dlt645 import bcd
from ingest.wire.qgdw376 import Afn, Frame

MOST_RATES: Final = 48
ALL_POINTS: Final = 0xFFFF
"""A DA of all points at once: FF 00."""


class Unit(NamedTuple):
    """One data unit: point, group or control round ``pn`` (0: the terminal itself), item ``fn``, its bytes."""

    pn: int
    fn: int
    data: bytes = b""


def identifier(pn: int, fn: int) -> bytes:
    """DA and DT of one unit; ValueError out of range.

    >>> identifier(0, 1).hex(), identifier(2, 129).hex(), identifier(1, 25).hex()
    ('00000100', '02010110', '01010103')
    """
    if not 0 <= pn <= 2040 or not 1 <= fn <= 248:
        raise ValueError(f"p{pn} F{fn}: p0 to p2040, F1 to F248")
    da = bytes(2) if pn == 0 else bytes([1 << (pn - 1) % 8, (pn - 1) // 8 + 1])
    return da + bytes([1 << (fn - 1) % 8, (fn - 1) // 8])


def points(raw: bytes) -> tuple[tuple[int, int], ...]:
    """The (pn, fn) that four bytes name, points first; WireRefusal("bad_unit") when they name none.

    >>> points(bytes.fromhex("03010110"))
    ((1, 129), (2, 129))
    """
    if len(raw) < 4:
        raise WireRefusal("truncated", f"data unit {raw.hex()}")
    da1, da2, dt1, dt2 = raw[:4]
    fns = [dt2 * 8 + bit + 1 for bit in range(8) if dt1 >> bit & 1]
    if da1 == da2 == 0:
        pns = [0]
    elif da1 == 0xFF and da2 == 0:
        pns = [ALL_POINTS]
    else:
        pns = [(da2 - 1) * 8 + bit + 1 for bit in range(8) if da1 >> bit & 1] if da2 else []
    if not pns or not fns or dt2 > 30:
        raise WireRefusal("bad_unit", f"DA DT {raw[:4].hex()}")
    return tuple((pn, fn) for pn in pns for fn in fns)


def units(frame: Frame) -> tuple[Unit, ...]:
    """The units of a frame that a terminal sent; WireRefusal for an item of unknown layout or a cut one."""
    found: list[Unit] = []
    rest = frame.body
    while rest:
        named, rest = points(rest), rest[4:]
        for pn, fn in named:
            size = _size(frame.afn, fn, rest)
            if size > len(rest):
                raise WireRefusal("truncated", f"AFN {frame.afn:02X} F{fn}: {len(rest)} bytes where {size} belong")
            found.append(Unit(pn, fn, rest[:size]))
            rest = rest[size:]
    return tuple(found)


def _rates(data: bytes, at: int, each: int) -> int:
    """The size of an item with a number of rates at ``at``, then ``each`` bytes for the total and for each rate."""
    if len(data) <= at:
        raise WireRefusal("truncated", "an item without its number of rates")
    if data[at] > MOST_RATES:
        raise WireRefusal("bad_count", f"{data[at]} rates")
    return at + 1 + (data[at] + 1) * each


def _groups(data: bytes, head: int, each: int) -> int:
    """The size of a control state: ``head`` bytes, the last of them says which groups follow."""
    if len(data) < head:
        raise WireRefusal("truncated", "a control state without its head")
    return head + data[head - 1].bit_count() * each


def _curve(each: int, data: bytes) -> int:
    """The size of a curve: first time, density, how many, then ``each`` bytes for every point."""
    if len(data) < CURVE_HEAD:
        raise WireRefusal("truncated", "a curve without its head")
    return CURVE_HEAD + data[CURVE_HEAD - 1] * each


CURVE_HEAD: Final = 7
CURVES: Final[Mapping[int, int]] = {
    **dict.fromkeys((81, 82, 83, 84, 92, 93, 94), 3),
    **dict.fromkeys((89, 90, 91), 2),
    **dict.fromkeys((97, 99, 101, 103), 4),
}
"""Curves of class 2, and the bytes of one point."""
_Sizer = Callable[[bytes], int]
_SIZES: Final[Mapping[tuple[int, int], _Sizer]] = {
    (Afn.CONFIRM, 1): lambda _: 0,
    (Afn.CONFIRM, 2): lambda _: 0,
    (Afn.CONFIRM, 3): len,
    (Afn.LINK, 1): len,
    (Afn.LINK, 2): len,
    (Afn.LINK, 3): len,
    (Afn.CLASS1, 2): lambda _: 6,
    (Afn.CLASS1, 5): lambda data: _groups(data, 2, 6),
    (Afn.CLASS1, 6): lambda data: _groups(data, 3, 8),
    (Afn.CLASS1, 25): lambda _: 67,
    (Afn.CLASS1, 33): lambda data: _rates(data, 5, 17),
    (Afn.CLASS1, 34): lambda data: _rates(data, 5, 17),
    (Afn.CLASS1, 129): lambda data: _rates(data, 5, 5),
    (Afn.CLASS1, 131): lambda data: _rates(data, 5, 5),
    (Afn.CLASS2, 161): lambda data: _rates(data, 8, 5),
    (Afn.CLASS2, 163): lambda data: _rates(data, 8, 5),
    **{(Afn.CLASS2, fn): partial(_curve, each) for fn, each in CURVES.items()},
    (Afn.FORWARD, 1): lambda data: 3 + int.from_bytes(data[1:3], "little") if len(data) >= 3 else 3,
}


def _size(afn: int, fn: int, data: bytes) -> int:
    sizer = _SIZES.get((afn, fn))
    if sizer is None:
        raise WireRefusal("unknown_list", f"AFN {afn:02X} F{fn}")
    return sizer(data)


class Registers(NamedTuple):
    """Energy of one direction: when the terminal read the meter (local), total and rates in Wh, None for no value.

    ``day`` is the frozen day (midnight, local) of a daily freeze: the register as it stood when that day ended.
    """

    at: datetime | None
    total_wh: int | None
    rates_wh: tuple[int | None, ...]
    day: datetime | None = None


def registers(unit: Unit) -> Registers:
    """F33, F34, F129 and F131 of class 1, F161 and F163 of class 2."""
    data, day = unit.data, None
    if unit.fn in (161, 163):
        day, data = _day(data[:3]), data[3:]
    values = tuple(_energy(data[6 + 5 * n : 11 + 5 * n]) for n in range(data[5] + 1))
    return Registers(minute_of(data[:5]), values[0], values[1:], day)


def _energy(raw: bytes) -> int | None:
    """Format A.14: ten digits of 0.1 Wh."""
    value = number_of(raw)
    return None if value is None else value // 10


class Load(NamedTuple):
    """F25: when the terminal read it (local), active power in W (total), phase voltages in 0.1 V, currents in mA."""

    at: datetime | None
    power_w: int | None
    voltages_dv: tuple[int | None, int | None, int | None]
    currents_ma: tuple[int | None, int | None, int | None]


def load(unit: Unit) -> Load:
    """F25 of class 1: powers in 0.1 W with a sign, factors, voltages in 0.1 V, currents in mA with a sign."""
    data = unit.data
    power = number_of(data[5:8], signed=True)
    volts = [number_of(data[at : at + 2]) for at in (37, 39, 41)]
    amperes = [number_of(data[at : at + 3], signed=True) for at in (43, 46, 49)]
    watts = None if power is None else (power // 10 if power >= 0 else -(-power // 10))
    return Load(minute_of(data[:5]), watts, (volts[0], volts[1], volts[2]), (amperes[0], amperes[1], amperes[2]))


class ControlState(NamedTuple):
    """F5: what is in force at the terminal; ``purchase`` names the groups under purchase control."""

    keep_power: bool
    rejected: bool
    alarm: bool
    purchase: frozenset[int]


def control_state(unit: Unit) -> ControlState:
    """F5 of class 1: bit 0 keep power, 1 rejected, 2 arrears alarm; per group its electricity control (bit 1 purchase).

    >>> control_state(Unit(0, 5, bytes.fromhex("0501000000020000")))
    ControlState(keep_power=True, rejected=False, alarm=True, purchase=frozenset({1}))
    """
    flags, groups = unit.data[0], [n + 1 for n in range(8) if unit.data[1] >> n & 1]
    bought = {group for place, group in enumerate(groups) if unit.data[2 + 6 * place + 3] & 2}
    return ControlState(bool(flags & 1), bool(flags & 2), bool(flags & 4), frozenset(bought))


class Outputs(NamedTuple):
    """F6: rounds (1 to 8) that the terminal holds tripped by remote order, and those tripped by purchase control."""

    remote: frozenset[int]
    alarm: bool
    purchase: frozenset[int]

    def tripped(self, control_round: int) -> bool:
        """Whether any of the two holds this round's breaker open."""
        return control_round in self.remote or control_round in self.purchase


def outputs(unit: Unit) -> Outputs:
    """F6 of class 1: remote trips, arrears alarm, then per group eight bytes with purchase trips in the sixth."""
    data = unit.data
    bought: set[int] = set()
    for place in range(data[2].bit_count()):
        bought |= _bits(data[3 + 8 * place + 5])
    return Outputs(frozenset(_bits(data[0])), bool(data[1] & 1), frozenset(bought))


def _bits(byte: int) -> set[int]:
    return {bit + 1 for bit in range(8) if byte >> bit & 1}


def denials(unit: Unit) -> Mapping[tuple[int, int], int]:
    """Per-unit answers (AFN 00 F3): (pn, fn) -> error number, 0 taken."""
    data, found = unit.data[1:], dict[tuple[int, int], int]()
    while data:
        if len(data) < 5:
            raise WireRefusal("truncated", f"a single confirmation of {len(data)} bytes")
        for place in points(data):
            found[place] = data[4]
        data = data[5:]
    return found


def forwarded(unit: Unit) -> bytes:
    """What the meter answered through the terminal (AFN 10 F1): port, length, content."""
    return unit.data[3:]


def forward(content: bytes, *, port: int = 31, wait_s: int = 10, control: int = 0x6B) -> bytes:
    """The data of AFN 10 F1: port, line (6B: 2400 baud, 8 bits, even), waits for message and byte (0.1 s), content.

    >>> forward(bytes.fromhex("16"), port=31, wait_s=60).hex()
    '1f6bbc0a010016'
    """
    if not 0 <= wait_s <= 127 or not 0 < port < 256:
        raise ValueError(f"port {port}, wait {wait_s} s: 1 to 255, 0 to 127")
    return bytes([port, control, 0x80 | wait_s, 10]) + len(content).to_bytes(2, "little") + content


def clock_of(raw: bytes) -> datetime:
    """Format A.01: second, minute, hour, day, weekday (upper three bits) with month, year; WireRefusal("no_time").

    >>> clock_of(bytes.fromhex("000009016726"))
    datetime.datetime(2026, 7, 1, 9, 0)
    """
    return _when(raw[:4] + bytes([raw[4] & 0x1F]) + raw[5:]) if len(raw) == 6 else _when(b"")


def clock_bytes(at: datetime) -> bytes:
    """The way back."""
    raw = bytearray.fromhex(at.strftime("%S%M%H%d%m%y"))
    raw[4] |= at.isoweekday() << 5
    return bytes(raw)


def minute_of(raw: bytes) -> datetime | None:
    """Format A.15: minute, hour, day, month, year; None when the terminal has none (all EE or FF)."""
    if not raw.strip(b"\xee") or not raw.strip(b"\xff"):
        return None
    return _when(b"\x00" + raw)


def minute_bytes(at: datetime) -> bytes:
    """The way back."""
    return bytes.fromhex(at.strftime("%M%H%d%m%y"))


def day_bytes(day: datetime) -> bytes:
    """Format A.20: day, month, year: what a daily freeze is asked for by."""
    return bytes.fromhex(day.strftime("%d%m%y"))


def _day(raw: bytes) -> datetime:
    return _when(bytes(3) + raw)


def _when(raw: bytes) -> datetime:
    try:
        second, minute, hour, day, month, year = (int(f"{byte:02x}") for byte in raw)
        return datetime(2000 + year, month, day, hour, minute, second)
    except ValueError as error:
        raise WireRefusal("no_time", f"{raw.hex()}: {error}") from error


def number_of(raw: bytes, *, signed: bool = False) -> int | None:
    """BCD, low byte first; None where the terminal has no value (all EE, or all FF)."""
    return None if not raw.strip(b"\xee") else bcd(raw, signed=signed)
