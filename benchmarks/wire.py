"""``python -m benchmarks.wire -o json``: from a payment to the reconnection on the wire, beside a city's hour.

Load: ``--rows`` accounts (the goal speaks of 100,000) with a meter each, polled, rated and decided on every hour; one
in ``DARK`` is cut off for want of money. The daemon is the real one: its web server on loopback, its store, cycle,
sweep, publishing and dispatch; only the wire is an answering one (``ANSWER_S`` a session), and an hour begins as soon
as the last is done. ``A_SECOND`` payments a second of those who are dark come as signed webhooks at fixed times, so
that one that waits delays no other, in ``quiet`` with no cycle beside them, in ``hour`` with two.

Told, in seconds: ``taken`` until the answer, which comes after the commit, and ``wire`` until the order is on the wire,
both from when the payment was due; ``command`` from the commit to the wire. The bar: p99 of ``command`` under 1 s.
"""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from benchmarks import cycle, cycle_load
from benchmarks.cycle_load import BEFORE, START, account, meter
from benchmarks.harness import Method, Options, Sample, main
from benchmarks.storms_town import Answering, Heard, Metal
from control import tables
from control.engine import Engine
from control.payments import webhook
from control.records import Evidence, Service, Wanted
from control.settings import Settings
from control.signals import Visit
from ingest.records import Drive, DriveOutcome, MeterPoint, MeterRead, Poll, RelayState
from prewatt.config import check
from prewatt.daemon import Daemon
from prewatt.home import Home
from prewatt.secrets import variable
from prewatt.wiring import Shell
from storage.records import Payment, Posting
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority

COMMAND_S = 1.0
DARK = 40
A_SECOND = 10.0
QUIET_S = 20.0
HOURS = 2
ANSWER_S = 0.005
KEY = "bench"
SECRET = b"a secret of the benchmark"
CONFIG = f"[http]\nport = 0\n[payments]\nwebhook_secrets = ['{KEY}']\n"
HOUR = timedelta(hours=1)
PAID_MICRO = 200_000_000


def prepare(options: Options) -> None:
    """A city with two days behind it, of which some are dark and owe."""
    home, clock = options.prepared / "home", cycle_load.Clock(START + timedelta(hours=BEFORE, minutes=2))
    with cycle._open(home, clock) as store:
        cycle.rated(store, clock, options.rows)
        store.write(Priority.BATCH, partial(_darken, rows=options.rows, now=clock.now()))


def _darken(unit: Unit, rows: int, now: datetime) -> None:
    """Cut off every so many: nothing left, the relay open and read back, its meter's number seen."""
    for number in range(DARK, rows + 1, DARK):
        owed = unit.balance(f"customer:{account(number)}") + 20_000_000
        legs = ((f"customer:{account(number)}", -owed), ("revenue:energy", owed))
        unit.post([Posting("fee", f"fee:{number}", name, micro, "CNY", now, now) for name, micro in legs])
        unit.put(Wanted(account(number), Service.DISCONNECTED, now, "exhausted"))
        unit.put(Evidence(meter(number), RelayState.OPEN, now, "read_back", 0))
        unit.put(Visit(meter(number), now, f"S{number}", 1_000, 0, 0, True))


class Running:
    """A clock that goes on by itself and can be set forward."""

    def __init__(self, at: datetime) -> None:
        """Start at ``at``."""
        self.start, self.began = at, time.monotonic()

    def now(self) -> datetime:
        """The time that it shows."""
        return self.start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    async def sleep(self, seconds: float) -> None:
        """Real time."""
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class Wire(Answering):
    """One gateway's answering wire: registers as everybody uses energy; it notes when each meter was ordered on."""

    rows: int = 0
    ordered: dict[str, float] = field(default_factory=dict)
    standing: dict[int, list[int]] = field(default_factory=dict)
    depth: int = 8

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """One session."""
        await asyncio.sleep(ANSWER_S)
        hour = (slot_end - START) // HOUR
        if hour not in self.standing:
            self.standing.clear()
            found = cycle_load.registers(1, self.rows + 1, hour, 1).column("register_wh").to_pylist()
            self.standing[hour] = found
        read = MeterRead(point.meter_id, 1, slot_end, self.standing[hour][point.meter_id - 1])
        report = self._report(point.meter)
        return Poll(point.meter, self.clock.now(), f"S{point.meter_id}", (read,), report, report.power_w, 230, 0)

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        """Obey, and note when it was on the wire."""
        self.ordered.setdefault(point.meter, time.perf_counter())
        return await Answering.drive(self, point, order)


class Paid(Engine):
    """The engine, which notes when each payment was committed."""

    committed: dict[str, float]

    async def pay(self, payment: Payment) -> Any:
        """Take it."""
        result = await super().pay(payment)
        self.committed[payment.account] = time.perf_counter()
        return result


@dataclass(slots=True)
class Payers:
    """Who pays: when each payment was due and when it was answered, by number of the account."""

    address: tuple[str, int]
    clock: Running
    due: dict[int, float] = field(default_factory=dict)
    taken: dict[int, float] = field(default_factory=dict)

    async def pay(self, number: int, at: float) -> None:
        """One payment that is due at ``at``, over a connection of its own."""
        self.due[number] = at
        message = {
            "type": "payment.posted",
            "data": {
                "external_id": f"P{number}", "account": account(number), "amount": f"{PAID_MICRO / 1e6:.2f}",
                "currency": "CNY", "paid_at": self.clock.now().isoformat(timespec="seconds") + "Z",
            },
        }  # fmt: skip
        body = json.dumps(message).encode()
        signed = webhook.sign(SECRET, f"P{number}", self.clock.now(), body)
        head = {"host": "x", "connection": "close", "content-length": str(len(body)), **signed}
        lines = ["POST /v1/payments/webhook HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write("\r\n".join(lines).encode() + body)
        answer = await reader.read()
        self.taken[number] = time.perf_counter()
        writer.close()
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the payment of {account(number)} was not taken: {answer.decode()}")


def _pays(hours: int, options: Options) -> Sample:
    home = options.scratch / "home"
    shutil.copytree(options.prepared / "home", home)
    os.environ[variable(KEY)] = SECRET.decode()
    clock = Running(START + timedelta(hours=BEFORE + 1, minutes=2))
    with Store.open(home, tables.TABLES, clock=clock) as store:
        store.write(Priority.BATCH, lambda unit: cycle_load.facts(unit, clock.now()))
        dark = {meter(number): RelayState.OPEN for number in range(DARK, options.rows + 1, DARK)}
        wire = Wire(clock, relays=dark, rows=options.rows)
        gateways = {f"G{number // 500}": wire for number in range(1, options.rows + 1)}
        settings = Settings(payment_channels={"webhook": True}, trust_clock=True)
        engine = Paid(
            store, clock, cycle_load.books(), cycle_load.policies(), gateways, {"file": Heard()},
            settings=settings, drivers={"dlms_generic": Metal()},
        )  # fmt: skip
        engine.committed = {}
        shell = Shell(check(CONFIG, Home(home)), store, clock, engine.books, engine.policies, _engine=[engine])
        began = time.perf_counter()
        payers, cycles = asyncio.run(_daemon(Daemon(shell), engine, clock, sorted(dark), hours))
        wall = time.perf_counter() - began
    order = [(number, wire.ordered[meter(number)], engine.committed[account(number)]) for number in payers.due]
    figures: dict[str, float] = {"payments": len(order), "cycle_s": max(cycles, default=0.0)}
    for name, values in (
        ("taken", [payers.taken[number] - payers.due[number] for number, _, _ in order]),
        ("wire", [at - payers.due[number] for number, at, _ in order]),
        ("command", [at - committed for _, at, committed in order]),
    ):
        figures |= {f"{name}_p50_s": float(np.quantile(values, 0.5)), f"{name}_p99_s": float(np.quantile(values, 0.99))}
        figures[f"{name}_max_s"] = max(values)
    return Sample(wall, None, figures)


async def _daemon(
    daemon: Daemon, engine: Engine, clock: Running, dark: list[str], hours: int
) -> tuple[Payers, list[float]]:
    """Run the daemon through its first hour, then let people pay for so many hours more; seconds of each."""
    running = asyncio.create_task(daemon.run())
    await daemon.ready.wait()
    await _until(engine, clock.now())
    payers, cycles = Payers(daemon.address, clock), list[float]()
    stop = asyncio.Event()
    paying = asyncio.create_task(_stream(payers, dark, stop))
    if not hours:
        await asyncio.sleep(QUIET_S)
    for _ in range(hours):
        began = time.perf_counter()
        clock.start += HOUR
        engine.wake()
        await _until(engine, clock.now())
        cycles.append(time.perf_counter() - began)
    stop.set()
    await paying
    for _ in range(100):
        if len(engine.committed) <= len(engine.links["G0"].ordered):  # type: ignore[attr-defined]
            break
        await asyncio.sleep(0.1)
    daemon.stop.set()
    await running
    return payers, cycles


async def _until(engine: Engine, at: datetime) -> None:
    """Until a cycle that was started at or after ``at`` is done."""
    while (ended := engine.turns().get("cycle")) is None or ended < at - timedelta(seconds=1):
        await asyncio.sleep(0.05)


async def _stream(payers: Payers, dark: list[str], stop: asyncio.Event) -> None:
    """One payment after the other, each in its time."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for turn, name in enumerate(dark):
            at = began + turn / A_SECOND
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            if stop.is_set():
                return
            tasks.create_task(payers.pay(int(name[1:]), at))


METHODS: Mapping[str, Method] = {"quiet": partial(_pays, 0), "hour": partial(_pays, HOURS)}


def bars(medians: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The goal, want beside got."""
    if (hour := medians.get("hour")) is None:
        return {}
    got = hour["figures"]["command_p99_s"]
    return {"command_p99_s": {"want": COMMAND_S, "got": got, "ok": got <= COMMAND_S}}


if __name__ == "__main__":
    main("benchmarks.wire", METHODS, floors={}, bars=bars, prepare=prepare, rows=20_000)
