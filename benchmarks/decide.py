"""``python -m benchmarks.decide -o json``: one pass of decisions over a whole city, and how much memory it takes.

Load: ``--rows`` accounts (the goal speaks of 1,000,000), metered, paid and rated, who were told all that they were to
be told. ``quiet`` is a pass in which nobody is due anything: everybody's standing is read anew and judged. In ``hour``
one in ``DUE`` has come upon a rung since the last pass: each becomes a Case, gets its notice, and is committed. Before
the measured pass another one has run, as in a daemon. The bar: ``quiet`` under 5 s and 1.5 GiB.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np

from benchmarks import cycle, cycle_load
from benchmarks.harness import Method, Options, Sample, clocked, main
from control import passes, screen
from control.assemble import Outlook, World
from control.engine import Engine
from control.outlookbook import Outlooks
from control.raised import Raised
from control.records import Notice, SealedForecast
from control.settings import Settings
from control.standing import Standing, standings
from storage.records import AccountState
from storage.store import Store
from storage.unit import Unit
from storage.usage import ms_of
from storage.writer import Priority

WALL_S, PEAK_MIB = 5.0, 1536.0
DUE = 200
NOW = cycle_load.START + timedelta(hours=cycle_load.BEFORE, minutes=2)
READ = NOW - timedelta(minutes=2)
SEALED = NOW - timedelta(hours=80)
MOST_H = 700.0


def prepare(options: Options) -> None:
    """A city whose money stands as after so many hours of use, and who were told what they were to be told."""
    with cycle._open(options.prepared / "home", cycle_load.Clock(NOW)) as store:
        for low in range(1, options.rows + 1, cycle_load.SLICE):
            high = min(low + cycle_load.SLICE, options.rows + 1)
            store.write(Priority.BATCH, partial(cycle_load.found, low=low, high=high))
            store.write(Priority.BATCH, partial(_sealed, low=low, high=high))
        store.write(Priority.BATCH, _rated)
        world, raised = _world(store, options.rows), Raised()
        rows = store.read(lambda reader: standings(reader, world, raised))
        for low in range(0, len(rows), cycle_load.BATCH):
            part = [rows[name] for name in rows.names[low : low + cycle_load.BATCH]]
            store.write(Priority.BATCH, partial(_tell, part=part, world=world))


def _rated(unit: Unit) -> None:
    """What the rater would have found: a tenth of everybody's money is used."""
    table = unit.tables.of(AccountState).spec.name
    at = ms_of(READ)
    sql = f"UPDATE \"{table}\" SET accrued_micro = balance_after_payment_micro / 10, accrued_to = ?, book_hash = 'b'"
    unit.connection.execute(sql, (at,))


def _sealed(unit: Unit, low: int, high: int) -> None:
    for number in range(low, high):
        unit.add(SealedForecast(cycle_load.account(number), SEALED, None, None, "b"))


def _tell(unit: Unit, part: Sequence[Standing], world: World) -> None:
    """Everybody's highest rung, and a stop notice to whom one is due, delivered just now."""
    made: list[Notice] = []
    for row in part:
        policy = world.policies[row.klass]
        level = screen.level(row, policy, row.posted_micro - row.accrued_micro)
        rungs = [f"money.{level}"] * bool(level) + ["stop.1"] * ((row.hours_left or 0.0) <= 96)
        for rung in rungs:
            name = f"{row.account}:{rung}"
            made.append(
                Notice(name, row.account, 0, rung, "customer", "file", "", "zh", "stop", {}, NOW, state="delivered",
                       delivered_at=NOW)
            )  # fmt: skip
    unit.put_all(made)


def _world(store: Store, count: int) -> World:
    """What the engine knows: its own world, with outlooks that agree with everybody's money."""
    clock = cycle_load.Clock(NOW)
    store.write(Priority.BATCH, lambda unit: cycle_load.facts(unit, NOW))
    settings = Settings(offload=False, catalog=False, payment_channels={"bank": True})
    engine = Engine(store, clock, cycle_load.books(), cycle_load.policies(), {}, {}, settings=settings)
    hours = np.random.default_rng(23).uniform(30.5, MOST_H, count).round(3).tolist()
    outlooks = {
        cycle_load.account(number): Outlook(hours[number - 1], hours[number - 1] + 20.0, 90_000)
        for number in range(1, count + 1)
    }
    return replace(engine.world(), outlooks=Outlooks(outlooks))


def _pass(due: int, options: Options) -> Sample:
    home = options.scratch / "home"
    shutil.copytree(options.prepared / "home", home)
    with cycle._open(home, cycle_load.Clock(NOW)) as store:
        world, raised = _world(store, options.rows), Raised()
        asyncio.run(passes.decide_all(store, world, None, raised))
        for number in range(due, options.rows + 1, due) if due else ():
            name = cycle_load.account(number)
            if (known := world.outlooks[name]).hours_p10 is not None:
                world.outlooks[name] = replace(known, hours_p10=23.5)  # type: ignore[index]
        wall, cpu, report = clocked(lambda: asyncio.run(passes.decide_all(store, world, None, raised)))
        told = store.read(lambda reader: reader.count(Notice))
    figures: dict[str, float] = {"us_per_account": cpu / options.rows * 1e6, "due": sum(report.verdicts.values())}
    return Sample(wall, [report.accounts, sorted(report.verdicts.items()), told], figures, cpu)


METHODS: Mapping[str, Method] = {"quiet": partial(_pass, 0), "hour": partial(_pass, DUE)}


def bars(medians: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The goals, want beside got."""
    if (quiet := medians.get("quiet")) is None:
        return {}
    return {
        "wall_s": {"want": WALL_S, "got": quiet["wall_s"], "ok": quiet["wall_s"] <= WALL_S},
        "peak_mib": {"want": PEAK_MIB, "got": quiet["peak_mib"], "ok": quiet["peak_mib"] <= PEAK_MIB},
    }


if __name__ == "__main__":
    main("benchmarks.decide", METHODS, floors={}, bars=bars, prepare=prepare, rows=50_000)
