"""A test bench for the engine: a real store, scripted meters with fence, expiry and faults, accounts due to be cut.

``Rig`` makes a home in which every guard of account A1 holds at ``NOW`` (a Wednesday, 10:30 in Shanghai), so that each
test takes one thing away and sees what happens.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from control import policy, signals, tables
from control.assemble import World
from control.dispatch import Dispatcher
from control.engine import Engine
from control.policy import Policy
from control.ports import Channel
from control.records import Command, Evidence, Notice, SealedForecast, Service, Wanted
from control.settings import Settings
from control.signals import Signal, Visit
from ingest.records import (
    Drive,
    DriveOutcome,
    DriveResult,
    MeterPoint,
    MeterRead,
    Poll,
    RelayReport,
    RelayState,
)
from storage.records import Account, AccountState, Event, Install, Payment, Posting
from storage.store import Priority, Store
from storage.unit import Unit

NOW = datetime(2024, 5, 15, 2, 30)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CNY = 1_000_000
SETTINGS = Settings(payment_channels={"webhook": True})


class Crash(BaseException):
    """The process dies here."""


@dataclass(slots=True)
class HandClock:
    """A clock that tests set; ``sleep`` moves it."""

    at: datetime = NOW
    mono: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.mono

    async def sleep(self, seconds: float) -> None:
        self.forward(seconds)

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.mono += seconds


@dataclass(slots=True)
class FakeMeter:
    """The metal: a relay, a register, and a gateway that remembers the last fence."""

    serial: str = "S1"
    relay: RelayState = RelayState.CLOSED
    load_w: int = 400
    register_wh: int = 1_000_000
    fence: int = 0
    changes: list[tuple[RelayState, int]] = field(default_factory=list)
    told: RelayState | None = None

    @property
    def power_w(self) -> int:
        return self.load_w if self.relay is RelayState.CLOSED else 0


@dataclass(slots=True)
class FakeLink:
    """``ingest.ports.Link`` over scripted meters. ``faults`` by name:

    dead (nothing gets through), lost_request, lost_answer, stuck, lying, wrong_serial, no_relay_word, refuse:<reason>.
    """

    clock: HandClock
    meters: dict[str, FakeMeter]
    faults: set[str] = field(default_factory=set)
    drives: list[Drive] = field(default_factory=list)
    polls: int = 0
    reads_back: int = 0
    before_drive: Callable[[Drive], None] | None = None
    after_drive: Callable[[Drive], None] | None = None
    offset_s: int = 0

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        self.polls += 1
        if "dead" in self.faults:
            return Poll(point.meter, self.clock.now())
        meter = self.meters[point.meter]
        serial = "S999" if "wrong_serial" in self.faults else meter.serial
        read = MeterRead(point.meter_id, 1, slot_end, meter.register_wh)
        now = self.clock.now()
        return Poll(point.meter, now, serial, (read,), self._report(point.meter), meter.power_w, 230, self.offset_s)

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        return Poll(point.meter, self.clock.now())

    def _report(self, name: str) -> RelayReport:
        meter = self.meters[name]
        word = meter.told if "lying" in self.faults and meter.told is not None else meter.relay
        if "no_relay_word" in self.faults:
            word = RelayState.UNKNOWN
        return RelayReport(name, self.clock.now(), word, meter.power_w)

    async def relay(self, point: MeterPoint) -> RelayReport:
        self.reads_back += 1
        if "dead" in self.faults or "no_read_back" in self.faults:
            return RelayReport(point.meter, self.clock.now(), RelayState.UNKNOWN, source="timeout")
        return self._report(point.meter)

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        if self.before_drive is not None:
            self.before_drive(order)
        self.drives.append(order)
        outcome = self._drive(point, order)
        if self.after_drive is not None:
            self.after_drive(order)
        return outcome

    def _drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        now = self.clock.now()
        if "dead" in self.faults:
            return DriveOutcome(order.command, now, DriveResult.UNREACHABLE, "no_route")
        if "lost_request" in self.faults:
            return DriveOutcome(order.command, now, DriveResult.UNKNOWN, "timeout")
        refuse = next((fault for fault in sorted(self.faults) if fault.startswith("refuse:")), "")
        if refuse:
            return DriveOutcome(order.command, now, DriveResult.REFUSED, refuse.removeprefix("refuse:"))
        result = self.deliver(point.meter, order)
        if "lost_answer" in self.faults:
            return DriveOutcome(order.command, now, DriveResult.UNKNOWN, "timeout")
        return DriveOutcome(order.command, now, result)

    def deliver(self, name: str, order: Drive) -> DriveResult:
        """What reaches the meter, now or late: fence and expiry stand in front of the relay."""
        meter, now = self.meters[name], self.clock.now()
        if order.fence < meter.fence:
            return DriveResult.FENCED
        if now >= order.valid_until:
            return DriveResult.EXPIRED
        meter.fence = order.fence
        want = RelayState.OPEN if order.action == "disconnect" else RelayState.CLOSED
        if "lying" in self.faults:
            meter.told = want
        if "stuck" not in self.faults and "lying" not in self.faults and meter.relay is not want:
            meter.relay = want
            meter.changes.append((want, order.fence))
        return DriveResult.ACKNOWLEDGED

    async def close(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class FakeDriver:
    """A driver whose relay has a verified read-back."""

    name: str = "fake"
    protocol: str = "modbus"
    title: str = "fake"
    switchable: bool = True
    load_profile: bool = False
    max_power_w: int = 100_000
    proven: str = "unproven"


def residential(**changes: object) -> Policy:
    """The residential policy of cn-remote, one person's approval not needed."""
    return replace(policy.template("cn-remote")["residential"], **changes)  # type: ignore[arg-type]


def point(number: int) -> MeterPoint:
    return MeterPoint(number, f"M{number}", f"S{number}", "fake", "modbus", "G1", "host", 502, number)


def seed(unit: Unit, number: int) -> None:
    """One account that owes 10 CNY, was told everything in time, and hangs on a meter that was just visited."""
    name, meter = f"A{number}", f"M{number}"
    account = Account(
        name,
        "Li",
        "residential",
        "zj",
        "Asia/Shanghai",
        "CNY",
        phone="+8613800000000",
        collector="+8613900000000",
        contact_confirmed=NOW - 30 * DAY,
        agreement_from=NOW - 300 * DAY,
    )
    unit.put(account)
    unit.put(point(number))
    unit.put(Install(number, meter, name, f"S{number}", NOW - 200 * DAY, proved=NOW - 199 * DAY))
    legs = [
        Posting("opening", name, f"customer:{name}", 100 * CNY, "CNY", NOW - 20 * DAY, NOW - 20 * DAY),
        Posting("opening", name, "cash:opening", -100 * CNY, "CNY", NOW - 20 * DAY, NOW - 20 * DAY),
    ]
    unit.post(legs)
    unit.put(
        AccountState(
            name, 110 * CNY, NOW.replace(minute=0), NOW - 15 * DAY, 100 * CNY, 100 * CNY, NOW - 20 * DAY, 1, "hash-zj"
        )
    )
    unit.put(Evidence(meter, RelayState.CLOSED, NOW - HOUR, "read_back", 400))
    unit.put(Wanted(name, Service.CONNECTED, NOW - 200 * DAY))
    unit.put(Visit(meter, NOW - timedelta(minutes=20), f"S{number}", 999_000, 400, 0, True))
    unit.add(SealedForecast(name, NOW - 4 * DAY, NOW - DAY, NOW - 2 * DAY, "hash-zj"))
    for rung, ago in (("money.1", 5 * DAY), ("stop.1", 4 * DAY), ("final.1", 2 * HOUR)):
        at, to = NOW - ago, "+8613800000000"
        notice = Notice(f"n-{name}-{rung}", name, 1, rung, "customer", "file", to, "zh", rung[:-2], {}, at)
        unit.put(replace(notice, state="delivered", sent_at=at, delivered_at=at))


@dataclass(slots=True)
class Rig:
    """A home with ``accounts`` accounts, one link and one clock."""

    home: Path
    clock: HandClock = field(default_factory=HandClock)
    settings: Settings = SETTINGS
    rules: Policy = field(default_factory=residential)
    accounts: int = 1
    store: Store = field(init=False)
    link: FakeLink = field(init=False)

    def __post_init__(self) -> None:
        self.link = FakeLink(self.clock, {f"M{n}": FakeMeter(f"S{n}") for n in range(1, self.accounts + 1)})
        self.store = self.open()

        def fill(unit: Unit) -> None:
            for number in range(1, self.accounts + 1):
                seed(unit, number)
            self.facts(unit)

        self.store.write(Priority.BATCH, fill)

    def facts(self, unit: Unit) -> None:
        unit.put(Signal(signals.PAYMENTS + "webhook", "ok", self.clock.now()))

    def facts_now(self) -> None:
        """The payment channels were reconciled just now."""
        self.store.write(Priority.BATCH, self.facts)

    def open(self) -> Store:
        return Store.open(self.home, tables.TABLES, clock=self.clock, writer="inline", durable=False)

    def reopen(self) -> Store:
        """What a crash and a restart do to the store."""
        self.store.close()
        self.store = self.open()
        return self.store

    @property
    def meter(self) -> FakeMeter:
        return self.link.meters["M1"]

    @property
    def policies(self) -> Mapping[str, Policy]:
        return {"residential": self.rules}

    def world(self) -> World:
        return World(self.clock.now(), True, {"zj": "hash-zj"}, self.policies, self.settings, lambda _: True)

    def engine(self, **channels: Channel) -> Engine:
        """An engine on the rig's store; run its coroutines with ``play``."""
        drivers = {"fake": FakeDriver()}
        made = Engine(
            self.store,
            self.clock,
            {},
            self.policies,
            {"G1": self.link},
            channels,
            settings=self.settings,
            drivers=drivers,
        )
        made.world = self.world  # type: ignore[method-assign]
        made.dispatcher._world = self.world
        return made

    def dispatcher(self) -> Dispatcher:
        return Dispatcher(self.store, self.clock, {"G1": self.link}, self.world, lambda unit, told, world: None)

    def dispatch(self, turns: int = 1, pause_s: float = 0) -> int:
        """Run the dispatcher, with time going on between its turns."""
        done = 0
        for _ in range(turns):
            done += asyncio.run(self.dispatcher().run_once())
            self.clock.forward(pause_s)
        return done

    def put(self, *records: object) -> None:
        self.store.write(Priority.BATCH, lambda unit: [unit.put(record) for record in records])

    def get(self, record: type, *key: object) -> object:
        return self.store.read(lambda reader: reader.get(record, *key))

    def find(self, record: type, **conditions: object) -> list:  # type: ignore[type-arg]
        return self.store.read(lambda reader: reader.find(record, **conditions))

    def command(self) -> Command:
        """The newest command."""
        return self.commands()[-1]

    def events(self, code: str) -> list:  # type: ignore[type-arg]
        return self.find(Event, code=code)

    def commands(self) -> list[Command]:
        return self.store.read(lambda reader: reader.find(Command, order=("fence", "command")))

    def payment(self, amount: int = 50, external_id: str = "P1", **changes: object) -> Payment:
        base = Payment("webhook", external_id, "A1", amount * CNY, "CNY", self.clock.now(), self.clock.now())
        return replace(base, **changes)  # type: ignore[arg-type]
