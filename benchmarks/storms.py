"""An honest herd and a wrong tariff go over a city of 300,000 accounts for ten days; who was cut comes out as JSON.

``python -m benchmarks.storms -o json``. The herd: eight days of holiday in which two in a hundred run out of money and
nobody may be cut; on the first Monday after it the breaker trips, at 11:00 two persons release it, and what does not
fit into that day's window waits. The bug: a tariff eight times too dear for 27 in a hundred, from the first hour on and
for all ten days, so that notices are sent and forecasts are sealed; nobody releases or confirms anything. Cut by the
bug is whoever was cut with money left at the right tariff. The release: the same by a new version of the software, no
book changes. The rise: everybody's book is 15 % dearer, rightly, and two persons confirm it on the Monday after.
``--accounts 4000`` lets victims slip under the breaker's floor of twenty a day. See ``benchmarks.storms_town`` for what
is real.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.harness import commit, machine
from benchmarks.storms_town import (
    BEHIND_GATEWAY,
    BOOK,
    BOOK_FAULT,
    CODE_FAULT,
    DAY,
    FACTOR,
    HASH,
    MICRO,
    NEW_BOOK,
    NEW_HASH,
    RISE,
    Answering,
    Heard,
    Metal,
    People,
    StormEngine,
    fill,
    people,
)
from control import policy, pricebasis, tables
from control.assemble import World
from control.records import Action, Command, CommandState, Incident, Notice
from control.settings import Settings
from control.signals import BREAKER, Signal
from ingest.records import RelayState
from sim.loop import VirtualClock, VirtualLoop, run_virtual
from sim.observer import percentile
from storage.records import Payment
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority

START = datetime(2026, 10, 3)  # a Saturday in the October holiday; 08:00 in the city
BUG = datetime(2026, 10, 16)  # a Friday, with ordinary weeks after it
RELEASE = datetime(2026, 10, 12, 3)  # Monday after it, 11:00 there
ACCOUNTS, DAYS = 300_000, 10
HERD_PERCENT, WRONG_PERCENT = 2, 27
PERSONS = ("operator-1", "operator-2")
CONFIRMED = datetime(2026, 10, 19, 2)  # the Monday after the new prices
RISE_PERCENT = 15
HOURS = (1, 2, 3, 4, 5, 6, 7)  # UTC: nine to four in the city
LOOK_S = 300.0
PAYS_AFTER = timedelta(hours=2)
TOP_UP = 200 * MICRO


@dataclass(slots=True)
class Storm:
    """One storm: the city, its engine on virtual time, and the people around it."""

    title: str
    folk: People
    days: int
    release: datetime | None = None
    confirm: datetime | None = None  # two persons confirm the new prices
    hours: Sequence[int] = HOURS

    def live(self, home: Path) -> dict[str, Any]:
        """Fill the store, let the days pass, count."""
        loop = VirtualLoop()
        clock = VirtualClock(loop, self.folk.start)
        cpu, wall = time.process_time(), time.perf_counter()
        with Store.open(home, tables.TABLES, clock=clock, writer="inline", durable=False) as store:
            fill(store, self.folk)
            filled = time.perf_counter() - wall
            link = Answering(clock)
            engine = self.engine(store, clock, link)
            run_virtual(loop, self.pass_days(engine, link))
            found = self.figures(store, link)
        found |= {"filled_s": round(filled, 1), "wall_s": round(time.perf_counter() - wall, 1)}
        found["cpu_s"] = round(time.process_time() - cpu, 1)
        found["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
        return found

    def engine(self, store: Store, clock: VirtualClock, link: Answering) -> StormEngine:
        """The engine over links that answer."""
        settings = Settings(
            offload=False, idle_s=LOOK_S, notify_s=LOOK_S, publish_s=40 * 86_400, catalog=False, sweep_s=1800,
            payment_channels={"webhook": True}, notice_batch=1_000_000, command_batch=100_000,
        )  # fmt: skip
        gateways = {f"G{number}": link for number in range(len(self.folk.rate) // BEHIND_GATEWAY + 1)}
        made = StormEngine(
            store, clock, {}, policy.template("cn-remote"), gateways, {"file": Heard()},
            settings=settings, drivers={"storm": Metal()},
        )  # fmt: skip
        made.folk, made.window_h, made.released = self.folk, self.hours, self.release
        real = made.world
        made.world = lambda: _with_book(real())  # type: ignore[method-assign]
        made.dispatcher._world = made.world
        return made

    async def pass_days(self, engine: StormEngine, link: Answering) -> None:
        """Run the engine with the people around it."""
        stop = asyncio.Event()
        running = asyncio.ensure_future(engine.run(stop))
        paid: set[str] = set()
        end = self.folk.start + self.days * DAY
        while engine.now() < end and not running.done():
            await engine.clock.sleep(LOOK_S)
            await self.desk(engine)
            await self.customers(engine, link, paid)
        stop.set()
        await running

    async def desk(self, engine: StormEngine) -> None:
        """Reconcile the payment channel; from ``release`` on, two persons release the breaker and approve the batch."""
        await engine.signal("payments.webhook", "ok", "channel")
        if self.confirm is not None and engine.now() >= self.confirm:
            await engine.store.commit(Priority.COMMAND, lambda unit: _confirm(unit, engine.now()))
        if self.release is None or engine.now() < self.release:
            return
        tripped = engine.store.read(lambda reader: reader.get(Signal, BREAKER))
        if tripped is not None and tripped.value == "open":
            await engine.release(list(PERSONS))
        waiting = engine.store.read(lambda r: r.find(Command, state=CommandState.REQUESTED, needs_approval=True))
        for command in waiting:
            for person in PERSONS:
                await engine.approve(command.command, person)

    async def customers(self, engine: StormEngine, link: Answering, paid: set[str]) -> None:
        """Whoever was cut pays two hours later."""
        now = engine.now()
        for at, account, state in link.moves:
            if state is RelayState.OPEN and account not in paid and now - at >= PAYS_AFTER:
                paid.add(account)
                await engine.pay(Payment("webhook", f"p-{account}", account, TOP_UP, "CNY", now, now))

    def figures(self, store: Store, link: Answering) -> dict[str, Any]:
        """Who was cut, who waits, and how long coming back took."""
        opened = [(at, int(account)) for at, account, state in link.moves if state is RelayState.OPEN]
        by_bug = [n for at, n in opened if self.folk.wrong[n] and self.folk.truly_left(n, at) > 0]
        honest = [n for at, n in opened if self.folk.truly_left(n, at) <= 0]
        commands = store.read(lambda reader: reader.find(Command, requested__ge=self.folk.start))
        waits = sorted(
            (row.verified_at - row.clock_started).total_seconds()
            for row in commands
            if row.action is Action.CONNECT and row.verified_at is not None and row.clock_started is not None
        )
        trips = store.read(lambda reader: reader.find(Incident, kind="breaker_tripped", order="at"))
        cuts = [row for row in commands if row.action is Action.DISCONNECT]
        days: dict[str, int] = {}
        for at, _ in opened:
            days[f"{at:%Y-%m-%d}"] = days.get(f"{at:%Y-%m-%d}", 0) + 1
        return {
            "name": self.title,
            "accounts": len(self.folk.rate),
            "days": self.days,
            "rated_wrong": int(self.folk.wrong.sum()),
            "cut_by_the_bug": len(by_bug),
            "cut_rightly": len(honest),
            "cut_twice": len(opened) - len({n for _, n in opened}),
            "cut_by_day": days,
            "still_queued": sum(row.state not in _ENDED for row in cuts),
            "came_back": len(waits),
            "reconnect_p95_s": percentile(waits, 95),
            "told_to_stop": len({row.account for row in store.read(lambda reader: reader.find(Notice, code="stop"))}),
            "breaker_trips": [row.detail for row in trips],
            "ledger_sum": store.read(lambda reader: reader.ledger_sum()),
        }


_ENDED = frozenset(
    {
        CommandState.VERIFIED, CommandState.FAILED, CommandState.EXPIRED, CommandState.CANCELLED,
        CommandState.SUPERSEDED, CommandState.REFUSED,
    }
)  # fmt: skip


def _with_book(world: World) -> World:
    """The world with the town's books in force."""
    return replace(world, books={BOOK: HASH, NEW_BOOK: NEW_HASH})


def _confirm(unit: Unit, now: datetime) -> None:
    """Two persons vouch for every change that waits."""
    for change in pricebasis.open_changes(unit):
        pricebasis.confirm(unit, change, now, PERSONS)


def herd(accounts: int, days: int = DAYS, seed: int = 1, **given: Any) -> Storm:
    """Two in a hundred run out during a holiday."""
    folk = people(accounts, START, herd=accounts * HERD_PERCENT // 100, days=days, seed=seed)
    return Storm("herd", folk, days, RELEASE, **given)


def bug(
    accounts: int, days: int = DAYS, seed: int = 1, *, percent: int = WRONG_PERCENT, factor: int = FACTOR,
    fault: str = BOOK_FAULT, **given: Any,
) -> Storm:  # fmt: skip
    """So many in a hundred are rated so many times too dear; the days have six windows."""
    wrong = accounts * percent // 100
    folk = people(accounts, BUG, wrong=wrong, days=days, seed=seed, percent=factor * 100, fault=fault)
    return Storm("bug" if fault == BOOK_FAULT else "release", folk, days, **given)


def release(accounts: int, days: int = DAYS, seed: int = 1, **given: Any) -> Storm:
    """The same by a release of the software: no book changes, its code rates wrongly."""
    return bug(accounts, days, seed, fault=CODE_FAULT, **given)


def rise(accounts: int, days: int = DAYS, seed: int = 1, *, percent: int = RISE_PERCENT, **given: Any) -> Storm:
    """An honest price rise for everybody, confirmed by two persons on a Monday: cuts go on before and after."""
    folk = people(accounts, BUG, wrong=accounts, days=days, seed=seed, percent=100 + percent, fault=RISE)
    return Storm("rise", folk, days, confirm=CONFIRMED, **given)


STORMS = {made.__name__: made for made in (herd, bug, release, rise)}


def bars(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The goals, want beside got, of those storms that were run."""
    goals: dict[str, dict[str, Any]] = {}
    for name in ("bug", "release"):
        if name in found:
            wrong = found[name]["cut_by_the_bug"]
            goals[f"{name}_cut_wrongly"] = {"want": 0, "got": wrong, "ok": wrong == 0}
    if "herd" in found:
        last = max(found["herd"]["cut_by_day"], default="")
        told = last == f"{RELEASE:%Y-%m-%d}"
        goals["herd_after_release_only"] = {"want": f"{RELEASE:%Y-%m-%d}", "got": last, "ok": told}
    if "rise" in found:
        later = sum(count for day, count in found["rise"]["cut_by_day"].items() if day >= f"{CONFIRMED:%Y-%m-%d}")
        goals["cuts_after_an_honest_rise"] = {"want": "> 0", "got": later, "ok": later > 0}
    return goals


def main() -> None:
    """Parse the command line, run both storms, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storms")
    parser.add_argument("-o", "--output", choices=["json"], default="json")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(STORMS), action="append", help="may be repeated; else all")
    parser.add_argument("--percent", type=int, default=WRONG_PERCENT, help="of the accounts that are rated wrongly")
    parser.add_argument("--hours", default=",".join(map(str, HOURS)), help="UTC hours in which a pass decides")
    asked = parser.parse_args()
    hours = tuple(int(hour) for hour in asked.hours.split(","))
    found: dict[str, dict[str, Any]] = {}
    for name in asked.only or STORMS:
        given: dict[str, Any] = {"percent": asked.percent} if name in ("bug", "release") else {}
        storm = STORMS[name](asked.accounts, asked.days, asked.seed, hours=hours, **given)
        with tempfile.TemporaryDirectory(prefix="prewatt-storm-") as home:
            found[storm.title] = storm.live(Path(home))
        print(json.dumps({name: found[storm.title]}), file=sys.stderr, flush=True)
    report = {"schema": "prewatt.benchmark/1", "machine": machine(), "commit": commit(), "storms": found}
    print(json.dumps(report | {"bar": bars(found)}, indent=1))


if __name__ == "__main__":
    main()
