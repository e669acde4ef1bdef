"""A seed and a number of accounts go in, a home that has lived for sixteen days comes out, with its engine and clock.

Everything passes through the product's own store, rater, payments, notices and journal; only the time stands still
between steps, and relays are stated instead of driven, because pages only look.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from control import assemble, commands, fences, journal, settle, signals, visits
from control.assemble import World
from control.engine import Engine
from control.policy import template
from control.ports import Delivery
from control.records import Action, Command, Evidence, Hold, Notice, Service
from control.settings import Settings
from control.signals import Signal
from control.tables import TABLES
from control.tiles import tile
from ingest.records import MeterRead, RelayState
from prewatt.actions import actions
from prewatt.config import load
from prewatt.console.source import Source
from prewatt.founding import found
from prewatt.home import Home
from prewatt.output import plain
from prewatt.progress import silent
from prewatt.remembering import remember
from prewatt.wiring import Shell
from sim.customers import load_of, mix
from sim.town import ZONE, Site, Town, TownPlan, build, daily_micro
from storage.records import Payment
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority
from tariff import book as books

HOUR = timedelta(hours=1)
DAYS, LIVE_H = 16, 38  # 38 hours before the end the engine begins to decide
NOW = "now.txt"
NOON = timedelta(hours=14, minutes=5)
EVERY = {"stale": (23, 3), "pending": (14, 5), "grace": (21, 9), "disconnected": (40, 16), "reconnecting": (110, 20)}
PLAN = TownPlan(books=(("large", "demo"), ("", "zhejiang-residential")))


@dataclass(slots=True)
class StillClock:
    """``ingest.ports.Clock`` that stands until it is moved; ``monotonic`` moves with it, so that it seems sound."""

    at: datetime
    start: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - self.start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class AtOnce:
    """A channel that delivers every notice at once."""

    name = "sms"

    async def send(self, notice: Notice, now: datetime) -> str:
        return notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        return Delivery("delivered", now)


@dataclass(slots=True)
class Lived:
    """The home after its sixteen days; close ``store`` when done."""

    town: Town
    store: Store
    engine: Engine
    clock: StillClock

    @property
    def source(self) -> Source:
        """The console's source on it, with the product's own actions."""
        return source_of(self.store, self.engine)

    def tile(self, account: str) -> str:
        """The account's tile now."""
        world = self.engine.world()
        case = self.store.read(lambda reader: assemble.case(reader, account, world))
        assert case is not None
        return tile(case, world.policies[case.klass])

    def pick(self, state: str) -> str:
        """An account that was put into ``state``."""
        return next(s.account.account for s in self.town.sites if fate(s) == state)


def fate(site: Site) -> str:
    """What becomes of a customer on the last day: one of ``EVERY``, or "" for whatever the money says."""
    if site.protected:
        return ""
    found = [state for state, (every, rest) in EVERY.items() if site.number % every == rest]
    return found[0] if found else ""


async def live(home: Path, accounts: int, *, seed: int = 7) -> Lived:
    """Found the town, read and rate it, let the engine warn, and put some relays where pages can show them."""
    town = build(seed, accounts, plan=PLAN)
    store, engine, clock = opened(home, town.start, writer="inline")
    lived = Lived(town, store, engine, clock)
    store.write(Priority.BATCH, lambda unit: _master(unit, town))
    end = town.start + timedelta(days=DAYS) + NOON
    pays = sorted((p for s in town.sites for p in _payments(s, town.start, end)), key=lambda p: (p.at, p.external_id))
    await _days(lived, pays, end - LIVE_H * HOUR)
    await _hours(lived, pays, end)
    clock.at = end
    (home / NOW).write_text(end.isoformat(), encoding="utf-8")
    store.write(Priority.COMMAND, lambda unit: _strike_all(unit, town, engine))
    return lived


def opened(home: Path, at: datetime, *, writer: Literal["thread", "inline"]) -> tuple[Store, Engine, StillClock]:
    """The home's store and its engine, at a time that stands."""
    clock = StillClock(at)
    store = Store.open(home, TABLES, clock=clock, writer=writer, durable=False)
    shipped = {name: books.load(books.shipped_text(name), name) for name in books.shipped() if "london" not in name}
    settings = Settings(
        offload=False,
        payment_channels={"wallet": True},
        routes=dict.fromkeys(("customer", "second", "collector", "meter"), "sms"),
    )
    engine = Engine(store, clock, shipped, dict(template("cn-remote")), {}, {"sms": AtOnce()}, settings=settings)
    return store, engine, clock


def source_of(store: Store, engine: Engine) -> Source:
    """The console's source; its actions are the command line's, on this engine."""
    root = Home(store.home)
    if not root.config.exists():
        found(root, name="demo-town", zone=ZONE, currency="CNY", book="demo", template="cn-remote")
    config = load(root)
    remember(store, config, engine.books, engine.policies, actor="town")
    shell = Shell(config, store, engine.clock, engine.books, engine.policies, _engine=[engine])

    async def do(name: str, args: Mapping[str, Any], person: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = plain(await actions()[name](shell.as_actor(person, silent), args))
        return answer

    return Source(store, engine.books, engine.world, do, "demo-town", ZONE, simulated=True, links=lambda: (7, 8))


def _master(unit: Unit, town: Town) -> None:
    for site in town.sites:
        unit.add(site.account)
        unit.add(site.point)
        unit.add(site.install)
        if site.protected:
            unit.add(Hold(f"h-{site.account.account}", site.account.account, "protected", "municipality", town.start))


def _payments(site: Site, start: datetime, end: datetime) -> list[Payment]:
    """An opening payment, and another as soon as it would run out, except by those who are to be struck."""
    day = daily_micro(site.shape, site.percent) * (2 if site.shape == "plant" else 1)
    first = day * (6 + mix(site.number, 1) % 7)
    rows = [_payment(site, "opening", first, start)]
    if fate(site) in ("pending", "disconnected", "grace"):
        return [_payment(site, "opening", day * (36 + mix(site.number, 9) % 12) // 4, start)]
    at = start + timedelta(minutes=first * 1440 // day)
    number = 1
    while at < end:
        amount = day * (3 + mix(site.number, number, 2) % 5)
        rows.append(_payment(site, str(number), amount, at))
        at += timedelta(minutes=amount * 1440 // day + mix(site.number, number, 5) % 700)
        number += 1
    return rows


def _payment(site: Site, number: str, amount_micro: int, at: datetime) -> Payment:
    amount = amount_micro // 1_000_000 * 1_000_000
    return Payment("wallet", f"{site.number}-{number}", site.account.account, amount, "CNY", at, at)


async def _pay(lived: Lived, pays: list[Payment], until: datetime) -> None:
    while pays and pays[0].at <= until:
        day = [p for p in pays if p.at <= pays[0].at + timedelta(hours=3)]
        del pays[: len(day)]
        lived.clock.at = max(lived.clock.at, day[-1].at)
        lived.store.write(Priority.MONEY, partial(_settle, day, lived.engine.world()))


def _settle(day: list[Payment], world: World, unit: Unit) -> None:
    for payment in day:
        settle.settle(unit, payment, world)


def _reads(lived: Lived, start: datetime, end: datetime, registers: dict[int, int]) -> list[MeterRead]:
    """One register an hour and meter in (start, end]; outages of gateways and silent meters leave some out."""
    found = []
    for site in lived.town.sites:
        load = load_of(site.shape, seed=lived.town.seed, customer=site.number, percent=site.percent)
        hour = start
        while hour + HOUR <= end:
            hour += HOUR
            register = registers.get(site.number, 0) + load(hour - HOUR)
            registers[site.number] = register
            left = (lived.town.start + timedelta(days=DAYS) + NOON - hour) / HOUR
            number = int(hour.timestamp()) // 3600
            silent = (fate(site) == "stale" and left < 10) or mix(site.number, number, 7) % 190 == 0
            outage = (
                mix(int(site.point.gateway[-2:]), site.point.port, number // 2) % 11 == 0
                and mix(site.number, number) % 100 < 60
            )
            if not silent and not (outage and left < 30):
                found.append(MeterRead(site.point.meter_id, 1, hour, register))
    return found


_REGISTERS: dict[str, dict[int, int]] = {}


async def _days(lived: Lived, pays: list[Payment], until: datetime) -> None:
    """Read, pay and rate without deciding anything."""
    registers = _REGISTERS.setdefault(str(lived.store.home), {})
    top = until.replace(minute=0)
    first = [MeterRead(s.point.meter_id, 1, lived.town.start, 0) for s in lived.town.sites]
    await lived.engine.inbox.accept("field", "first", first, lived.clock.at)
    await lived.engine.inbox.accept("field", "days", _reads(lived, lived.town.start, top, registers), top)
    await _pay(lived, pays, until)
    lived.clock.at = until
    await lived.engine.rate()


async def _hours(lived: Lived, pays: list[Payment], end: datetime) -> None:
    """The last hours as they came: payments, reads, rating, warnings."""
    registers = _REGISTERS.pop(str(lived.store.home))
    at = lived.clock.at.replace(minute=0)
    while at < end.replace(minute=0):
        step = min(at + 9 * HOUR, end.replace(minute=0))
        await _pay(lived, pays, step)
        lived.clock.at = max(lived.clock.at, step + timedelta(minutes=5))
        await lived.engine.inbox.accept("field", f"{step}", _reads(lived, at, step, registers), lived.clock.at)
        now = lived.clock.at
        fact = Signal(f"{signals.PAYMENTS}wallet", "ok", now, "town")
        lived.store.write(Priority.COMMAND, lambda unit, fact=fact: unit.put(fact))  # type: ignore[misc]
        await lived.engine.rate()
        await lived.engine.decide()
        await lived.engine.notify()
        lived.clock.at += timedelta(minutes=1)
        await lived.engine.notify()
        at = step


def _strike_all(unit: Unit, town: Town, engine: Engine) -> None:
    for site in town.sites:
        if fate(site):
            _strike(unit, site, engine)


def _strike(unit: Unit, site: Site, engine: Engine) -> None:
    """Put one relay, or one command, where a page can show it."""
    now, name, meter, state = engine.now(), site.account.account, site.point.meter, fate(site)
    if state == "pending":
        journal.request(unit, _command(unit, site, now, waits=True), now)
    elif state in ("disconnected", "reconnecting"):
        since = now - timedelta(minutes=95)
        if state == "disconnected":
            journal.want(unit, name, Service.DISCONNECTED, since, "exhausted")
        visits.observe(unit, Evidence(meter, RelayState.OPEN, since, "read_back", power_w=0))
    if state == "reconnecting":
        journal.reconnect(unit, name, meter, now, reason="payment", policy_version="", clock=now)
    if state == "stale":
        unit.event("work_order", now, name, order=f"w-{name}", kind="on_site_check", cause="no reads")


def _command(unit: Unit, site: Site, now: datetime, *, waits: bool) -> Command:
    return commands.make(
        Action.DISCONNECT,
        account=site.account.account,
        meter=site.point.meter,
        fence=fences.following(unit, site.point.meter),
        at=now - timedelta(minutes=site.number % 50),
        decision=f"d-{site.number}",
        policy_version="cn-remote",
        reason="exhausted",
        needs_approval=waits,
    )
