"""Bytes of a master station go in, the answers of one Q/GDW 376.1 terminal come out; it dials in and logs in by itself.

Its measuring points are simulated meters; control round 1 trips the breaker of them all. Its rules: keep power lifts
every trip and refuses new ones, an order whose time tag is older than it allows is dropped, a wrong message
authentication code is denied. A trip ends by permission; a person then closes the breaker (``press``) unless
``closes_itself``. AFN 10 reaches the DL/T 645 meters on its line.

Faults by name: ``dead`` (answers nothing), ``denies`` (every read), ``wrong_terminal`` and ``wrong_point`` (another one
answers), ``stale`` (the answer before, once more), ``half_frame``, ``glitch`` (bytes around each answer),
``old_reading`` (its registers are an hour old), ``no_value``, ``lying_state`` (confirms orders, keeps its state),
``stuck_breaker``.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ingest.errors import WireRefusal
from ingest.ports import Clock
from ingest.records import RelayState
from ingest.wire import dlt645
from ingest.wire import qgdw376_items as items
from ingest.wire import qgdw376_orders as orders
from ingest.wire.dlt645 import bcd_bytes
from ingest.wire.qgdw376 import Address, Afn, Control, Frame, Reader, address_of, encode, sequence
from ingest.wire.qgdw376_curves import curve_bytes
from ingest.wire.qgdw376_items import Unit, identifier
from ingest.wire.qgdw376_orders import Order
from sim.dlt645 import Dlt645Line
from sim.meters import SimMeter

PASSWORD = bytes(range(16))
NOTHING = b"\xee"
_OK, _NO = identifier(0, 1), identifier(0, 2)


@dataclass(slots=True, eq=False)
class Terminal:
    """``sim.ports.Device`` that calls: its points by number, its control states, and what a master may do to it."""

    name: str
    clock: Clock
    points: dict[int, SimMeter]
    zone: str = "Asia/Shanghai"
    password: bytes = PASSWORD
    line: Dlt645Line | None = None
    closes_itself: bool = False
    voltage_v: int = 220
    skew_s: int = 0
    keep_power: bool = False
    keep_until: datetime | None = None
    alarm: bool = False
    purchase: set[int] = field(default_factory=set)
    tripped: set[int] = field(default_factory=set)
    faults: set[str] = field(default_factory=set)
    events: bytes = b""
    orders: list[Order] = field(default_factory=list)
    last: bytes = b""
    heartbeats: int = 0

    @property
    def address(self) -> Address:
        """Its own address; the master's part is filled in by each answer."""
        return address_of(self.name)

    def session(self) -> "TerminalSession":
        """One connection to a master."""
        return TerminalSession(self)

    def local(self) -> datetime:
        """What its clock says."""
        return self.wall(self.clock.now() + timedelta(seconds=self.skew_s))

    def wall(self, at: datetime) -> datetime:
        """A UTC time on the wall where it hangs."""
        return at.replace(tzinfo=UTC).astimezone(ZoneInfo(self.zone)).replace(tzinfo=None, microsecond=0)

    def press(self) -> bool:
        """A person closes the breaker; it holds unless the terminal trips it."""
        if 1 in self.tripped:
            return False
        self._switch(RelayState.CLOSED, "hand")
        return True

    def take(self, order: Order, pn: int, data: bytes) -> bool:
        """One order; whether it is confirmed."""
        self.orders.append(order)
        if order is Order.TRIP and (self.kept or not 1 <= pn <= 8):
            return False
        if "lying_state" in self.faults:
            return True
        if order is Order.TRIP:
            self.tripped.add(pn)
            self._switch(RelayState.OPEN, "trip")
        elif order is Order.PERMIT:
            self._release({pn})
        elif order in (Order.KEEP_POWER, Order.KEEP_POWER_OFF):
            self._keep(order is Order.KEEP_POWER, data)
        elif order in (Order.ALARM, Order.ALARM_OFF):
            self.alarm = order is Order.ALARM
        elif not 1 <= pn <= 8:
            return False
        else:
            (self.purchase.add if order is Order.PURCHASE else self.purchase.discard)(pn)
        return True

    @property
    def kept(self) -> bool:
        """Whether a keep-power order is in force now."""
        if self.keep_until is not None and self.clock.now() >= self.keep_until:
            self.keep_power, self.keep_until = False, None
        return self.keep_power

    def _keep(self, on: bool, data: bytes) -> None:
        self.keep_power, self.keep_until = on, None
        if on:
            self._release(set(self.tripped))
            if data[0]:
                self.keep_until = self.clock.now() + timedelta(minutes=30 * data[0])

    def _release(self, rounds: set[int]) -> None:
        self.tripped -= rounds
        if 1 in rounds and self.closes_itself:
            self._switch(RelayState.CLOSED, "permit")

    def _switch(self, state: RelayState, cause: str) -> None:
        if "stuck_breaker" in self.faults:
            return
        for meter in self.points.values():
            meter.switch(state, self.clock.now(), cause)


class TerminalSession:
    """One connection: the terminal's own frames, and its answers."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._reader = Reader()
        self._counter = 0
        self.logged_in = False
        self.denied = False

    def login(self) -> bytes:
        """The first frame of a connection."""
        return self._link(1)

    def logout(self) -> bytes:
        """The last one, politely."""
        return self._link(2)

    def heartbeat(self) -> bytes:
        """Sent every few minutes."""
        self._terminal.heartbeats += 1
        return self._link(3)

    def report(self) -> bytes:
        """Data that nobody asked for: a register of point 1, to be confirmed."""
        unit = identifier(1, 129) + (_shown(self._terminal, Unit(1, 129), Afn.CLASS1) or b"")
        return self._own(Control.TERMINAL_SENDS, Afn.CLASS1, unit)

    def report_curve(self, pn: int, hours: int) -> bytes:
        """The hourly registers of one point as its meter stored them, the last ``hours`` of them, unasked (F101)."""
        stored = sorted(self._terminal.points[pn].profile)[-hours:]
        start = self._terminal.wall(stored[0][0])
        body = curve_bytes(101, start, 3, [wh % 10**9 // 10 for _, wh in stored])
        return self._own(Control.TERMINAL_SENDS, Afn.CLASS2, identifier(pn, 101) + body)

    def _link(self, item: int) -> bytes:
        return self._own(Control.TERMINAL_STARTS, Afn.LINK, identifier(0, item))

    def _own(self, control: int, afn: int, body: bytes) -> bytes:
        self._counter = (self._counter + 1) & 0x0F
        return encode(Frame(control, self._terminal.address, afn, sequence(self._counter, confirm=True), body))

    def feed(self, data: bytes) -> list[bytes]:
        """Answer every whole frame."""
        return [answer for frame in self._reader.feed(data) for answer in self._answer(frame)]

    def _answer(self, frame: Frame) -> list[bytes]:
        unit, faults = self._terminal, self._terminal.faults
        if frame.afn == Afn.CONFIRM and not frame.starts:
            self.logged_in = self.logged_in or frame.body[:4] == _OK
            self.denied = self.denied or frame.body[:4] == _NO
            return []
        mine = (frame.address.region, frame.address.number) == (unit.address.region, unit.address.number)
        if frame.up or not mine or "dead" in faults:
            return []
        if "stale" in faults and unit.last:
            return [unit.last]
        answer = respond(unit, frame)
        if answer is None:
            return []
        data = encode(answer)
        unit.last = data
        if "half_frame" in faults:
            return [data[: len(data) // 2]]
        return [b"\x00\x68\x00" + data + b"\x16"] if "glitch" in faults else [data]


def respond(unit: Terminal, frame: Frame) -> Frame | None:
    """The answer of a terminal; None when it drops the frame."""
    address = frame.address
    if "wrong_terminal" in unit.faults:
        address = address._replace(number=address.number ^ 1)
    now = unit.clock.now()
    for meter in unit.points.values():
        meter.advance(now)
    base = Frame(
        Control.TERMINAL_ANSWERS, address, frame.afn, sequence(frame.number), events=unit.events, tag=frame.tag
    )
    if frame.afn in (Afn.CLASS1, Afn.CLASS2):
        body = b"" if "denies" in unit.faults else _read(unit, frame)
        return base._replace(body=body) if body else base._replace(afn=Afn.CONFIRM, body=_NO)
    if frame.afn == Afn.CONTROL:
        if _too_late(unit, frame):
            return None
        taken = frame.password == unit.password and _ordered(unit, frame)
        return base._replace(control=Control.TERMINAL_CONFIRMS, afn=Afn.CONFIRM, body=_OK if taken else _NO)
    if frame.afn == Afn.FORWARD:
        content = _forwarded(unit, frame)
        if content is None:
            return base._replace(afn=Afn.CONFIRM, body=_NO)
        return base._replace(body=identifier(0, 1) + content)
    return base._replace(afn=Afn.CONFIRM, body=_NO)


def _too_late(unit: Terminal, frame: Frame) -> bool:
    """Whether the time tag says that this order has travelled for longer than it may."""
    tag, here = frame.tag, unit.local()
    if tag is None or not tag.delay_min:
        return False
    sent = here.replace(day=1) + timedelta(days=tag.day - 1)
    sent = sent.replace(hour=tag.hour, minute=tag.minute, second=tag.second)
    return here - sent > timedelta(minutes=tag.delay_min)


def _ordered(unit: Terminal, frame: Frame) -> bool:
    try:
        return all(unit.take(Order(one.fn), one.pn, one.data) for one in orders.asked(frame))
    except (WireRefusal, ValueError):
        return False


def _read(unit: Terminal, frame: Frame) -> bytes:
    """The units that it has of those asked for."""
    try:
        asked = orders.asked(frame)
    except WireRefusal:
        return b""
    body = b""
    for one in asked:
        shown = _shown(unit, one, Afn(frame.afn))
        pn = one.pn + 1 if "wrong_point" in unit.faults and one.pn else one.pn
        body += b"" if shown is None else identifier(pn, one.fn) + shown
    return body


def _shown(unit: Terminal, asked: Unit, afn: Afn) -> bytes | None:
    """What stands under one item; None for what it does not have."""
    if asked.pn == 0 and afn == Afn.CLASS1:
        groups = sorted(unit.purchase)
        flags = sum(1 << group - 1 for group in groups)
        state = bytes([unit.kept | unit.alarm << 2, flags]) + bytes([0, 0, 0, 2, 0, 0]) * len(groups)
        rounds = sum(1 << one - 1 for one in unit.tripped)
        outputs = bytes([rounds, int(unit.alarm), 0])
        return {2: items.clock_bytes(unit.local()), 5: state, 6: outputs}.get(asked.fn)
    meter = unit.points.get(asked.pn)
    if meter is None:
        return None
    if afn == Afn.CLASS2:
        return _frozen(unit, meter, asked)
    at = items.minute_bytes(unit.local() - timedelta(hours="old_reading" in unit.faults))
    if asked.fn == 25:
        watts = bcd_bytes(meter.power_w(unit.clock.now()) * 10, 3, signed=True)
        volts = bcd_bytes(unit.voltage_v * 10, 2)
        return at + watts * 2 + bytes(18) + bytes(8) + volts + NOTHING * 4 + bytes(12) + bytes(12)
    wh = {129: meter.register_wh, 131: 0}.get(asked.fn)
    if wh is None:
        return None
    return at + b"\x01" + (NOTHING * 10 if "no_value" in unit.faults else 2 * bcd_bytes(wh % 10**9 * 10, 5))


def _frozen(unit: Terminal, meter: SimMeter, asked: Unit) -> bytes | None:
    """The daily freeze: the register at the end of the day that is asked for, as the meter stored it."""
    if asked.fn != 161:
        return None
    day = datetime.strptime(asked.data.hex(), "%d%m%y").replace(tzinfo=ZoneInfo(unit.zone)) + timedelta(days=1)
    end = day.astimezone(UTC).replace(tzinfo=None)
    stored = dict(meter.profile)
    if end not in stored:
        return None
    at = items.minute_bytes(day.replace(tzinfo=None) + timedelta(minutes=5))
    return asked.data + at + b"\x00" + bcd_bytes(stored[end] % 10**9 * 10, 5)


def _forwarded(unit: Terminal, frame: Frame) -> bytes | None:
    """What a meter on the line answers, as the data of AFN 10 F1; None for silence."""
    try:
        (asked,) = orders.asked(frame)
    except (WireRefusal, ValueError):
        return None
    inner = asked.data[6:]
    at = inner.find(dlt645.START)
    request = dlt645.look(inner, at).frame if at >= 0 else None
    answers = unit.line.answer(request) if unit.line is not None and request is not None else []
    if frame.password != unit.password or not answers:
        return None
    content = answers[0].lstrip(b"\xfe")
    return asked.data[:1] + len(content).to_bytes(2, "little") + content
