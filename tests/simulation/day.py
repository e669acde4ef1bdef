"""A home, its field and a plan of kills go in; one simulated day is lived through, moment by moment, and told.

Two clocks: the field's stands still at each moment, so that it does not matter to a register when within a moment a
relay moved; the daemon's may be moved on by seconds, up to the next thing that a command waits for.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from control.payments.webhook import secret, sign
from control.records import Command, CommandState
from control.tables import TABLES
from sim.clock import TestClock
from sim.town import Town
from storage.store import Store
from tests.simulation import facts, homes
from tests.simulation.processes import DaemonProcess, Died, FieldProcess

READS, NOTICES, PAYMENTS = (timedelta(minutes=minute, seconds=35) for minute in (0, 10, 50))
"""Moments of an hour; at night nothing hangs on the time of a notice, so they go with the payments."""
DAYTIME = range(7, 16)
HOUR = timedelta(hours=1)
JOBS = ("cycle", "sweep", "notify", "publish")
QUIET_S, LIMIT_S, POLL_S = 0.5, 120.0, 0.03
MOVE_MOST = timedelta(seconds=100)
LIVE = ("requested", "authorised", "queued", "sent", "acknowledged", "unknown")


@dataclass(frozen=True, slots=True)
class Moment:
    """One standing time of the day."""

    number: int
    at: datetime
    paying: bool


@dataclass(frozen=True, slots=True)
class Due:
    """One payment that a provider will deliver until it hears 200."""

    number: str
    account: str
    amount: str


def moments(start: datetime, hours: int) -> list[Moment]:
    """Two for each hour, three by day."""
    times = [
        (start + timedelta(hours=hour) + offset, offset is PAYMENTS)
        for hour in range(hours)
        for offset in (READS, NOTICES, PAYMENTS)
        if offset is not NOTICES or hour % 24 in DAYTIME
    ]
    return [Moment(number, at, paying) for number, (at, paying) in enumerate(times)]


def payments(parts: homes.Cast, hour: int) -> list[Due]:
    """Who pays in which hour after midnight: somebody always, and those of the cast when their scene has come."""
    scenes = {
        8: [(parts.saved, "30.00")],
        11: [(parts.cut[0], "0.01")],
        12: [(parts.cut[0], "20.00"), (parts.cut[1], "15.00")],
        18: [(parts.cut[2], "10.00")],
    }
    due = [(parts.rest[hour % len(parts.rest)], "5.00"), *scenes.get(hour, [])]
    return [Due(f"pay-{hour:02d}-{number}", account, amount) for number, (account, amount) in enumerate(due)]


class Struck(Protocol):
    """The kills of one moment; see ``tests.simulation.killing``."""

    def acknowledged(self, number: str) -> None:
        """A payment was answered with 200."""

    def left(self) -> bool:
        """Whether a kill was still to come; it has come when this returns True."""

    def restart(self) -> None:
        """The daemon is dead: look at what it left and start it again."""


class Strikes(Protocol):
    """Who decides where the daemon dies."""

    def at(self, moment: Moment, day: "Day") -> Struck:
        """The kills of one moment, armed."""


@dataclass
class Day:
    """One run of the day; ``struck`` is asked at named points whether the daemon dies there."""

    root: Path
    town: Town
    hours: int
    struck: Strikes | None = None
    extra: homes.Extra = field(default_factory=homes.Extra)
    acknowledged: list[str] = field(default_factory=list)
    reads: float = 0
    walls: dict[int, float] = field(default_factory=dict)
    work: dict[int, float] = field(
        default_factory=dict
    )  # of each moment's wall time, until all jobs had had their turn
    done: bool = False
    changes: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)

    def live(self, each: "Callable[[Moment, Day], None]" = lambda moment, day: None) -> facts.Facts:
        """Live through the day and return its facts; ``each`` is called after every moment."""
        self.root.mkdir(parents=True)
        self.host_clock, self.field_clock = self.root / "host.clock", self.root / "field.clock"
        day = moments(self.town.start, self.hours)
        host = TestClock.start(self.host_clock, day[0].at)
        metal = TestClock.start(self.field_clock, day[0].at)
        self.field = FieldProcess(self.town.seed, len(self.town.sites), self.field_clock)
        home = homes.make(self.root / "h", self.town, self.field.addresses, self.host_clock, extra=self.extra)
        self.home = home.root
        self.daemon = DaemonProcess(home.root, self.host_clock)
        self.key = secret((home.secrets / "payments-webhook").read_text(encoding="ascii").strip())
        try:
            with Store.open(home.root, TABLES, clock=host, writer="none") as self.store:
                self.daemon.start()
                for moment in day:
                    metal.jump(moment.at)
                    host.jump(moment.at)
                    self._moment(moment, host)
                    each(moment, self)
            self.changes = self.field.order(do="relays")["changes"]
            assert self.daemon.stop()[0] == 0
        finally:
            self.daemon.kill()
            self.field.close()
        return facts.gather(home.root, self.host_clock)

    def _moment(self, moment: Moment, host: TestClock) -> None:
        """Live one moment to its end, restarting the daemon whenever it was killed."""
        start = time.monotonic()
        strikes = self.struck.at(moment, self) if self.struck else None
        due = payments(homes.cast(self.town), (moment.at - self.town.start) // HOUR) if moment.paying else []
        waiting = list(due)
        while True:
            try:
                self._settle(moment, host)
                while waiting:
                    self._pay(waiting[0], moment.at)
                    paid = waiting.pop(0)
                    if strikes:
                        strikes.acknowledged(paid.number)
                    self._settle(moment, host)
                if due:
                    self._count(due, moment.at)
                if strikes is None or not strikes.left():
                    break
            except Died:
                if strikes is None:
                    raise
            if strikes:
                strikes.restart()
        self.walls[moment.number] = time.monotonic() - start

    def _pay(self, due: Due, at: datetime) -> None:
        """Offer one payment once; whoever calls again offers the same bytes under the same key."""
        told = {"external_id": due.number, "account": due.account, "amount": due.amount, "currency": "CNY"}
        self._post("payment.posted", {**told, "paid_at": f"{at.isoformat()}Z"}, due.number, at)
        self.acknowledged.append(due.number)

    def _count(self, due: Sequence[Due], at: datetime) -> None:
        """Tell what was handed over in this hour: it must be what is there."""
        total = sum(Decimal(one.amount) for one in due)
        told = {"until": f"{at.isoformat()}Z", "count": len(due), "total": str(total)}
        self._post("channel.reconciled", told, f"count-{at.isoformat()}".replace(".", "-"), at)

    def _post(self, kind: str, told: Mapping[str, Any], number: str, at: datetime) -> None:
        """One signed message; 200 or an error of the test."""
        body = json.dumps({"type": kind, "data": told}).encode()
        headers = sign(self.key, f"m-{number}", at, body)
        status, answer = self.daemon.ask("POST", "/v1/payments/webhook", body, headers)
        assert status == 200, (status, answer)

    def _settle(self, moment: Moment, host: TestClock) -> None:
        """Wait until this moment's work is done; move the daemon's clock on to what a command waits for."""
        begin, self.done = time.monotonic(), False
        until, still, seen = begin + LIMIT_S, 0.0, None
        want = moment.at.replace(tzinfo=UTC).timestamp()
        while True:
            assert time.monotonic() < until, f"{moment.at} never settled: {self.daemon.said().decode()[-3000:]}"
            told = self.daemon.metrics()
            assert told["prewatt_reads_total"] >= self.reads, "accepted reads are gone"
            self.reads = told["prewatt_reads_total"]
            done = all(told.get(f'prewatt_job_seconds{{job="{job}"}}', 0) >= want for job in JOBS)
            if not done or told["prewatt_rating_waiting_batches"]:
                time.sleep(POLL_S)
                continue
            self.done = True
            self.work.setdefault(moment.number, time.monotonic() - begin)
            live = self.store.read(lambda reader: reader.find(Command, state__in=list(LIVE), order="command"))
            if not live:
                return
            state = [(c.command, c.state, c.next_at) for c in live]
            if state != seen:
                seen, still = state, time.monotonic()
            elif time.monotonic() - still > QUIET_S:
                goal = min(_next(command) for command in live)
                if goal > moment.at + MOVE_MOST:
                    return
                if goal > host.now():
                    host.jump(goal)
                seen = None
            time.sleep(POLL_S)


def _next(command: Command) -> datetime:
    """When the engine will look at a live command again."""
    if command.state is CommandState.SENT:
        return (command.sent_at or command.updated) + timedelta(seconds=31)
    return command.next_at or command.updated


def command_states(root: Path) -> Callable[[], set[str]]:
    """A quick look at the states of live commands, beside the daemon."""
    link = sqlite3.connect(f"file:{root / 'state.db'}?mode=ro", uri=True, isolation_level=None)
    marks = ",".join("?" * len(LIVE))
    return lambda: {row[0] for row in link.execute(f"SELECT state FROM commands WHERE state IN ({marks})", LIVE)}
