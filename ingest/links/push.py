"""DLMS pushes that meters and head ends send to us go in, polls come out when they are asked for.

Whoever connects may push for any number of meters, in any of the framings that ``ingest.frames`` knows; the profile of
each push says what its numbers mean. A push counts for the meter that it names and for the slot that its own time
closes; one whose time lies ahead of its arrival counts for none, one that comes long after its time only as a backfill
of an uncertain hour. What arrives is held, bounded, until the poll of its slot asks for it: so pushed reads take the
same way as polled ones, with the same identity check and the same guard against repetitions. Nothing can be switched.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ingest import drivers as installed
from ingest.errors import ProfileError
from ingest.framed import Frame
from ingest.frames import FrameReader
from ingest.heard import numbers_of, registers_of
from ingest.limits import CLOCK_LIMIT_S, LATE_SHARE, READ_LIMIT
from ingest.links.door import Door, Limits, Listener
from ingest.model import Driver
from ingest.plan import slot_floor
from ingest.ports import Clock, Stream
from ingest.pushes import profiles
from ingest.records import (
    Channel,
    Drive,
    DriveOutcome,
    DriveResult,
    Finding,
    Flag,
    MeterPoint,
    MeterRead,
    Poll,
    RelayReport,
    RelayState,
)
from ingest.registerwatch import RegisterWatch
from ingest.terminalmodel import PushDriver
from ingest.wire.ciphering import Keys
from ingest.wire.cosem import When
from ingest.wire.pushes import time_in

SILENCE_S = 7_200.0
"""A caller that pushes nothing for two hours is gone."""
HELD = 30
"""Pushes of one meter: a day of hourly registers, and some."""
MOST_METERS = 5_000
EARLY_S = 90
LATE_PUSH_S = 600
"""A push that comes later after its own time was held back on its way, or its meter's clock is slow."""
FRESH_S = 300
ANY_ZONE_S = 14 * 3600 + CLOCK_LIMIT_S
"""A clock that names no deviation is ahead only where it is so in every zone; the meter's own zone decides later."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push: when it arrived, the time inside it by the profile's zone, the meter's clock, its numbers, its bytes."""

    at: datetime
    time: datetime
    clock: When | None
    numbers: Mapping[str, Decimal]
    raw: bytes

    def time_in(self, zone: str) -> datetime:
        """The time inside it where the meter's own ``zone`` is known (UTC: it is not) and its clock names none."""
        open_clock = self.clock is not None and self.clock.deviation_min is None and zone != "UTC"
        return (time_in(self.clock, zone)[0] if open_clock else None) or self.time


@dataclass(frozen=True, slots=True)
class Heard:
    """What one push said of a meter: the time inside it, how late it came, registers in Wh, load."""

    time: datetime
    late_s: float
    import_wh: int | None
    export_wh: int | None
    power_w: int | None
    voltage_v: int | None
    raw: bytes = b""


class PushLink:
    """``ingest.ports.Link`` for all meters that push to one address and port."""

    depth = 64
    """Meters that are waited for side by side."""

    def __init__(
        self,
        clock: Clock,
        listener: Listener,
        host: str,
        port: int,
        *,
        gateway: str,
        keys: Keys | None = None,
        wait_s: float = 45.0,
        limits: Limits | None = None,
        drivers: Mapping[str, Driver] | None = None,
    ) -> None:
        """It listens from the first call; a poll waits at most ``wait_s`` after its slot for the push."""
        self.gateway = gateway
        self._clock = clock
        self._keys = keys
        self._wait_s = wait_s
        self._drivers = drivers if drivers is not None else installed.drivers()
        self._known = profiles()
        self._heard: OrderedDict[str, deque[Pushed]] = OrderedDict()
        self._news: dict[str, asyncio.Event] = {}
        self._watch = RegisterWatch()
        self.door = Door(listener, host, port, self.serve, limits=limits)
        self.dropped: Counter[str] = Counter()

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """The registers that the meter pushed for ``slot_end``; waits for them a little after the slot."""
        driver = self._driver(point)
        if refused := await self._open(point):
            return refused
        heard = self._best(point, driver, slot_end)
        until = slot_end + timedelta(seconds=self._wait_s)
        while heard is None and (left_s := (until - self._clock.now()).total_seconds()) > 0:
            if not await self._next(point.serial, left_s):
                break
            heard = self._best(point, driver, slot_end)
        if heard is None:
            return self._empty(
                point, "not_heard", f"no push of {point.serial or 'a meter without serial'} for the slot"
            )
        return self._polled(point, driver, heard, slot_end)

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        """The slots in (``start``, ``end``] that were heard and that nobody asked for in time."""
        driver = self._driver(point)
        if refused := await self._open(point):
            return refused
        reads: dict[tuple[int, datetime], MeterRead] = {}
        for heard in self._of(point, driver):
            slot = slot_floor(heard.time + timedelta(seconds=EARLY_S), point.slot_min)
            if start < slot <= end and abs((heard.time - slot).total_seconds()) <= EARLY_S:
                late = Flag.UNCERTAIN if heard.late_s > LATE_PUSH_S else Flag.NONE
                for channel, value in _registers(heard):
                    reads[channel, slot] = MeterRead(point.meter_id, channel, slot, value, int(Flag.BACKFILL | late))
        serial = point.serial if reads else ""
        return Poll(point.meter, self._clock.now(), serial, tuple(reads[place] for place in sorted(reads)))

    async def relay(self, point: MeterPoint) -> RelayReport:
        """A push says nothing that could be believed of a relay."""
        return RelayReport(point.meter, self._clock.now(), RelayState.UNKNOWN, source="no_relay")

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:  # noqa: ARG002
        """Nothing can be switched through pushes."""
        return DriveOutcome(order.command, self._clock.now(), DriveResult.REFUSED, "read_only")

    async def close(self) -> None:
        """Listen no more; the next call listens again."""
        await self.door.close()

    async def serve(self, stream: Stream, peer: str) -> None:  # noqa: ARG002
        """One caller, until it ends or falls silent."""
        reader = FrameReader(self._known, keys=self._keys, keep_raw=True)
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    data = await stream.read(READ_LIMIT)
            except TimeoutError:
                self.dropped["silent"] += 1
                return
            for frame in reader.feed(data) if data else reader.close():
                self._take(frame)
            if not data:
                return

    def _take(self, frame: Frame) -> None:
        """Keep a push that names its meter; the newest ones of each, the busiest meters of all."""
        if frame.status == "refused" or not frame.values or not frame.meter:
            self.dropped[frame.reason or ("no_meter" if frame.values else "no_values")] += 1
            return
        if any(finding.code in ("implausible", "no_scaler", "unauthenticated") for finding in frame.findings):
            self.dropped["doubtful"] += 1
            return
        at = self._clock.now()
        time = frame.time if frame.time is not None else at
        named = frame.clock is None or frame.clock.deviation_min is not None
        if (time - at).total_seconds() > (CLOCK_LIMIT_S if named else ANY_ZONE_S):
            self.dropped["clock_ahead"] += 1
            return
        held = self._heard.setdefault(frame.meter, deque(maxlen=HELD))
        pushed = Pushed(at, time, frame.clock, numbers_of(frame), frame.raw)
        if held and not _has_register(held[-1]):
            held.pop()  # of pushes without a register only the newest is kept: they say the load
        held.append(pushed)
        self._heard.move_to_end(frame.meter)
        if len(self._heard) > MOST_METERS:
            self._heard.popitem(last=False)
        if (news := self._news.pop(frame.meter, None)) is not None:
            news.set()

    def _driver(self, point: MeterPoint) -> PushDriver:
        driver = self._drivers.get(point.model)
        if not isinstance(driver, PushDriver):
            raise ProfileError(f"meter {point.meter}: {point.model!r} is no push driver; correct its master data")
        return driver

    async def _open(self, point: MeterPoint) -> Poll | None:
        try:
            await self.door.open()
        except OSError as error:
            return self._empty(point, "unreachable", f"cannot listen: {error}")
        return None

    async def _next(self, serial: str, wait_s: float) -> bool:
        """Whether a push of this meter came within ``wait_s``."""
        news = self._news.setdefault(serial, asyncio.Event())
        try:
            async with asyncio.timeout(wait_s):
                await news.wait()
        except TimeoutError:
            self._news.pop(serial, None)
            return False
        return True

    def _of(self, point: MeterPoint, driver: PushDriver) -> Iterator[Heard]:
        """What was heard of a meter, oldest first."""
        for pushed in self._heard.get(point.serial, ()):
            known, found = pushed.numbers, registers_of(pushed.numbers, driver)
            time = pushed.time_in(point.zone)
            if (time - pushed.at).total_seconds() > CLOCK_LIMIT_S:
                continue
            yield Heard(
                time,
                (pushed.at - time).total_seconds(),
                found.get(Channel.IMPORT),
                found.get(Channel.EXPORT),
                _whole(known.get("1.0.1.7.0.255")),
                _whole(known.get("1.0.32.7.0.255")),
                pushed.raw,
            )

    def _best(self, point: MeterPoint, driver: PushDriver, slot_end: datetime) -> Heard | None:
        """The push whose register lies nearest to the slot's end, none from before it."""
        first, last = slot_end - timedelta(seconds=EARLY_S), slot_end + timedelta(minutes=point.slot_min)
        live = [h for h in self._of(point, driver) if h.import_wh is not None and h.late_s <= LATE_PUSH_S]
        fits = [h for h in live if first <= h.time < last]
        return min(fits, key=lambda heard: abs(heard.time - slot_end), default=None)

    def _polled(self, point: MeterPoint, driver: PushDriver, heard: Heard, slot_end: datetime) -> Poll:
        findings: list[Finding] = []
        now, flags = self._clock.now(), Flag.NONE
        late_s = (heard.time - slot_end).total_seconds()
        if late_s > point.slot_min * 60 // LATE_SHARE:
            findings.append(self._finding(point, "late_read", f"{late_s:.0f} s after the slot: hour uncertain"))
            flags |= Flag.UNCERTAIN
        reads = []
        for channel, value in _registers(heard):
            verdict = self._watch.verdict(point, channel, value, heard.time)
            if verdict:
                findings.append(self._finding(point, verdict, f"{value} Wh: kept as suspect, confirm on site"))
            self._watch.believe(point, channel, value, heard.time)
            marks = int(flags | (Flag.SUSPECT if verdict else Flag.NONE))
            reads.append(MeterRead(point.meter_id, channel, slot_end, value, marks))
        newest = [h for h in self._of(point, driver) if abs((now - h.time).total_seconds()) <= FRESH_S]
        return Poll(
            meter=point.meter,
            at=now,
            serial=point.serial,
            reads=tuple(reads),
            power_w=next((h.power_w for h in reversed(newest) if h.power_w is not None), None),
            voltage_v=next((h.voltage_v for h in reversed(newest) if h.voltage_v is not None), None),
            findings=tuple(findings),
            register_wh=heard.import_wh,
            raw=((b"", heard.raw),),
        )

    def _empty(self, point: MeterPoint, code: str, detail: str) -> Poll:
        return Poll(meter=point.meter, at=self._clock.now(), findings=(self._finding(point, code, detail),))

    def _finding(self, point: MeterPoint, code: str, detail: str) -> Finding:
        return Finding(code, self._clock.now(), point.meter, self.gateway, detail)


def _registers(heard: Heard) -> list[tuple[Channel, int]]:
    both = ((Channel.IMPORT, heard.import_wh), (Channel.EXPORT, heard.export_wh))
    return [(channel, value) for channel, value in both if value is not None]


def _has_register(pushed: Pushed) -> bool:
    """Whether a push tells any energy in or out."""
    return any(code.split(".")[2:4] in (["1", "8"], ["2", "8"]) for code in pushed.numbers)


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else round(value)
