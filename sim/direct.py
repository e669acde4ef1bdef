"""Meter points and slot ends go in, polls, relay reports and drive outcomes come out: a link that skips the wire.

It answers where ``ingest.ports.Link`` asks, from the same ``SimMeter`` and with the same faults of the same network, so
that a town of many thousands fits an afternoon. What it leaves out is bytes: frames, codecs, associations. Fences,
expiry and read-back are the product's own (``ingest.links.fenced``). A test holds it against the wire, seed by seed.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from ingest.errors import WireRefusal
from ingest.limits import CLOCK_LIMIT_S, LATE_SHARE
from ingest.links.fenced import FencedDrives
from ingest.links.sweep import Done, Following, Took
from ingest.links.turns import Turns
from ingest.model import Driver, ModbusDriver, Quantity
from ingest.plan import Due, Urgency
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
from ingest.wire.registers import step
from sim.logicaldevice import MAINS_V
from sim.meters import SimMeter
from sim.network import SimNetwork
from sim.relays import Cause

TOGETHER = 12
"""Visits of a sweep that share one wait: some seconds of a line at most, which a command waits for."""
_STATES = {"disconnect": RelayState.OPEN, "connect": RelayState.CLOSED}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a kind of meter answers: exchanges of a visit and of a look, register steps in Wh, clock and profile."""

    visit: int  # exchanges before the values stand
    after: int  # exchanges that follow and cost nothing but time when they fail
    steps: tuple[tuple[Channel, int], ...]
    clock: bool
    causes: Mapping[str, str]  # action -> what the relay's own record says


_REMOTE = {"disconnect": Cause.REMOTE_DISCONNECT.value, "connect": Cause.REMOTE_RECONNECT.value}
DLMS = Manner(visit=2, after=1, steps=((Channel.IMPORT, 1),), clock=True, causes=_REMOTE)
"""AARQ, GET with list; RLRQ."""


def manner_of(driver: Driver) -> Manner:
    """What the driver's own link would ask, counted in exchanges."""
    if not isinstance(driver, ModbusDriver):
        return DLMS
    known = {register.quantity: step(register) for register in driver.registers}
    channels = ((Quantity.IMPORT, Channel.IMPORT), (Quantity.EXPORT, Channel.EXPORT))
    steps = tuple((channel, known[quantity]) for quantity, channel in channels if quantity in known)
    return Manner(visit=1, after=0, steps=steps, clock=False, causes=dict.fromkeys(_STATES, "modbus"))


@dataclass(slots=True)
class DirectLink:
    """``ingest.ports.Link`` for the meters behind one gateway of a virtual network; ``meters`` by meter number.

    ``clock`` is the host's, which may be wrong; ``truth`` is the time that devices live in.
    """

    clock: Clock
    truth: Clock
    network: SimNetwork
    host: str
    meters: Mapping[str, SimMeter]
    drivers: Mapping[str, Driver]
    fences: FenceStore
    gateway: str
    timeout_s: float = 4.0
    depth: int = TOGETHER  # visits that the poller leaves to ``sweep`` at a time
    _line: Turns = field(default_factory=Turns)
    _units: dict[str, Turns] = field(default_factory=dict)
    _manners: dict[str, Manner] = field(default_factory=dict)
    _fenced: FencedDrives = field(init=False)
    _opened: bool = False

    def __post_init__(self) -> None:
        """Nothing is opened before the first call."""
        self._fenced = FencedDrives(self.clock, self.fences, says_no=frozenset({"keep_power"}))

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """Read identity, registers, load and relay; the registers close ``slot_end``."""
        manner = self.manner(point)
        async with self.turn(point, manner, Urgency.SCHEDULED):
            poll = self._told(point, slot_end, await self.pass_time(manner.visit))
            if poll.ok and manner.after:
                await self.pass_time(manner.after)
            return poll

    async def sweep(self, following: Following, took: Took, *, deadline_s: float) -> None:
        """Poll all that ``following`` names, one after the other; ``TOGETHER`` of them share one wait.

        No visit comes near ``deadline_s``: each of its few exchanges ends within ``timeout_s``. Whoever comes after a
        visit that found the link down is handed back unasked.
        """
        del deadline_s
        while calls := list(islice(iter(following, None), TOGETHER)):
            await took(await self._round(calls))

    async def _round(self, calls: Sequence[Due]) -> list[Done]:
        """Visit some meters in one turn: each visit's time passes by the faults, all values stand at the end."""
        mine: list[Turns] = []
        try:
            for call in calls:
                line = self._line_of(call.point, self.manner(call.point))
                if line not in mine:
                    await line.wait(Urgency.SCHEDULED)
                    mine.append(line)
            whys, waited = [], 0.0
            for call in calls:
                why, visit_s = self._passage(self.manner(call.point).visit)
                whys.append(why)
                waited += visit_s
                if why == "unreachable":
                    break
                if not why:
                    waited += self._passage(self.manner(call.point).after)[1]
            await self.clock.sleep(waited)
            if self.host in self.network.faults.down and whys[0] != "unreachable":
                self._opened, whys = False, ["closed"]
            asked = [(call, self._told(call.point, call.slot_end, why)) for call, why in zip(calls, whys, strict=False)]
            return [*asked, *((call, None) for call in calls[len(asked) :])]
        finally:
            for line in mine:
                line.give_back()

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        """The registers of all slots that end after ``start`` and up to ``end``, from the meter's own load profile."""
        manner = self.manner(point)
        if not manner.clock:
            at = self.clock.now()
            detail = f"{point.model} stores no load profile"
            return Poll(point.meter, at, findings=(Finding("no_load_profile", at, point.meter, self.gateway, detail),))
        async with self.turn(point, manner, Urgency.SCHEDULED):
            why = await self.pass_time(manner.visit + 3)  # captured objects, period, buffer
            metal = self.meters[point.meter]
            if why := why or self.refused(point, metal):
                return self._silent(point, why)
            metal.advance(self.truth.now())
            return self._poll(point, metal, self._rows(point, metal, start, end))

    async def relay(self, point: MeterPoint) -> RelayReport:
        """What the relay and the load say now; ``unknown`` with the reason as source when nothing comes."""
        manner = self.manner(point)
        async with self.turn(point, manner, Urgency.ON_DEMAND):
            why = await self.pass_time(manner.visit)
            metal = self.meters[point.meter]
            if why := why or self.refused(point, metal):
                return RelayReport(point.meter, self.clock.now(), RelayState.UNKNOWN, source=why)
            metal.advance(self.truth.now())
            return self._report(point, metal)

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        """Switch once: fence and expiry first, then the order, then its read-back."""
        manner = self.manner(point)
        async with self.turn(point, manner, Urgency.COMMAND):
            return await self._fenced.run(order, DirectSwitch(self, point, manner))

    async def close(self) -> None:
        """The next call opens again."""
        self._opened = False

    def manner(self, point: MeterPoint) -> Manner:
        """How the meter's model answers."""
        known = self._manners.get(point.model)
        if known is None:
            known = self._manners[point.model] = manner_of(self.drivers[point.model])
        return known

    def turn(self, point: MeterPoint, manner: Manner, urgency: Urgency) -> AbstractAsyncContextManager[None]:
        """A serial line serves one after the other, a concentrator one visit per device."""
        return self._line_of(point, manner).take(urgency)

    def _line_of(self, point: MeterPoint, manner: Manner) -> Turns:
        return self._units.setdefault(point.meter, Turns()) if manner.clock else self._line

    async def pass_time(self, exchanges: int) -> str:
        """Let so many exchanges pass by the network's faults; "" or why they ended early."""
        why, waited = self._passage(exchanges)
        await self.clock.sleep(waited)
        if why != "unreachable" and self.host in self.network.faults.down:
            self._opened = False
            return "closed"
        return why

    def _passage(self, exchanges: int) -> tuple[str, float]:
        """How so many exchanges end by the network's faults ("" is well), and after how many seconds."""
        network, waited = self.network, 0.0
        if not self._opened:
            waited = network.latency()
            if self.host in network.faults.down:
                return "unreachable", waited
            self._opened = True
        for _ in range(exchanges):
            answered_s = network.exchange().answered_s
            if answered_s is None or answered_s > self.timeout_s:
                self._opened = False
                return "timeout", waited + self.timeout_s
            waited += answered_s
        return "", waited

    @staticmethod
    def refused(point: MeterPoint, metal: SimMeter) -> str:
        """What the meter's own faults make of a visit."""
        if "dead" in metal.faults:
            return "timeout"
        return "wrong_unit" if "wrong_unit" in metal.faults or metal.serial != point.serial else ""

    def _told(self, point: MeterPoint, slot_end: datetime, why: str) -> Poll:
        """What a visit that ended with ``why`` gives."""
        metal = self.meters[point.meter]
        why = why or self.refused(point, metal)
        return self._silent(point, why) if why else self._seen(point, metal, slot_end)

    def _silent(self, point: MeterPoint, why: str) -> Poll:
        at, reason = self.clock.now(), "unreachable" if why == "closed" else why
        return Poll(point.meter, at, findings=(Finding(reason, at, point.meter, self.gateway, why),))

    def _seen(self, point: MeterPoint, metal: SimMeter, slot_end: datetime) -> Poll:
        """The registers as reads of ``slot_end``; taken too late, the profile's row instead, or an uncertain hour."""
        manner, now = self.manner(point), self.clock.now()
        metal.advance(self.truth.now())
        found: list[Finding] = []
        flags, late, off_s = Flag.NONE, now - slot_end, self.off_s(metal) if manner.clock else 0
        if abs(off_s) > CLOCK_LIMIT_S:
            flags = Flag.CLOCK
            found.append(Finding("clock_off", now, point.meter, self.gateway, f"{off_s} s against ours"))
        if late > timedelta(minutes=point.slot_min) / LATE_SHARE:
            if manner.clock and not flags:
                start = slot_end - timedelta(minutes=point.slot_min)
                return self._poll(point, metal, self._rows(point, metal, start, slot_end))
            flags |= Flag.UNCERTAIN
            found.append(Finding("late_read", now, point.meter, self.gateway, f"{late} after its slot"))
        shown = metal.register_wh
        reads = tuple(
            MeterRead(point.meter_id, channel, slot_end, _down(shown, size, channel), int(flags), off_s)
            for channel, size in manner.steps
        )
        return self._poll(point, metal, reads, tuple(found))

    def _rows(self, point: MeterPoint, metal: SimMeter, start: datetime, end: datetime) -> tuple[MeterRead, ...]:
        """The meter's stored hours that end after ``start`` and up to ``end``, by the device's own stamps."""
        shift, off_s = timedelta(hours=round(metal.skew_s / 3600)), self.off_s(metal)
        first = bisect_right(metal.profile, start - shift, key=lambda row: row[0])
        last = bisect_right(metal.profile, end - shift, key=lambda row: row[0])
        flags = Flag.BACKFILL | (Flag.CLOCK | Flag.UNCERTAIN if abs(off_s) > CLOCK_LIMIT_S else Flag.NONE)
        return tuple(
            MeterRead(point.meter_id, Channel.IMPORT, at + shift, wh, int(flags), off_s)
            for at, wh in metal.profile[first:last]
        )

    def off_s(self, metal: SimMeter) -> int:
        """The device's clock against the host's."""
        return round((metal.device_time(self.truth.now()) - self.clock.now()).total_seconds())

    def _report(self, point: MeterPoint, metal: SimMeter) -> RelayReport:
        """The relay's word and the load."""
        return RelayReport(point.meter, self.clock.now(), metal.reported_relay, metal.power_w(self.truth.now()))

    def _poll(
        self, point: MeterPoint, metal: SimMeter, reads: tuple[MeterRead, ...], findings: tuple[Finding, ...] = ()
    ) -> Poll:
        manner, relay = self.manner(point), self._report(point, metal)
        off_s = self.off_s(metal) if manner.clock else None
        shown = _down(metal.register_wh, manner.steps[0][1], Channel.IMPORT)
        return Poll(point.meter, relay.at, metal.serial, reads, relay, relay.power_w, MAINS_V, off_s, findings, shown)


def _down(wh: int, size: int, channel: Channel) -> int:
    """What a register of this resolution shows; nobody feeds in here."""
    return wh // size * size if channel is Channel.IMPORT else 0


class DirectSwitch:
    """One relay as ``FencedDrives`` asks for it."""

    def __init__(self, link: DirectLink, point: MeterPoint, manner: Manner) -> None:
        """Nothing is sent yet."""
        self._link, self._point, self._manner = link, point, manner
        self._metal = link.meters[point.meter]
        self._state = RelayState.UNKNOWN

    async def prepare(self, order: Drive) -> str:
        """Identity, clock and relay; the reason why it must not be driven, "" when it may."""
        await self._look(self._manner.visit)
        if order.action not in _STATES:
            return "no_arm"
        off = self._manner.clock and abs(self._link.off_s(self._metal)) > CLOCK_LIMIT_S
        return "bad_time" if order.action == "disconnect" and off else ""

    @property
    def state(self) -> RelayState:
        """What the last read-back said."""
        return self._state

    async def write(self, order: Drive) -> None:
        """The order itself: it may arrive not at all, once or twice, and its answer may be lost."""
        link, metal = self._link, self._metal
        passage = link.network.exchange()
        if link.host in link.network.faults.down:
            raise WireRefusal("unreachable", "the connection ended before the order was sent")
        await link.clock.sleep(passage.arrives_s)
        reaches = link.host not in link.network.faults.down
        state = _STATES[order.action]
        for _ in range(passage.copies if reaches else 0):
            if metal.keep_power and state is RelayState.OPEN:
                raise WireRefusal("keep_power", "the meter keeps its power on")
            metal.switch(state, link.truth.now(), self._manner.causes[order.action])
        left = link.timeout_s if passage.answered_s is None else min(passage.answered_s, link.timeout_s)
        await link.clock.sleep(max(0.0, left - passage.arrives_s))
        if not reaches or passage.answered_s is None or passage.answered_s > link.timeout_s:
            raise WireRefusal("timeout" if reaches else "closed", "no answer to the order")

    async def read_back(self) -> None:
        """Ask relay and load once more."""
        await self._look(1)

    async def _look(self, exchanges: int) -> None:
        why = await self._link.pass_time(exchanges)
        why = why or self._link.refused(self._point, self._metal)
        if why:
            raise WireRefusal("unreachable" if why == "closed" else why, "nothing certain came back")
        self._metal.advance(self._link.truth.now())
        self._state = self._metal.reported_relay
