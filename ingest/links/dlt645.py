"""Meter points and slot ends go in, polls, relay reports and drive outcomes come out: DL/T 645-2007 on one line.

The rules are those of every link: the meter says who it is in each answer, no retry here, a doubtful line is closed and
drained, a value that cannot be is read once more, a relay is driven only with a higher fence, before its expiry (which
travels in the order, so that a late one is harmless) and is read back by status word 3. Meters that hold the credit
themselves are never switched. Nothing that the wire says raises.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from ingest import drivers as installed
from ingest.errors import ProfileError, WireRefusal
from ingest.limits import CLOCK_LIMIT_S, LATE_SHARE, stored_offset
from ingest.links.dlt645_visit import Dlt645Visit
from ingest.links.fenced import FencedDrives
from ingest.links.line import Line
from ingest.links.turns import Turns
from ingest.model import Dlt645Driver, Driver, Quantity
from ingest.plan import Urgency
from ingest.ports import Clock, FenceStore, Transport
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
from ingest.wire import dlt645
from ingest.wire.dlt645 import Order

STEP_WH = 10
SAYS_NO = frozenset({"bad_password", "refused", "other", "no_data"})
_CHANNELS = ((Quantity.IMPORT, Channel.IMPORT), (Quantity.EXPORT, Channel.EXPORT))
_LOOK = (Quantity.IMPORT, Quantity.POWER, Quantity.VOLTAGE, Quantity.EXPORT)
"""What a visit reads; what a meter may lack comes last: a refusal names no identifier, so one that is late would do."""
_ORDERS = {"close": Order.CLOSE, "permit": Order.PERMIT}
TOLD: Mapping[str, Order] = {
    "alarm": Order.ALARM,
    "alarm-off": Order.ALARM_OFF,
    "keep-power": Order.KEEP_POWER,
    "keep-power-off": Order.KEEP_POWER_OFF,
}
"""Orders that move no relay, by the word that people use."""
Secrets = Callable[[str], bytes | None]


class Signer(Protocol):
    """The utility's key front end: signs an order for a meter with ESAM keys, None when it will not."""

    def sign(self, address: str, order: bytes) -> bytes | None: ...


class Dlt645Link:
    """``ingest.ports.Link`` for the DL/T 645 meters on one RS-485 line behind a serial server."""

    orders: Mapping[str, Order] = TOLD

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
        signer: Signer | None = None,
        timeout_s: float | None = None,
        late_s: int | None = None,
        drivers: Mapping[str, Driver] | None = None,
    ) -> None:
        """Nothing is opened before the first call."""
        self.gateway = gateway
        self._clock = clock
        self._line = Line(transport, host, port)
        self._secrets = secrets
        self._signer = signer
        self._timeout_s = timeout_s
        self._late_s = late_s
        self._turns = Turns(1)
        self._drivers = drivers if drivers is not None else installed.drivers()
        self._watch = RegisterWatch()
        self._fenced = FencedDrives(clock, fences, says_no=SAYS_NO)

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """Read registers, load, clock and relay; the registers close the slot ``slot_end``."""
        async with self._turns.take(Urgency.SCHEDULED):
            visit = self._visit(point)
            reads: tuple[MeterRead, ...] = ()
            try:
                await visit.look(_LOOK)
                reads = await self._reads(visit, slot_end)
            except WireRefusal as refusal:
                visit.found(refusal.reason, str(refusal))
            return Poll(
                meter=point.meter,
                at=self._clock.now(),
                serial=visit.serial,
                reads=reads,
                relay=visit.report() if visit.status is not None else None,
                power_w=visit.values.get(Quantity.POWER),
                voltage_v=visit.values.get(Quantity.VOLTAGE),
                offset_s=visit.offset_s,
                findings=tuple(visit.findings),
                register_wh=visit.values.get(Quantity.IMPORT),
                raw=tuple(visit.raw),
            )

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        """The standard's load records are not read: a finding says so, and no device is asked."""
        at = self._clock.now()
        detail = f"{point.model} has no load profile; {start.isoformat()}Z to {end.isoformat()}Z stays a gap"
        return Poll(
            meter=point.meter, at=at, findings=(Finding("no_load_profile", at, point.meter, self.gateway, detail),)
        )

    async def relay(self, point: MeterPoint) -> RelayReport:
        """What the relay and the load say now; ``unknown`` with the reason as source when the device says nothing."""
        async with self._turns.take(Urgency.ON_DEMAND):
            visit = self._visit(point)
            try:
                await visit.look((Quantity.POWER,), clock=False)
            except WireRefusal as refusal:
                return RelayReport(point.meter, self._clock.now(), RelayState.UNKNOWN, source=refusal.reason)
            return visit.report()

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        """Switch once: status, clock, fence and expiry first, then function 1C, then status word 3 again."""
        async with self._turns.take(Urgency.COMMAND):
            return await self._fenced.run(order, Dlt645Switch(self._visit(point), self._secrets, self._signer))

    async def tell(self, point: MeterPoint, order: Order, until: datetime) -> str:
        """Alarm and keep-power orders (2A, 2B, 3A, 3B): "" when the meter took it, else why not.

        They move no relay and need no fence; the relay's own orders are refused here.
        """
        if order not in TOLD.values():
            return "not_here"
        async with self._turns.take(Urgency.COMMAND):
            switch = Dlt645Switch(self._visit(point), self._secrets, self._signer)
            try:
                return await switch.ready() or await switch.send(order, until)
            except WireRefusal as refusal:
                return refusal.reason

    async def close(self) -> None:
        """Close the line; the next call opens it again."""
        await self._line.close()

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames and bytes that answered nothing we asked, by kind."""
        return self._line.dropped

    def _visit(self, point: MeterPoint) -> Dlt645Visit:
        driver = self._drivers.get(point.model)
        if not isinstance(driver, Dlt645Driver):
            raise ProfileError(f"meter {point.meter}: {point.model!r} is no DL/T 645 driver; correct its master data")
        timeout_s = self._timeout_s if self._timeout_s is not None else driver.timeout_s
        return Dlt645Visit(self._line, self._clock, self.gateway, point, driver, timeout_s)

    async def _reads(self, visit: Dlt645Visit, slot_end: datetime) -> tuple[MeterRead, ...]:
        flags = self._slot_flags(visit, slot_end)
        reads: list[MeterRead] = []
        for quantity, channel in _CHANNELS:
            value = visit.values.get(quantity)
            if value is not None and (believed := await self._believed(visit, quantity, channel, value)) is not None:
                register_wh, suspect = believed
                offset_s = stored_offset(visit.offset_s)
                reads.append(
                    MeterRead(visit.point.meter_id, channel, slot_end, register_wh, int(flags | suspect), offset_s)
                )
        return tuple(reads)

    def _slot_flags(self, visit: Dlt645Visit, slot_end: datetime) -> Flag:
        """CLOCK and UNCERTAIN by the clock and by how late it is; a slot that lies ahead gives no read."""
        late = self._clock.now() - slot_end
        slot_s = visit.point.slot_min * 60
        limit = timedelta(seconds=self._late_s if self._late_s is not None else slot_s // LATE_SHARE)
        if late < -limit:
            raise WireRefusal("early_read", f"slot {slot_end.isoformat()}Z has not ended")
        flags = Flag.NONE
        if visit.offset_s is not None and abs(visit.offset_s) > CLOCK_LIMIT_S:
            visit.found("clock_off", f"{visit.offset_s} s against ours, limit {CLOCK_LIMIT_S}: set the meter's clock")
            flags |= Flag.CLOCK
        if late > limit:
            visit.found("late_read", f"{int(late.total_seconds())} s after the slot: energy right, hour uncertain")
            flags |= Flag.UNCERTAIN
        return flags

    async def _believed(
        self, visit: Dlt645Visit, quantity: Quantity, channel: Channel, value: int
    ) -> tuple[int, Flag] | None:
        """The value and its flag; an implausible one is read again: the same is suspect, another one is refused."""
        point, now = visit.point, self._clock.now()
        verdict = self._watch.verdict(point, channel, value, now, step_wh=STEP_WH)
        if verdict:
            again = await visit.read_one(quantity)
            if again is None or not 0 <= again - value <= point.max_power_w // 60 + STEP_WH:
                visit.found("unstable_value", f"{value} then {again} Wh: both refused")
                return None
            visit.found(verdict, f"{again} Wh: kept as suspect, confirm on site")
            value = again
        self._watch.believe(point, channel, value, now)
        return value, Flag.SUSPECT if verdict else Flag.NONE


class Dlt645Switch:
    """One relay as ``FencedDrives`` asks for it: prepare, function 1C, read back."""

    def __init__(self, visit: Dlt645Visit, secrets: Secrets, signer: Signer | None) -> None:
        """Nothing is sent yet."""
        self._visit = visit
        self._secrets = secrets
        self._signer = signer
        self._password = ""
        self._generation = 0

    async def prepare(self, order: Drive) -> str:
        """Password, status and clock; the reason why the relay must not be driven, "" when it may."""
        visit = self._visit
        if not visit.driver.switchable:
            return "read_only"
        if reason := await self.ready():
            return reason
        if visit.status is not None and visit.status.holds_credit:
            return "holds_credit"
        if order.action == "disconnect":
            return "" if abs(visit.offset_s or 0) <= CLOCK_LIMIT_S else "bad_time"
        return ""

    async def ready(self) -> str:
        """Read status and clock, find the password or the signer: the reason why not, "" when an order may leave."""
        if len(self._visit.point.serial) != 12:
            return "no_address"
        if self._visit.driver.signed and self._signer is None:
            return "no_signer"
        if not self._visit.driver.signed:
            secret = self._secrets(self._visit.point.secret)
            if secret is None:
                return "no_secret"
            self._password = secret.decode("ascii", "replace")
            if len(self._password) != 6 or not self._password.isdecimal():
                return "bad_secret"
        await self.read_back()
        self._generation = self._visit.line.generation
        return "" if self._visit.offset_s is not None else "no_clock"

    @property
    def state(self) -> RelayState:
        """What the last read-back said."""
        return self._visit.report().state

    async def write(self, order: Drive) -> None:
        """Send the order on the very connection on which the meter answered."""
        reconnect = Order.PERMIT if order.action == "arm" else _ORDERS[self._visit.driver.closes]
        code = Order.TRIP if order.action == "disconnect" else reconnect
        if reason := await self.send(code, order.valid_until):
            raise WireRefusal(reason, f"order {code:02x}")

    async def send(self, code: Order, until: datetime) -> str:
        """One order with its expiry in the meter's own time: "" when the meter took it, else its no."""
        visit = self._visit
        expires = visit.local(until + timedelta(seconds=visit.offset_s or 0))
        control = dlt645.Control(code, expires, self._password or "000000", visit.driver.level, visit.driver.operator)
        frame = control.frame(visit.point.serial)
        if visit.driver.signed and self._signer is not None:
            signed = self._signer.sign(visit.point.serial, frame.data[8:])
            if signed is None:
                return "no_signer"
            frame = frame._replace(data=signed)
        answer = await visit.ask(frame, generation=self._generation)
        return dlt645.fault_of(answer) if answer.refused else ""

    async def read_back(self) -> None:
        """Read status word 3, the clock and the load."""
        await self._visit.look((Quantity.POWER,))
