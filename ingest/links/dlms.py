"""Meter points and slot ends go in, polls, relay reports and drive outcomes come out: one link to one concentrator.

The rules: one association per visit and device, devices side by side; who the meter is comes first; a read taken late
is taken from the load profile instead, whose rows lie exactly on slot ends; a clock more than two minutes off flags
what it stamped and refuses a disconnection; a relay is driven only with a higher fence, before its expiry, and is read
back. A read is tried again on a fresh connection when the old one broke, a drive never. Nothing that the wire says
raises.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np

from ingest import drivers as installed
from ingest.errors import ProfileError, WireRefusal
from ingest.limits import CLOCK_LIMIT_S, LATE_SHARE, stored_offset
from ingest.links.dlms_visit import DlmsVisit, Seals, Secrets
from ingest.links.fenced import FencedDrives
from ingest.links.wports import Concentrator
from ingest.model import DlmsDriver, Driver, Quantity
from ingest.ports import Clock, FenceStore, Transport
from ingest.records import (
    Channel,
    Drive,
    DriveOutcome,
    Flag,
    MeterPoint,
    MeterRead,
    Poll,
    RelayReport,
    RelayState,
)
from ingest.registerwatch import RegisterWatch
from ingest.wire.axdr import Data
from ingest.wire.cosem import Name
from ingest.wire.interfaces import word_of
from ingest.wire.plaindata import like, plain

CLOCK_SET_LIMIT_S = 900
"""A clock further off is not set by itself: it would cross a slot's end, and a quarter of an hour is the shortest."""
CLOCK_RIGHT_S = 3
CLOCK_WORTH_S = 10
"""A visit that may set clocks lets a clock run that is no further off."""
REMOTE_DISCONNECT, REMOTE_RECONNECT = 1, 2  # methods of class 70
ARMING_MODES = (1, 3, 5, 6)  # control modes whose remote reconnect only arms (Blue Book, class 70)
SAYS_NO = frozenset(
    {
        "temporary_failure",
        "read_write_denied",
        "object_undefined",
        "class_inconsistent",
        "object_unavailable",
        "type_unmatched",
        "scope_violated",
        "exception",
    }
)
TRIES_ALONE = 2
"""More attempts at a read whose connection broke, without other devices beside it."""
_LOOK = (Quantity.IMPORT, Quantity.EXPORT, Quantity.POWER, Quantity.VOLTAGE)
_CHANNELS = ((Quantity.IMPORT, Channel.IMPORT), (Quantity.EXPORT, Channel.EXPORT))
T = TypeVar("T")
Work = Callable[[DlmsVisit], Awaitable[tuple[MeterRead, ...]]]
Visited = tuple[DlmsVisit, tuple[MeterRead, ...], WireRefusal | None]


class DlmsLink:
    """``ingest.ports.Link`` for the logical devices behind one DLMS concentrator (TCP wrapper).

    ``secrets`` gives the LLS secret of ``MeterPoint.secret``; ``depth`` requests are under way at most, one per device;
    ``timeout_s`` replaces the drivers' own; ``late_s`` replaces the tolerance after a slot's end. A poll sets a clock
    that is up to ``clock_limit_s`` off, behind its reads; 0: none is touched.
    """

    def __init__(
        self,
        clock: Clock,
        transport: Transport,
        host: str,
        port: int,
        *,
        gateway: str,
        fences: FenceStore,
        secrets: Secrets,
        timeout_s: float | None = None,
        late_s: int | None = None,
        depth: int = 64,
        clock_limit_s: int = 0,
        seals: Seals | None = None,
        drivers: Mapping[str, Driver] | None = None,
    ) -> None:
        """Nothing is opened before the first call."""
        self.gateway = gateway
        self._clock = clock
        self._concentrator = Concentrator(transport, host, port, most=depth)
        self._secrets = secrets
        self._seals = seals
        self._timeout_s = timeout_s
        self._late_s = late_s
        self._clock_limit_s = min(clock_limit_s, CLOCK_SET_LIMIT_S)
        self._drivers = drivers if drivers is not None else installed.drivers()
        self._turns: dict[int, asyncio.Lock] = {}
        self._alone = asyncio.Lock()
        self._watch = RegisterWatch()
        self._fenced = FencedDrives(clock, fences, says_no=SAYS_NO)

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """Read identity, clock, registers, load and relay in one association; the registers close ``slot_end``."""

        async def work(visit: DlmsVisit) -> tuple[MeterRead, ...]:
            await visit.look(_LOOK)
            reads = await self._reads(visit, slot_end)
            off = visit.offset_s or 0
            if CLOCK_WORTH_S < abs(off) <= self._clock_limit_s:
                await visit.set_clock()
                visit.found("clock_set", f"it was {off} s off, and is {visit.offset_s} s off now")
            return reads

        return await self._poll(point, work)

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        """The registers of all slots that end after ``start`` and up to ``end``, from the meter's own load profile."""

        async def work(visit: DlmsVisit) -> tuple[MeterRead, ...]:
            await visit.look((Quantity.IMPORT,))
            return await self._profile(visit, start, end)

        return await self._poll(point, work)

    async def relay(self, point: MeterPoint) -> RelayReport:
        """What the relay and the load say now; ``unknown`` with the reason as source when the device says nothing."""

        async def work(visit: DlmsVisit) -> tuple[MeterRead, ...]:
            await visit.look((Quantity.POWER,))
            return ()

        visit, _, refusal = await self._visit(point, work)
        if refusal is not None:
            return RelayReport(point.meter, self._clock.now(), RelayState.UNKNOWN, source=refusal.reason)
        return visit.report()

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        """Switch once: identity, clock, fence and expiry first, then the ACTION, then its read-back."""
        visit = self._new_visit(point)
        async with self._turn(point):
            outcome = await self._fenced.run(order, DlmsSwitch(visit, self._secrets))
            await visit.close()
        return outcome

    async def set_clock(self, point: MeterPoint, *, limit_s: int = CLOCK_SET_LIMIT_S) -> str:
        """Set a clock that is a little off: "" when it is right now, else why not.

        ``drift``: further off than ``limit_s``; slots would be skipped or written twice, so a person decides.
        """
        verdict: list[str] = []

        async def work(visit: DlmsVisit) -> tuple[MeterRead, ...]:
            await visit.look((), relay=False)
            if visit.offset_s is not None and CLOCK_RIGHT_S < abs(visit.offset_s) <= limit_s:
                await visit.set_clock()
            off = visit.offset_s
            verdict.append("no_clock" if off is None else "" if abs(off) <= CLOCK_RIGHT_S else "drift")
            return ()

        _, _, refusal = await self._visit(point, work)
        return refusal.reason if refusal is not None else verdict[-1]

    async def attribute(self, point: MeterPoint, name: Name) -> tuple[str, Data]:
        """One attribute of any object, with its word where it has one; WireRefusal says why not."""

        async def work(visit: DlmsVisit) -> Data:
            return await visit.raw(name)

        return word_of(name), await self._alone_with(point, work)

    async def set_attribute(self, point: MeterPoint, name: Name, value: object) -> tuple[str, Data, Data]:
        """Write ``value`` in the type that the attribute has; its word, what stood there, and what stands there now.

        WireRefusal says why not; ``not_shown``: the meter took it and shows something else. ValueError: another type.
        """

        async def work(visit: DlmsVisit) -> tuple[Data, Data]:
            before = await visit.raw(name)
            wanted = like(before, value)
            await visit.put(name, wanted)
            after = await visit.raw(name)
            if after != wanted:
                raise WireRefusal("not_shown", f"wrote {plain(wanted)}, the meter shows {plain(after)}")
            return before, after

        return word_of(name), *await self._alone_with(point, work)

    async def _alone_with(self, point: MeterPoint, work: Callable[[DlmsVisit], Awaitable[T]]) -> T:
        """One association with a meter that says who it is, not tried again: a write may have arrived."""
        visit = self._new_visit(point)
        async with self._turn(point):
            try:
                await visit.open(self._secrets)
                await visit.look((), relay=False)
                return await work(visit)
            finally:
                await visit.close()

    async def close(self) -> None:
        """Close the connection; the next call opens it again."""
        await self._concentrator.close()

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames that answered nothing we asked, by kind (stale, notification, unasked ...)."""
        return self._concentrator.asides

    def _turn(self, point: MeterPoint) -> asyncio.Lock:
        return self._turns.setdefault(point.unit, asyncio.Lock())

    def _new_visit(self, point: MeterPoint) -> DlmsVisit:
        driver = self._drivers.get(point.model)
        if not isinstance(driver, DlmsDriver):
            raise ProfileError(f"meter {point.meter}: {point.model!r} is no DLMS driver; correct its master data")
        timeout_s = self._timeout_s if self._timeout_s is not None else driver.timeout_s
        return DlmsVisit(self._concentrator, self._clock, self.gateway, point, driver, timeout_s, seals=self._seals)

    async def _visit(self, point: MeterPoint, work: Work) -> Visited:
        """One association around ``work``, tried again when the connection broke under it.

        Then one device at a time: the one that breaks the framing must not take the others down with it again.
        """
        async with self._turn(point):
            result = await self._attempt(point, work)
            for _ in range(TRIES_ALONE):
                if result[2] is None or result[2].reason != "closed":
                    break
                async with self._alone:
                    result = await self._attempt(point, work)
        return result

    async def _attempt(self, point: MeterPoint, work: Work) -> Visited:
        visit = self._new_visit(point)
        reads: tuple[MeterRead, ...] = ()
        refused: WireRefusal | None = None
        try:
            await visit.open(self._secrets)
            reads = await work(visit)
        except WireRefusal as refusal:
            refused = refusal
        await visit.close()
        return visit, reads, refused

    async def _poll(self, point: MeterPoint, work: Work) -> Poll:
        visit, reads, refusal = await self._visit(point, work)
        if refusal is not None:
            visit.found(refusal.reason, str(refusal))
        return Poll(
            meter=point.meter,
            at=self._clock.now(),
            serial=visit.serial,
            reads=reads,
            relay=visit.report() if visit.relay is not None else None,
            power_w=visit.values.get(Quantity.POWER),
            voltage_v=visit.values.get(Quantity.VOLTAGE),
            offset_s=visit.offset_s,
            findings=tuple(visit.findings),
            register_wh=visit.values.get(Quantity.IMPORT),
            raw=tuple(visit.kept),
        )

    async def _reads(self, visit: DlmsVisit, slot_end: datetime) -> tuple[MeterRead, ...]:
        """The registers as reads of ``slot_end``; taken too late, the profile's row of that very instant instead."""
        slot_s = visit.point.slot_min * 60
        limit = timedelta(seconds=self._late_s if self._late_s is not None else slot_s // LATE_SHARE)
        late, flags = self._clock.now() - slot_end, clock_flags(visit)
        if late < -limit:
            raise WireRefusal("early_read", f"slot {slot_end.isoformat()}Z has not ended")
        if late > limit:
            if not flags and visit.driver.load_profile:
                return await self._profile(visit, slot_end - timedelta(seconds=slot_s), slot_end)
            flags |= Flag.UNCERTAIN
            visit.found("late_read", f"{int(late.total_seconds())} s after {slot_end.isoformat()}Z: hour uncertain")
        reads: list[MeterRead] = []
        for quantity, channel in _CHANNELS:
            suspect = await self._believed(visit, quantity, channel)
            if suspect is not None:
                reads.append(_read(visit, channel, slot_end, visit.values[quantity], flags | suspect))
        if not any(read.channel == Channel.IMPORT for read in reads):
            visit.found("not_available", "import_wh has no value that can be believed")
        return tuple(reads)

    async def _believed(self, visit: DlmsVisit, quantity: Quantity, channel: Channel) -> Flag | None:
        """The flag of a register; an implausible one is read again: the same is suspect, another one refused."""
        value = visit.values.get(quantity)
        if value is None:
            return None
        point, now, step_wh = visit.point, self._clock.now(), max(1, round(visit.scale(quantity)))
        verdict = self._watch.verdict(point, channel, value, now, step_wh=step_wh)
        if verdict:
            item = next(item for item in visit.driver.objects if item.quantity is quantity)
            name = Name(item.class_id, item.obis, item.attribute)
            again = (await visit.get([name]))[name]
            raw = again.value if isinstance(again, Data) and isinstance(again.value, int) else -1
            second = round(raw * visit.scale(quantity))
            if second < 0 or not 0 <= second - value <= point.max_power_w // 60 + step_wh:
                visit.found("unstable_value", f"{value} then {second} Wh: both refused")
                return None
            visit.found(verdict, f"{second} Wh: kept as suspect, confirm on site")
        self._watch.believe(point, channel, value, now)
        return Flag.SUSPECT if verdict else Flag.NONE

    async def _profile(self, visit: DlmsVisit, start: datetime, end: datetime) -> tuple[MeterRead, ...]:
        """Rows after ``start`` up to ``end`` that lie exactly on slot ends, each time once."""
        visit.kept.clear()  # the register that was looked at is none of these rows
        rows = await visit.rows(Quantity.IMPORT, start, end)
        inside = (rows.ends > np.datetime64(start, "ms")) & (rows.ends <= np.datetime64(end, "ms"))
        aligned = rows.ends.astype(np.int64) % (visit.point.slot_min * 60_000) == 0
        if stray := int((inside & ~aligned).sum()):
            visit.found("off_slot", f"{stray} rows lie between slot ends and are left out")
        ends, first = np.unique(rows.ends[inside & aligned], return_index=True)
        values = rows.values[inside & aligned][first]
        if twice := int((inside & aligned).sum()) - len(ends):
            visit.found("duplicate_row", f"{twice} rows repeat a time; the first of each is kept")
        flags, scale = Flag.BACKFILL | clock_flags(visit, stamps=True), visit.scale(Quantity.IMPORT)
        stamped: list[datetime] = ends.astype("datetime64[ms]").tolist()
        registers = [round(int(value) * scale) for value in values]
        good = [(at, wh) for at, wh in zip(stamped, registers, strict=True) if 0 <= wh < 1 << 63]
        if len(good) < len(registers):
            visit.found("negative_register", f"{len(registers) - len(good)} rows are left out")
        return tuple(_read(visit, Channel.IMPORT, at, wh, flags) for at, wh in good)


def clock_flags(visit: DlmsVisit, *, stamps: bool = False) -> Flag:
    """CLOCK when the device's clock is too far off (then its ``stamps`` are UNCERTAIN too), with one finding."""
    if visit.offset_s is None or abs(visit.offset_s) <= CLOCK_LIMIT_S:
        return Flag.NONE
    if all(finding.code != "clock_off" for finding in visit.findings):
        visit.found("clock_off", f"{visit.offset_s} s against ours, limit {CLOCK_LIMIT_S}: set the meter's clock")
    return Flag.CLOCK | Flag.UNCERTAIN if stamps else Flag.CLOCK


def _read(visit: DlmsVisit, channel: Channel, end: datetime, register_wh: int, flags: Flag) -> MeterRead:
    return MeterRead(visit.point.meter_id, channel, end, register_wh, int(flags), stored_offset(visit.offset_s))


class DlmsSwitch:
    """One disconnect control as ``FencedDrives`` asks for it: prepare, ACTION, read back, all in one association."""

    def __init__(self, visit: DlmsVisit, secrets: Secrets) -> None:
        """Nothing is sent yet."""
        self._visit = visit
        self._secrets = secrets

    async def prepare(self, order: Drive) -> str:
        """Identity, clock and relay; the reason why it must not be driven, "" when it may."""
        visit = self._visit
        if not visit.driver.switchable:
            return "read_only"
        try:
            await self._look_around()
        except WireRefusal as refusal:
            if refusal.reason in ("bad_auth", "no_secret", "unsupported_authentication"):
                return refusal.reason
            raise
        if visit.relay is None:
            return "read_only"
        if order.action == "disconnect":
            if visit.offset_s is None:
                return "no_clock"
            return "bad_time" if abs(visit.offset_s) > CLOCK_LIMIT_S else ""
        return "no_arm" if order.action == "arm" and visit.control_mode not in ARMING_MODES else ""

    async def _look_around(self) -> None:
        """Associate and read; on a connection that turns out to be dead once more: nothing was switched yet."""
        try:
            await self._visit.open(self._secrets)
            await self.read_back()
        except WireRefusal as refusal:
            if refusal.reason != "closed":
                raise
            await self._visit.open(self._secrets)
            await self.read_back()

    @property
    def state(self) -> RelayState:
        """What the last read-back said."""
        return self._visit.report().state

    async def write(self, order: Drive) -> None:
        """The ACTION, on the association in which the meter said who it is."""
        await self._visit.act(REMOTE_DISCONNECT if order.action == "disconnect" else REMOTE_RECONNECT)

    async def read_back(self) -> None:
        """Read identity, clock, relay and load."""
        await self._visit.look((Quantity.POWER,))
