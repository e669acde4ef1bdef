"""``python -m benchmarks.cycle -o json``: one hour of a city, from accepted reads to a committed outbox, by stage.

Load: ``--rows`` accounts in 200 books (the city of the goal: 2,050,000), and an eighth, a quarter and a half of them.
Each has two days of hourly registers behind it; the engine has run an hour already, as a daemon has. Measured is the
next hour: its registers stand durably in the inbox, then the engine's own steps run: intervals and charges (``rate``),
hours left (``forecast``), and everybody's decision with its notices and commands committed (``decide``). The bar at the
whole city: 60 s of wall on two cores (at fewer accounts their share of it), under 4 GiB (asked of the whole city only),
and no worse than linear from an eighth.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import cycle_load as load
from benchmarks.harness import Method, Options, Sample, clocked, main
from control import tables
from control.engine import Engine
from control.records import Command, Notice
from control.settings import Settings
from storage.batches import Packed, pack
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority

CITY = 2_050_000
PARTS = {"eighth": 8, "quarter": 4, "half": 2, "whole": 1}
WALL_S = 60.0
PEAK_MIB = 4096.0
MOST_GROWTH = 10.0
"""Eight times the accounts take at most so many times as long."""


def accounts(options: Options, part: str) -> int:
    """How many accounts this part of the city has."""
    return max(load.BOOKS, options.rows // PARTS[part])


def prepare(options: Options) -> None:
    """Each part's home: founded, and every hour before the last two rated."""
    for part in PARTS:
        clock = load.Clock(load.START + timedelta(hours=load.BEFORE, minutes=2))
        with _open(options.prepared / part, clock) as store:
            rated(store, clock, accounts(options, part))


def rated(store: Store, clock: load.Clock, count: int) -> None:
    """Found so many accounts, and rate everything up to now."""
    for low in range(1, count + 1, load.SLICE):
        high = min(low + load.SLICE, count + 1)
        store.write(Priority.BATCH, partial(load.found, low=low, high=high))
    _accept(store, count, 0, load.BEFORE + 1)
    asyncio.run(_engine(store, clock).rate())
    store.lake.seal(clock.now())


def _open(home: Path, clock: load.Clock) -> Store:
    home.mkdir(parents=True, exist_ok=True)
    return Store.open(home, tables.TABLES, clock=clock)


def _accept(store: Store, count: int, first: int, hours: int) -> None:
    """Put the registers of everybody's hours into the inbox, in batches as collectors bring them."""
    now = store.clock.now()
    for low in range(1, count + 1, load.BATCH):
        high = min(low + load.BATCH, count + 1)
        packed = pack("reads", load.registers(low, high, first, hours))
        number = f"{low}-{first}"
        store.write(Priority.INBOX, partial(_append, number=number, packed=packed, now=now))


def _append(unit: Unit, *, number: str, packed: Packed, now: datetime) -> bool:
    return unit.append_batch("reads", "field", number, packed, now)


def _engine(store: Store, clock: load.Clock) -> Engine:
    store.write(Priority.BATCH, lambda unit: load.facts(unit, clock.now()))
    settings = Settings(offload=False, catalog=False, payment_channels={"bank": True})
    return Engine(store, clock, load.books(), load.policies(), {}, {}, settings=settings)


def _city(part: str, options: Options) -> Sample:
    home = options.scratch / "home"
    shutil.copytree(options.prepared / part, home)
    clock = load.Clock(load.START + timedelta(hours=load.BEFORE + 1, minutes=2))
    count = accounts(options, part)
    with _open(home, clock) as store:
        _accept(store, count, load.BEFORE + 1, 1)
        engine = _engine(store, clock)
        start_s, _, _ = clocked(lambda: asyncio.run(_hour(engine)))
        clock.at += timedelta(hours=1)
        _accept(store, count, load.BEFORE + 2, 1)
        store.write(Priority.BATCH, lambda unit: load.facts(unit, clock.now()))
        figures: dict[str, float] = {"accounts": count, "first_hour_s": start_s}
        wall, cpu, _ = clocked(lambda: asyncio.run(_hour(engine, figures)))
        rows = store.read(lambda reader: (reader.count(Notice), reader.count(Command)))
    figures |= {"us_per_account": cpu / count * 1e6, "notices": rows[0], "commands": rows[1]}
    return Sample(wall, [count, *rows], figures, cpu)


async def _hour(engine: Engine, figures: dict[str, float] | None = None) -> None:
    """The engine's own steps of one hour, each by the clock."""
    loop = asyncio.get_running_loop()
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "rate": partial(_rate, engine), "forecast": engine.forecast, "decide": engine.decide,
    }  # fmt: skip
    for name, step in steps.items():
        began = loop.time()
        await step()
        if figures is not None:
            figures[f"{name}_s"] = loop.time() - began


async def _rate(engine: Engine) -> None:
    engine.rater.step(engine.now())


METHODS: Mapping[str, Method] = {part: partial(_city, part) for part in PARTS}


def bars(medians: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The goals, want beside got."""
    found: dict[str, dict[str, Any]] = {}
    if (whole := medians.get("whole")) is not None:
        share = whole["figures"]["accounts"] / CITY
        found["wall_s"] = {
            "want": round(WALL_S * share, 3),
            "got": whole["wall_s"],
            "ok": whole["wall_s"] <= WALL_S * share,
        }
        if share >= 1:
            found["peak_mib"] = {"want": PEAK_MIB, "got": whole["peak_mib"], "ok": whole["peak_mib"] <= PEAK_MIB}
        if (eighth := medians.get("eighth")) is not None:
            growth = whole["wall_s"] / eighth["wall_s"]
            found["growth_at_8x"] = {"want": MOST_GROWTH, "got": round(growth, 2), "ok": growth <= MOST_GROWTH}
    return found


if __name__ == "__main__":
    main("benchmarks.cycle", METHODS, floors={}, bars=bars, prepare=prepare, rows=80_000)
