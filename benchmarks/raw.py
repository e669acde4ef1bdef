"""``python -m benchmarks.raw -o json``: what keeping the raw bytes of a poll costs, per read.

Load: ``--rows`` polls of an SDM630 (three requests, one read each), 1,000 to a cycle, as the engine hands them on. The
method ``keep`` packs, batches, commits, seals and compacts them; ``pack`` only packs and queues them, which is what
stands in the collector's way. Figures: microseconds of CPU per read, bytes per read on the disk.
"""

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from benchmarks.harness import Method, Options, Sample, clocked, main
from control.tables import TABLES
from ingest.drivers import drivers
from ingest.model import ModbusDriver, Quantity
from ingest.rawpoll import keep
from ingest.records import Channel, MeterPoint, MeterRead, Poll
from ingest.wire.registers import encode, visit_plan
from sim.loop import VirtualClock, VirtualLoop
from storage.rawlog import RawLog
from storage.store import Store

START = datetime(2026, 7, 1)
CYCLE = 1_000  # meters of one cycle
MODEL = "sdm630"


def polls(rows: int) -> list[tuple[MeterPoint, Poll]]:
    """Hourly polls of ``CYCLE`` meters with registers, load and voltage as a meter would answer them."""
    driver = drivers()[MODEL]
    assert isinstance(driver, ModbusDriver)
    chance = random.Random(1)
    points = [
        MeterPoint(n, f"M{n:06d}", f"{n}", MODEL, "modbus", f"G{n // 32}", "h", 502, n % 32) for n in range(CYCLE)
    ]
    registers = [chance.randrange(10**7) for _ in points]
    found = []
    for number in range(rows):
        meter, slot = number % CYCLE, START + timedelta(hours=number // CYCLE)
        registers[meter] += chance.randrange(3_000)
        pairs = []
        for block in visit_plan(driver):
            data = bytearray(2 * block.count)
            for register in block.registers:
                value = registers[meter] if register.quantity is Quantity.IMPORT else chance.randrange(250)
                at = 2 * (register.address - block.address)
                data[at : at + 2 * register.count] = encode(register, value)
            head = bytes([block.function]) + block.address.to_bytes(2, "big") + block.count.to_bytes(2, "big")
            pairs.append((head, bytes(data)))
        read = MeterRead(points[meter].meter_id, Channel.IMPORT, slot, registers[meter])
        found.append((points[meter], Poll(points[meter].meter, slot, reads=(read,), raw=tuple(pairs))))
    return found


def _method(*, commit: bool) -> Method:
    def method(options: Options) -> Sample:
        load, driver = polls(options.rows), drivers()[MODEL]
        clock = VirtualClock(VirtualLoop(), START)
        with Store.open(options.scratch / "home", TABLES, clock=clock, writer="inline") as store:
            log = RawLog(store, most_rows=options.rows)

            def work() -> int:
                for number, (point, poll) in enumerate(load, 1):
                    keep(log, point, poll, driver)
                    if commit and number % CYCLE == 0:
                        asyncio.run(log.flush(poll.at))
                        store.lake.seal(poll.at)
                if commit:
                    asyncio.run(log.flush(START))
                    store.lake.seal(START)
                    store.lake.compact(START + timedelta(days=90))
                return len(load)

            wall, cpu, count = clocked(work)
            size = sum(file.bytes for file in store.lake.files("raw"))
        figures = {"cpu_us_per_read": 1e6 * cpu / count, "wall_us_per_read": 1e6 * wall / count}
        return Sample(wall, count, figures | ({"bytes_per_read": size / count} if commit else {}), cpu)

    return method


METHODS: dict[str, Method] = {"pack": _method(commit=False), "keep": _method(commit=True)}


def bars(by_name: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Nothing is promised: the figures stand for themselves."""
    del by_name
    return {}


def prepare(options: Options) -> None:
    """Nothing is shared between the methods."""
    del options


if __name__ == "__main__":
    main("benchmarks.raw", METHODS, floors={}, bars=bars, prepare=prepare, rows=100_000)
