"""Bytes of an RS-485 line go in, the answers of its DL/T 645-2007 meters come out: reads, and the relay by its rules.

The rules: a trip waits out its delay (and shows the alarm bit meanwhile), keep-power refuses a trip, 1D and 1E restore
by themselves, no drive below 0.75 of the nominal voltage (it follows when the voltage is back), an expired order or a
wrong password is refused. Faults of a meter by name: ``dead``, ``wrong_unit`` (another meter answers), ``half_frame``,
``glitch`` (00 around each answer), ``stale`` (the answer before, once more), and those of ``SimMeter``.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ingest.errors import WireRefusal
from ingest.ports import Clock
from ingest.records import RelayState
from ingest.wire.dlt645 import (
    STATUS_WORD_3,
    WILDCARD,
    Control,
    Fault,
    Frame,
    Function,
    Order,
    bcd_bytes,
    control_of,
    encode,
)
from ingest.wire.sift import Sifter
from sim.meters import SimMeter

NOMINAL_V = 220
LEAST_SHARE = 75  # percent of the nominal voltage that the relay's drive needs
PASSWORD = "123456"
"""The password of simulated meters unless another is given."""
_TRIPS = (Order.TRIP, Order.TRIP_RESTORE_DIRECT, Order.TRIP_RESTORE_PERMIT)


@dataclass(slots=True)
class Dlt645Meter:
    """One meter on the line: its metal and its firmware's state; ``meter_type`` not 0 holds the credit itself."""

    address: str
    meter: SimMeter
    password: str = PASSWORD
    zone: str = "UTC"
    trip_delay_s: int = 0
    restore_s: int = 600
    meter_type: int = 0
    voltage_v: int = NOMINAL_V
    told_open: bool = False
    permitted: bool = False
    due: list[tuple[datetime, Order]] = field(default_factory=list)

    def advance(self, now: datetime) -> None:
        """Let time pass: delayed and automatic drives happen when they are due and the voltage carries them."""
        while self.due and self.due[0][0] <= now and self.powered:
            at, order = self.due.pop(0)
            self._drive(order, max(at, self.meter.at))
        self.meter.advance(now)

    @property
    def powered(self) -> bool:
        """Whether the voltage carries a drive of the relay."""
        return self.voltage_v * 100 >= NOMINAL_V * LEAST_SHARE

    def press(self, now: datetime) -> bool:
        """A person holds the button: a permitted relay closes."""
        if self.permitted and self.powered:
            self.permitted = False
            self.meter.switch(RelayState.CLOSED, now, "button")
        return self.meter.relay is RelayState.CLOSED

    def order(self, control: Control, now: datetime) -> Fault:
        """Take one order, or say why not."""
        local = now.replace(tzinfo=UTC).astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)
        local += timedelta(seconds=self.meter.skew_s)
        if control.password != self.password:
            return Fault.BAD_PASSWORD
        if control.until <= local or control.order not in Order.__members__.values():
            return Fault.OTHER
        order = Order(control.order)
        if order in _TRIPS and (self.meter.keep_power or self.meter_type):
            return Fault.OTHER
        self.meter.valid_until = control.until
        self._take(order, now)
        self.advance(now)
        return Fault(0)

    def _take(self, order: Order, now: datetime) -> None:
        if order in (Order.ALARM, Order.ALARM_OFF):
            self.meter.alarm = order is Order.ALARM
        elif order in (Order.KEEP_POWER, Order.KEEP_POWER_OFF):
            self.meter.keep_power = order is Order.KEEP_POWER
        else:
            self.told_open = order in _TRIPS
            self.permitted = False
            delay = timedelta(seconds=self.trip_delay_s if order in _TRIPS else 0)
            self.due = [(now + delay, order)]

    def _drive(self, order: Order, at: datetime) -> None:
        if order in _TRIPS:
            self.meter.switch(RelayState.OPEN, at, order.name.lower())
            after = {Order.TRIP_RESTORE_DIRECT: Order.CLOSE, Order.TRIP_RESTORE_PERMIT: Order.PERMIT}.get(order)
            if after is not None:
                self.due.append((at + timedelta(seconds=self.restore_s), after))
        elif order is Order.CLOSE:
            self.told_open = False
            self.meter.switch(RelayState.CLOSED, at, "close")
        else:
            self.told_open, self.permitted = False, True

    def status_word(self) -> int:
        """Status word 3 as the meter shows it."""
        pending = any(order in _TRIPS for _, order in self.due)
        opened = self.meter.reported_relay is not RelayState.CLOSED
        alarm = pending or self.meter.alarm
        return 0x10 * opened | 0x40 * self.told_open | 0x80 * alarm | self.meter_type << 8


class Dlt645Line:
    """``sim.ports.Device``: the meters of one RS-485 line behind a serial server."""

    def __init__(self, clock: Clock, meters: dict[str, Dlt645Meter]) -> None:
        """Meters by address; they advance by ``clock`` whenever they are asked."""
        self.clock = clock
        self.meters = meters
        self.last = b""

    def session(self) -> "Dlt645Session":
        """One client's connection."""
        return Dlt645Session(self)

    def answer(self, frame: Frame) -> list[bytes]:
        """What goes back for one request; the wildcard is answered by the one meter of a line that has one."""
        alone = next(iter(self.meters.values())) if len(self.meters) == 1 else None
        unit = alone if frame.address == WILDCARD else self.meters.get(frame.address)
        if unit is None or frame.answer or "dead" in unit.meter.faults:
            return []
        faults = unit.meter.faults
        if "stale" in faults and self.last:
            return [self.last]
        unit.advance(self.clock.now())
        data = encode(respond(self._behind(unit), frame, self.clock.now()))
        self.last = data
        if "half_frame" in faults:
            return [data[: len(data) // 2]]
        return [b"\x00\x00" + data + b"\x00"] if "glitch" in faults else [data]

    def _behind(self, unit: Dlt645Meter) -> Dlt645Meter:
        """The meter that really answers: a neighbour when the line is wired wrongly, else one that nobody knows."""
        if "wrong_unit" not in unit.meter.faults:
            return unit
        others = [other for other in self.meters.values() if other is not unit]
        return others[0] if others else Dlt645Meter("999999999999", unit.meter)


class Dlt645Session:
    """One connection: bytes in, one item for each answer."""

    def __init__(self, line: Dlt645Line) -> None:
        self._line = line
        self._sifter = Sifter()

    def feed(self, data: bytes) -> list[bytes]:
        """Answer every whole frame."""
        frames = [piece.content for piece in self._sifter.feed(data)]
        return [answer for frame in frames if isinstance(frame, Frame) for answer in self._line.answer(frame)]


def respond(unit: Dlt645Meter, frame: Frame, now: datetime) -> Frame:
    """The answer of one meter."""
    if frame.function == Function.CONTROL:
        try:
            fault = unit.order(control_of(frame), now)
        except WireRefusal:
            fault = Fault.OTHER
        return Frame(unit.address, 0xDC, bytes([fault])) if fault else Frame(unit.address, 0x9C)
    if frame.function == Function.READ_ADDRESS:
        return Frame(unit.address, 0x93, bytes.fromhex(unit.address)[::-1])
    shown = _shown(unit, frame.identifier, now) if frame.function == Function.READ else None
    if shown is None:
        return Frame(unit.address, 0xC0 | frame.function, bytes([Fault.NO_DATA]))
    return Frame(unit.address, 0x91, bytes.fromhex(frame.identifier)[::-1] + shown)


def _shown(unit: Dlt645Meter, identifier: str, now: datetime) -> bytes | None:
    """What the meter shows under an identifier; None for one that it does not have."""
    meter = unit.meter
    at = meter.device_time(now).replace(tzinfo=UTC).astimezone(ZoneInfo(unit.zone))
    energy = bcd_bytes(meter.register_wh // 10 % 10**8, 4)
    nothing = bytes(4)
    values = {
        "00010000": energy,
        "00010100": energy,
        "00010200": nothing,
        "0001ff00": energy + energy + 3 * nothing,
        "02010100": bcd_bytes(unit.voltage_v * 10, 2),
        "02030000": bcd_bytes(meter.power_w(now) * 10, 3, signed=True),
        STATUS_WORD_3: unit.status_word().to_bytes(2, "little"),
        "04000101": bytes.fromhex(f"{at.isoweekday() % 7:02d}" + at.strftime("%d%m%y")),
        "04000102": bytes.fromhex(at.strftime("%S%M%H")),
        "04000401": bytes.fromhex(unit.address)[::-1],
        "04000402": bytes.fromhex(unit.address)[::-1],
    }
    return values.get(identifier)
