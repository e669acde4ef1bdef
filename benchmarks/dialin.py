"""Simulated terminals in another process dial in here, what it costs to log them in and to poll them comes out.

``python -m benchmarks.dialin -o json --rows 1000``. A poll is the product's whole visit of a Q/GDW 376.1 terminal: six
requests (clock, control state, outputs, load, two registers), one after the other on its own connection.
"""

import asyncio
import multiprocessing
import time
from datetime import UTC, datetime, timedelta

from benchmarks.collect import NoFences
from benchmarks.harness import Options, Sample, main
from ingest.links.dialin import DialIn
from ingest.links.door import Limits, TcpListener
from ingest.links.qgdw376 import TerminalLink
from ingest.plan import slot_floor
from ingest.records import MeterPoint, Poll
from sim.caller import Caller
from sim.meters import SimMeter
from sim.terminal import Terminal

REGION = "0200"
LOAD_W = 1200
ROUNDS = 3


class HostTime:
    """``ingest.ports.Clock`` of this host."""

    def now(self) -> datetime:
        """Naive UTC."""
        return datetime.now(UTC).replace(tzinfo=None)

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """As asyncio does."""
        await asyncio.sleep(seconds)


def devices(port: int, count: int) -> None:
    """Terminals that call ``port`` until the process is ended."""
    clock = HostTime()
    start = slot_floor(clock.now(), 60)

    async def forever() -> None:
        for number in range(1, count + 1):
            name = f"{REGION}{number:05d}"
            meter = SimMeter(f"{name}-1", lambda _: LOAD_W, start, register_mwh=10**9)
            Caller(Terminal(name, clock, {1: meter}), "127.0.0.1", port, redial_s=1.0).start()
        await asyncio.Event().wait()

    asyncio.run(forever())


def dialled(options: Options) -> Sample:
    """All of them log in, then every one is polled ``ROUNDS`` times, all side by side."""
    return asyncio.run(_dialled(options.rows))


async def _dialled(count: int) -> Sample:
    clock = HostTime()
    hub = DialIn(clock, TcpListener(), "127.0.0.1", 0, limits=Limits(count, count))
    links, points = {}, {}
    for number in range(1, count + 1):
        name = f"{REGION}{number:05d}"
        links[name] = TerminalLink(clock, hub, name, gateway=name, fences=NoFences(), secrets=lambda _: None)
        points[name] = MeterPoint(
            number, name, f"{name}-1", "qgdw376_terminal", "qgdw376", name, "", 0, 1, zone="Asia/Shanghai"
        )
    await hub.door.open()
    process = multiprocessing.get_context("spawn").Process(target=devices, args=(hub.door.port, count), daemon=True)
    process.start()
    try:
        while not hub.sessions():
            await asyncio.sleep(0.005)
        wall = time.perf_counter()
        while len(hub.sessions()) < count:
            await asyncio.sleep(0.005)
        login_s = time.perf_counter() - wall
        end = slot_floor(clock.now() - timedelta(minutes=2), 60)
        good, cpu, wall = 0, time.process_time(), time.perf_counter()
        for _ in range(ROUNDS):
            polls: list[Poll] = await asyncio.gather(*(links[name].poll(points[name], end) for name in links))
            good += sum(poll.ok and poll.power_w == LOAD_W for poll in polls)
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    finally:
        process.terminate()
        process.join()
        for link in links.values():
            await link.close()
    if good != ROUNDS * count:
        raise SystemExit(f"{ROUNDS * count - good} of {ROUNDS * count} polls failed")
    figures = {
        "terminals": float(count),
        "login_s": login_s,
        "polls_per_s": good / wall_s,
        "cpu_ms_per_poll": 1000 * cpu_s / good,
    }
    return Sample(wall_s, {"good": good}, figures, cpu_s)


METHODS = {"terminals": dialled}


if __name__ == "__main__":
    main("benchmarks.dialin", METHODS, floors={}, bars=lambda _: {}, prepare=lambda _: None, rows=1000)
