"""Meter points and slot ends go in, polls, relay reports and drive outcomes come out: one link to one Modbus gateway.

The rules: no retry here (the scheduler's), a doubtful connection is closed, the meter's identity is read in the same
session as its values, a value that cannot be is read once more and then refused or kept as suspect, a read is named
after its slot only near the slot's end, a relay is driven only with a higher fence, before its expiry and where its
state can be read back. Nothing that the wire says raises.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from ingest import drivers as installed
from ingest.errors import ProfileError, WireRefusal
from ingest.limits import LATE_SHARE
from ingest.links.connection import Connection
from ingest.links.fenced import FencedDrives
from ingest.links.rtuline import RtuConnection
from ingest.links.sunspec import SunSpecVisit
from ingest.links.sweep import Following, Sweep, Took
from ingest.links.turns import Turns
from ingest.links.visit import Visit, VisitSwitch
from ingest.model import Driver, ModbusDriver, Quantity, SunSpecDriver
from ingest.plan import Urgency
from ingest.ports import Clock, FenceStore, Transport
from ingest.quick import maker
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
from ingest.wire.modbus import Refusal
from ingest.wire.registers import step
from ingest.wire.sunspec import Place

_IMPORT, _POWER, _VOLTAGE, _RELAY = Quantity.IMPORT, Quantity.POWER, Quantity.VOLTAGE, Quantity.RELAY
_poll, _read = maker(Poll), maker(MeterRead)
_CHANNELS = ((Quantity.IMPORT, Channel.IMPORT), (Quantity.EXPORT, Channel.EXPORT))


@lru_cache(maxsize=1024)
def _counted(driver: ModbusDriver | SunSpecDriver) -> tuple[tuple[Quantity, Channel, int], ...]:
    """What the driver counts, with channel and resolution in Wh."""
    if isinstance(driver, SunSpecDriver):
        return tuple((quantity, channel, 1) for quantity, channel in _CHANNELS)
    known = {register.quantity: register for register in driver.registers}
    return tuple((q, channel, step(known[q])) for q, channel in _CHANNELS if q in known)


class ModbusLink:
    """``ingest.ports.Link`` for the meters behind one gateway, serial line or single meter that speaks Modbus.

    ``framing`` is ``tcp`` (also under TLS: that is the transport's) or ``rtu`` (serial ports, serial servers).
    ``depth`` visits run at a time (1: one after the other, what serial lines behind a gateway need; RTU is always 1),
    the most urgent caller first: a drive before a look at the relay before a poll; ``timeout_s`` replaces the drivers'
    own time-outs; ``late_s`` replaces the tolerance after a slot's end; ``gap_s`` is the silence between two requests.
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
        timeout_s: float | None = None,
        late_s: int | None = None,
        depth: int = 1,
        framing: str = "tcp",
        gap_s: float = 0.0,
        drivers: Mapping[str, Driver] | None = None,
    ) -> None:
        """Nothing is opened before the first call."""
        self.gateway = gateway
        self._clock = clock
        self.depth = depth if framing == "tcp" else 1
        self._connection: Connection | RtuConnection
        if framing == "tcp":
            self._connection = Connection(transport, host, port, gap_s=gap_s, pipelined=depth > 1)
        else:
            self._connection = RtuConnection(transport, host, port, gap_s=gap_s)
        self._timeout_s = timeout_s
        self._late_s = late_s
        self._turns = Turns(self.depth)
        self._drivers = drivers if drivers is not None else installed.drivers()
        self._watch = RegisterWatch()
        self._places: dict[int, Place] = {}
        self._tolerances: dict[int, timedelta] = {}
        self._fenced = FencedDrives(clock, fences)

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """Read identity, registers, load and relay in one session; the registers close the slot ``slot_end``."""
        async with self._turns.take(Urgency.SCHEDULED):
            visit = self._visit(point)
            reads: tuple[MeterRead, ...] = ()
            try:
                await visit.read()
                reads = await self._reads(visit, slot_end)
            except WireRefusal as refusal:
                visit.found(refusal.reason, str(refusal))
            return self._told(visit, reads)

    async def sweep(self, following: Following, took: Took, *, deadline_s: float) -> None:
        """Poll all that ``following`` names until None, ``depth`` at a time and without a task for each.

        ``took`` gets them as they are done; None instead of a poll: this one wants a ``poll`` of its own.
        """
        if isinstance(self._connection, Connection) and self._connection.sweeps:
            await Sweep(self, self._connection, self._turns, deadline_s).run(following, took)
        else:
            while (call := following()) is not None:
                await took([(call, None)])

    def visit(self, point: MeterPoint) -> Visit | None:
        """The visit of a sweep; None for meters whose visits take more than one exchange."""
        driver = self._drivers.get(point.model)
        if not isinstance(driver, ModbusDriver) or driver.gap_ms:
            return None
        timeout_s = self._timeout_s if self._timeout_s is not None else driver.timeout_s
        return Visit(self._connection, self._clock, self.gateway, point, driver, timeout_s)

    def judged(self, visit: Visit, slot_end: datetime, answers: Sequence[bytes] | Refusal) -> Poll | None:
        """The poll that a visit of a sweep became; None when a value must be read again before it is believed."""
        reads: tuple[MeterRead, ...] | None = ()
        try:
            if isinstance(answers, Refusal):
                raise WireRefusal(answers.reason, answers.detail)
            visit.take(answers)
            reads = self._plain(visit, slot_end)
        except WireRefusal as refusal:
            visit.found(refusal.reason, str(refusal))
        return None if reads is None else self._told(visit, reads)

    def _told(self, visit: Visit | SunSpecVisit, reads: tuple[MeterRead, ...]) -> Poll:
        values = visit.values
        return _poll(
            visit.point.meter,
            self._clock.now(),
            visit.serial,
            reads,
            visit.report() if _RELAY in values else None,
            values.get(_POWER),
            values.get(_VOLTAGE),
            None,
            tuple(visit.findings),
            values.get(_IMPORT),
            tuple(visit.raw),
        )

    def _plain(self, visit: Visit, slot_end: datetime) -> tuple[MeterRead, ...] | None:
        """``_reads`` where nothing is doubtful, so that no further request is needed; else None, and nothing noted."""
        now, point, values = self._clock.now(), visit.point, visit.values
        flags = 0 if self._in_time(point, slot_end, now) else int(self._slot_flags(visit, slot_end))
        rows: list[tuple[Channel, int, int]] = []
        for quantity, channel, step_wh in _counted(visit.driver):
            value = values.get(quantity)
            if value is None:
                break
            rows.append((channel, value, step_wh))
        else:
            if self._watch.plain(point, rows, now):
                return tuple([_read(point.meter_id, channel, slot_end, value, flags, 0) for channel, value, _ in rows])
        visit.findings.clear()
        return None

    def _in_time(self, point: MeterPoint, slot_end: datetime, now: datetime) -> bool:
        """Whether a read now counts for the slot that ended at ``slot_end``."""
        limit = self._tolerance(point.slot_min)
        return -limit <= now - slot_end <= limit

    def _tolerance(self, slot_min: int) -> timedelta:
        found = self._tolerances.get(slot_min)
        if found is None:
            limit_s = self._late_s if self._late_s is not None else slot_min * 60 // LATE_SHARE
            found = self._tolerances[slot_min] = timedelta(seconds=limit_s)
        return found

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        """These meters store no load profile: a finding says so, and no device is asked."""
        at = self._clock.now()
        detail = f"{point.model} stores no load profile; {start.isoformat()}Z to {end.isoformat()}Z stays a gap"
        finding = Finding("no_load_profile", at, point.meter, self.gateway, detail)
        return Poll(meter=point.meter, at=at, findings=(finding,))

    async def relay(self, point: MeterPoint) -> RelayReport:
        """What the relay and the load say now; ``unknown`` with the reason as source when the device says nothing."""
        async with self._turns.take(Urgency.ON_DEMAND):
            visit = self._visit(point)
            try:
                await visit.read((Quantity.RELAY, Quantity.POWER))
            except WireRefusal as refusal:
                return RelayReport(point.meter, self._clock.now(), RelayState.UNKNOWN, source=refusal.reason)
            return visit.report()

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        """Switch the relay, once: identity, lock, fence and expiry first, then the write, then its read-back."""
        async with self._turns.take(Urgency.COMMAND):
            visit = self._visit(point)
            if isinstance(visit, SunSpecVisit):
                return DriveOutcome(order.command, self._clock.now(), DriveResult.REFUSED, "read_only")
            return await self._fenced.run(order, VisitSwitch(visit))

    async def close(self) -> None:
        """Close the connection; the next call opens it again."""
        await self._connection.close()

    @property
    def dropped(self) -> Mapping[str, int]:
        """Answers that nobody waited for, by reason."""
        return self._connection.dropped

    def _visit(self, point: MeterPoint) -> Visit | SunSpecVisit:
        driver = self._drivers.get(point.model)
        if isinstance(driver, SunSpecDriver):
            timeout_s = self._timeout_s if self._timeout_s is not None else driver.timeout_s
            return SunSpecVisit(self._connection, self._clock, self.gateway, point, driver, timeout_s, self._places)
        if not isinstance(driver, ModbusDriver):
            raise ProfileError(f"meter {point.meter}: {point.model!r} is no Modbus driver; correct its master data")
        timeout_s = self._timeout_s if self._timeout_s is not None else driver.timeout_s
        return Visit(self._connection, self._clock, self.gateway, point, driver, timeout_s)

    async def _reads(self, visit: Visit | SunSpecVisit, slot_end: datetime) -> tuple[MeterRead, ...]:
        """The registers of the visit as reads, each checked against time and the last believed value."""
        flags = self._slot_flags(visit, slot_end)
        reads: list[MeterRead] = []
        for quantity, channel, step_wh in _counted(visit.driver):
            value = visit.values.get(quantity)
            if value is None:
                if quantity is Quantity.EXPORT and isinstance(visit.driver, SunSpecDriver):
                    continue  # most such meters count one way only
                visit.found("not_available", f"{quantity.value} has no value")
            elif (read := await self._believed(visit, quantity, channel, value, step_wh)) is not None:
                register_wh, suspect = read
                reads.append(MeterRead(visit.point.meter_id, channel, slot_end, register_wh, int(flags) | int(suspect)))
        return tuple(reads)

    def _slot_flags(self, visit: Visit | SunSpecVisit, slot_end: datetime) -> Flag:
        """UNCERTAIN for a read taken too long after its slot; a slot that lies ahead gives no read."""
        late, limit = self._clock.now() - slot_end, self._tolerance(visit.point.slot_min)
        if late < -limit:
            raise WireRefusal("early_read", f"slot {slot_end.isoformat()}Z has not ended")
        if late <= limit:
            return Flag.NONE
        detail = f"read {int(late.total_seconds())} s after {slot_end.isoformat()}Z: energy right, hour uncertain"
        visit.found("late_read", detail)
        return Flag.UNCERTAIN

    async def _believed(
        self, visit: Visit | SunSpecVisit, quantity: Quantity, channel: Channel, value: int, step_wh: int
    ) -> tuple[int, Flag] | None:
        """The value and its flag; an implausible one is read again: the same is suspect, another one is refused."""
        point = visit.point
        verdict = self._watch.verdict(point, channel, value, self._clock.now(), step_wh=step_wh)
        if not verdict and not self._asked_twice(visit, channel, value, step_wh):
            self._watch.believe(point, channel, value, self._clock.now())
            return value, Flag.NONE
        again = await visit.again(quantity)
        if again is None or again < 0:
            visit.found("unstable_value", f"{value} then {again} Wh: refused")
            return None
        follows = 0 <= again - value <= point.max_power_w // 60 + step_wh
        later = self._watch.verdict(point, channel, again, self._clock.now(), step_wh=step_wh)
        if not verdict and not follows and (later or not self._watch.knows(point, channel)):
            visit.found("unstable_value", f"{value} then {again} Wh: both refused")
            return None
        if not later:
            if verdict or not follows:
                visit.found("unstable_value", f"{value} then {again} Wh: the first is refused")
            self._watch.believe(point, channel, again, self._clock.now())
            return again, Flag.NONE
        if not follows:
            visit.found("unstable_value", f"{value} then {again} Wh: both refused")
            return None
        visit.found(verdict or later, f"{again} Wh: kept as suspect, confirm on site")
        self._watch.believe(point, channel, again, self._clock.now())
        return again, Flag.SUSPECT

    def _asked_twice(self, visit: Visit | SunSpecVisit, channel: Channel, value: int, step_wh: int) -> bool:
        """Whether a plausible value is read again: on a line without transaction ids the first one, or one that stands.

        An answer that lags behind by one request shows itself by the second.
        """
        if visit.connection.tagged:
            return False
        power_w = visit.values.get(Quantity.POWER) or 0
        now = self._clock.now()
        return self._watch.doubtful(visit.point, channel, value, now, power_w=abs(power_w), step_wh=step_wh)
