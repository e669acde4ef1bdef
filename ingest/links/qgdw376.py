"""Measuring points of a terminal go in, polls, relay reports and drive outcomes come out: Q/GDW 376.1, dialled in.

The rules are those of every link: who answers is held against master data, no retry here, a value that cannot be is
read once more, a register that the terminal read too long ago closes no slot, the breaker is tripped only where its
read-back was verified on site, with a higher fence, and with a time tag that makes a late order void. Keep power,
arrears alarm and purchase control count only when the terminal's state says so afterwards.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from ingest import drivers as installed
from ingest.errors import ProfileError, WireRefusal
from ingest.limits import CLOCK_LIMIT_S, LATE_SHARE, stored_offset
from ingest.links.dialin import DialIn, Session
from ingest.links.fenced import FencedDrives
from ingest.links.qgdw376_reports import Reports
from ingest.links.qgdw376_switch import Secrets, TerminalSwitch
from ingest.links.qgdw376_visit import TerminalVisit
from ingest.links.turns import Turns
from ingest.model import Driver
from ingest.plan import Urgency
from ingest.ports import Clock, FenceStore
from ingest.records import (
    Channel,
    Drive,
    DriveOutcome,
    Finding,
    Flag,
    MeterPoint,
    MeterRead,
    Poll,
    RelayReport,
    RelayState,
)
from ingest.registerwatch import RegisterWatch
from ingest.terminalmodel import TerminalDriver
from ingest.wire import qgdw376_items as items
from ingest.wire import qgdw376_orders as orders
from ingest.wire.modbus import Refusal
from ingest.wire.qgdw376_orders import Order

EARLY_S = 90
MOST_DAYS = 31
"""Daily freezes that one call asks for."""
SAYS_NO = frozenset({"device_denied"})
CUT_BY_THEMSELVES = frozenset({Order.PURCHASE})
"""Orders after which a terminal cuts by a credit of its own, past every guard here."""
_TOLD: Mapping[Order, Callable[[items.ControlState, int], bool]] = {
    Order.KEEP_POWER: lambda state, _: state.keep_power,
    Order.KEEP_POWER_OFF: lambda state, _: not state.keep_power,
    Order.ALARM: lambda state, _: state.alarm,
    Order.ALARM_OFF: lambda state, _: not state.alarm,
    Order.PURCHASE: lambda state, group: group in state.purchase,
    Order.PURCHASE_OFF: lambda state, group: group not in state.purchase,
}
"""What the terminal's control state (F5) must say after each order."""


class TerminalLink:
    """``ingest.ports.Link`` for the measuring points of one terminal that dials in."""

    orders: Mapping[str, Order] = {order.name.lower().replace("_", "-"): order for order in _TOLD}
    """Orders by the word that people use."""

    def __init__(
        self,
        clock: Clock,
        hub: DialIn,
        terminal: str,
        *,
        gateway: str,
        fences: FenceStore,
        secrets: Secrets,
        timeout_s: float | None = None,
        wait_s: float = 2.0,
        drivers: Mapping[str, Driver] | None = None,
    ) -> None:
        """``hub`` expects the terminal from now on; it listens from the first call. ``wait_s``: for it to dial in."""
        self.gateway = gateway
        self._clock = clock
        self._hub = hub
        self._terminal = terminal
        self._secrets = secrets
        self._timeout_s = timeout_s
        self._wait_s = wait_s
        self._turns = Turns(1)
        self._drivers = drivers if drivers is not None else installed.drivers()
        self._watch = RegisterWatch()
        self._fenced = FencedDrives(clock, fences, says_no=SAYS_NO)
        self._permitted: set[str] = set()
        self._reports = Reports()
        self._expected = True
        hub.expect(terminal)

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """Registers, load, clock and control state; the registers close the slot ``slot_end``."""
        async with self._turns.take(Urgency.SCHEDULED):
            visit = await self._visit(point)
            if isinstance(visit, Refusal):
                return self._empty(point, visit)
            self._reports.take(self._hub.reports(self._terminal))
            reads: tuple[MeterRead, ...] = ()
            try:
                await visit.look()
                self._watched(visit)
                reads = await self._reads(visit, slot_end)
            except WireRefusal as refusal:
                visit.found(refusal.reason, str(refusal))
            load = visit.load
            volts = next((v for v in load.voltages_dv if v), None) if load is not None else None
            return Poll(
                meter=point.meter,
                at=self._clock.now(),
                serial=visit.serial,
                reads=reads,
                relay=visit.report() if visit.outputs is not None else None,
                power_w=load.power_w if load is not None else None,
                voltage_v=None if volts is None else round(volts / 10),
                offset_s=visit.offset_s,
                findings=(*visit.findings, *(self._hub.news() if reads else ())),
                register_wh=next((r.register_wh for r in reads if r.channel == Channel.IMPORT), None),
                raw=tuple(visit.raw),
                unasked=self._reports.raw(),
            )

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        """The registers in (``start``, ``end``] that the terminal reported, and at midnights its daily freezes."""
        async with self._turns.take(Urgency.BACKFILL):
            visit = await self._visit(point)
            if isinstance(visit, Refusal):
                return self._empty(point, visit)
            reads: list[MeterRead] = []
            try:
                await visit.look()
                self._reports.take(self._hub.reports(self._terminal))
                reads += self._reports.reads(visit, start, end)
                known = {read.end for read in reads}
                for midnight in _midnights(visit, start, end):
                    if visit.utc(midnight) not in known:
                        reads += await self._frozen(visit, midnight)
            except WireRefusal as refusal:
                visit.found(refusal.reason, str(refusal))
            return Poll(point.meter, self._clock.now(), visit.serial, tuple(reads), findings=tuple(visit.findings))

    async def relay(self, point: MeterPoint) -> RelayReport:
        """What the terminal holds tripped, and the load; ``unknown`` with the reason when it says nothing."""
        async with self._turns.take(Urgency.ON_DEMAND):
            visit = await self._visit(point)
            try:
                if isinstance(visit, Refusal):
                    raise WireRefusal(visit.reason, visit.detail)
                await visit.look()
            except WireRefusal as refusal:
                return RelayReport(point.meter, self._clock.now(), RelayState.UNKNOWN, source=refusal.reason)
            self._watched(visit)
            return visit.report()

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        """Trip (F1) or permit (F2) once: clock, state, fence and expiry first, then the order, then F6 again."""
        async with self._turns.take(Urgency.COMMAND):
            return await self._fenced.run(order, self._switch(point))

    async def tell(
        self, point: MeterPoint, order: Order, until: datetime, *, half_hours: int = 0, cuts_by_itself: bool = False
    ) -> str:
        """Keep power, arrears alarm, purchase control: "" when the terminal's state shows it, else why not.

        ``until`` makes a late order void; ``half_hours`` bounds a keep-power order (0: until it is lifted). The
        breaker's own orders are refused here: they need a fence; those of ``cuts_by_itself`` need a person's word.
        """
        if order not in _TOLD:
            return "not_here"
        if order in CUT_BY_THEMSELVES and not cuts_by_itself:
            return "cuts_by_itself"
        async with self._turns.take(Urgency.COMMAND):
            switch = self._switch(point)
            data = orders.keep_power(half_hours) if order is Order.KEEP_POWER else b""
            try:
                if reason := await switch.ready():
                    return reason
                await switch.send(order, until, data)
                await switch.visit.look_at_control()
            except WireRefusal as refusal:
                return refusal.reason
            state = switch.visit.state
            if state is None:
                return "no_read_back"
            return "" if _TOLD[order](state, switch.visit.driver.group) else "not_in_force"

    async def close(self) -> None:
        """End the terminal's session, and listen no more when nobody else needs to; the next call expects it again."""
        if self._expected:
            self._expected = False
            await self._hub.forget(self._terminal)

    async def _visit(self, point: MeterPoint) -> TerminalVisit | Refusal:
        driver = self._drivers.get(point.model)
        if not isinstance(driver, TerminalDriver):
            raise ProfileError(f"meter {point.meter}: {point.model!r} is no terminal driver; correct its master data")
        session = await self._session()
        if isinstance(session, Refusal):
            return session
        timeout_s = self._timeout_s if self._timeout_s is not None else driver.timeout_s
        permitted = point.meter in self._permitted
        return TerminalVisit(session, self._clock, self.gateway, point, driver, timeout_s, permitted=permitted)

    async def _session(self) -> Session | Refusal:
        if not self._expected:
            self._expected = True
            self._hub.expect(self._terminal)
        return await self._hub.session(self._terminal, self._wait_s)

    def _watched(self, visit: TerminalVisit) -> None:
        """Load after a permission means that the person has closed the breaker."""
        if visit.load is not None and visit.load.power_w:
            self._permitted.discard(visit.point.meter)
            visit.permitted = False

    def _switch(self, point: MeterPoint) -> TerminalSwitch:
        return TerminalSwitch(lambda: self._visit(point), self._secrets, self._permitted)

    async def _reads(self, visit: TerminalVisit, slot_end: datetime) -> tuple[MeterRead, ...]:
        flags = Flag.NONE
        if abs(visit.offset_s or 0) > CLOCK_LIMIT_S:
            visit.found(
                "clock_off", f"{visit.offset_s} s against ours, limit {CLOCK_LIMIT_S}: set the terminal's clock"
            )
            flags |= Flag.CLOCK
        reads: list[MeterRead] = []
        for fn, channel in ((visit.driver.import_fn, Channel.IMPORT), (visit.driver.export_fn, Channel.EXPORT)):
            found = await visit.register(fn) if fn else None
            if found is None or found.total_wh is None or found.at is None:
                if channel is Channel.IMPORT:
                    raise WireRefusal("not_available", f"F{fn} p{visit.point.unit} holds no value")
                continue
            late = _lateness(visit, found.at, slot_end)
            believed = await self._believed(visit, fn, channel, found.total_wh)
            if believed is not None:
                value, suspect = believed
                marks = int(flags | late | suspect)
                offset_s = stored_offset(visit.offset_s)
                reads.append(MeterRead(visit.point.meter_id, channel, slot_end, value, marks, offset_s))
        return tuple(reads)

    async def _believed(self, visit: TerminalVisit, fn: int, channel: Channel, value: int) -> tuple[int, Flag] | None:
        """The value and its flag; an implausible one is read again: the same is suspect, another one is refused."""
        point, now = visit.point, self._clock.now()
        verdict = self._watch.verdict(point, channel, value, now)
        if verdict:
            found = await visit.register(fn)
            again = None if found is None else found.total_wh
            if again is None or not 0 <= again - value <= point.max_power_w // 60 + 1:
                visit.found("unstable_value", f"{value} then {again} Wh: both refused")
                return None
            visit.found(verdict, f"{again} Wh: kept as suspect, confirm on site")
            value = again
        self._watch.believe(point, channel, value, now)
        return value, Flag.SUSPECT if verdict else Flag.NONE

    async def _frozen(self, visit: TerminalVisit, midnight: datetime) -> list[MeterRead]:
        """What was frozen when the day before ``midnight`` (local) ended; read by the terminal on the next day only."""
        day, reads = midnight - timedelta(days=1), list[MeterRead]()
        for fn, channel in (
            (visit.driver.import_daily_fn, Channel.IMPORT),
            (visit.driver.export_daily_fn, Channel.EXPORT),
        ):
            found = await visit.frozen(fn, day) if fn else None
            if found is None or found.total_wh is None:
                continue
            if found.day != day or found.at is None or not midnight <= found.at < midnight + timedelta(days=1):
                visit.found("off_slot", f"freeze of {found.day} read at {found.at}, wanted {day:%Y-%m-%d}: left out")
                continue
            end = visit.utc(midnight)
            reads.append(MeterRead(visit.point.meter_id, channel, end, found.total_wh, int(Flag.BACKFILL)))
        return reads

    def _empty(self, point: MeterPoint, refusal: Refusal) -> Poll:
        at = self._clock.now()
        return Poll(point.meter, at, findings=(Finding(refusal.reason, at, point.meter, self.gateway, refusal.detail),))


def _lateness(visit: TerminalVisit, at: datetime, slot_end: datetime) -> Flag:
    """UNCERTAIN for a register read somewhat after the slot's end; one read before it closes no slot.

    The terminal tells the minute only, so that a read in the slot's last minute looks up to a minute early.
    """
    slot_s = visit.point.slot_min * 60
    late_s = (visit.read_at(at) - slot_end).total_seconds()
    if late_s < -EARLY_S:
        raise WireRefusal("stale_value", f"the terminal read it {-late_s:.0f} s before the slot ended")
    if late_s > slot_s // LATE_SHARE:
        visit.found("late_read", f"{late_s:.0f} s after the slot: energy right, hour uncertain")
        return Flag.UNCERTAIN
    return Flag.NONE


def _midnights(visit: TerminalVisit, start: datetime, end: datetime) -> list[datetime]:
    """Local midnights in (``start``, ``end``], oldest first."""
    first = visit.local(start).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [first + timedelta(days=n) for n in range(MOST_DAYS + 1)]
    return [day for day in days if start < visit.utc(day) <= end][:MOST_DAYS]
