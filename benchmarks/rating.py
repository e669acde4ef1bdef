"""``python -m benchmarks.rating -o json``: a month of hourly intervals to bills and running charges, beside other ways.

Load: ``--rows`` / 720 meters x 720 hours in the lake's own Parquet, three tiers x three periods. Each way gives every
meter's nine rounded lines and folds the exact running charge of every hour into a checksum; all must agree, by hash.
``cpu`` is the CPU time of the work (all threads) without imports; the floor is a scan of the same three columns. The
bar compares CPU; ``x_floor`` of a method compares wall time, and the floor has two threads.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.harness import Options, Sample, main
from storage import parquet
from storage.schemas import INTERVALS
from tariff import book as books
from tariff import lines, rating
from tariff.model import Book
from tariff.rating import Plan

Ints = NDArray[np.int64]
HOURS = 720
METERS_A_BLOCK = 128
START = datetime(2025, 3, 31, 16)  # 1 April in Shanghai
FILE = "intervals.parquet"
PERIODS = ("flat", "peak", "valley")
PRICES = {"flat": (500, 550, 800), "peak": (568, 618, 868), "valley": (288, 338, 588)}  # 0.001 of the currency
LIMITS = (200_000, 400_000)  # Wh
GROUPS, GROUP = 200, 5000  # one hour of a million meters
BOOK = """\
currency = "CNY"
zone = "Asia/Shanghai"
[[version]]
from = "2020-01-01"
default_period = "flat"
window = [{period = "peak", from = "08:00", to = "11:00"}, {period = "peak", from = "18:00", to = "21:00"},
  {period = "valley", from = "23:00", to = "07:00"}]
[[version.component]]
id = "energy"
kind = "energy"
[version.component.prices]
flat = ["0.500", "0.550", "0.800"]
peak = ["0.568", "0.618", "0.868"]
valley = ["0.288", "0.338", "0.588"]
[version.component.ladder]
reset = "month"
limits = ["200", "400"]
allocate = "chronological"
"""


def book(number: int = 0) -> Book:
    """The load's book; ``number`` makes others of the same shape."""
    return books.load(BOOK.replace('"0.868"', f'"{0.868 + number / 1000:.3f}"'), f"book{number}")


def plan(number: int = 0) -> Plan:
    """The month of the load."""
    return rating.compile(book(number), START, START + timedelta(hours=HOURS))


def prepare(options: Options) -> None:
    """Intervals of all meters, sorted by meter and hour, as a compaction of the lake leaves them."""
    meters = max(1, options.rows // HOURS)
    draw = np.random.default_rng(7)
    shape = 1 + 0.6 * np.sin((np.arange(HOURS) % 24 - 8) / 24 * 2 * np.pi)
    energy = (draw.gamma(2.0, 0.5, (meters, HOURS)) * draw.lognormal(6.2, 0.5, (meters, 1)) * shape / 10).astype(
        np.int64
    ) * 10
    ends = np.datetime64(START, "ms") + np.arange(1, HOURS + 1) * np.timedelta64(3_600_000, "ms")
    count = meters * HOURS
    columns = [
        np.repeat(np.arange(1, meters + 1, dtype=np.int32), HOURS),
        np.ones(count, np.uint8),
        np.tile(ends, meters),
        np.full(count, 60, np.int16),
        energy.ravel(),
        np.zeros(count, np.uint16),
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, INTERVALS.schema, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=INTERVALS.schema)
    parquet.write(options.prepared, FILE, INTERVALS, table, durable=False, crash=lambda _: None)


def measured(work: Callable[[], tuple[Ints, int, int]]) -> Sample:
    """CPU and wall of ``work``: [meters, 9] line amounts in cents, sum and xor of the running charge."""
    cpu, wall = time.process_time(), time.perf_counter()
    amounts, total, xor = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    digest = hashlib.sha256(np.ascontiguousarray(amounts, np.int64).tobytes()).hexdigest()
    return Sample(wall, {"bills": digest, "sum": total, "xor": xor}, {"cpu": cpu})


def connect() -> duckdb.DuckDBPyConnection:
    """Two threads, no progress bar."""
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("set enable_progress_bar = false")
    return connection


def floor(options: Options) -> Sample:
    """Read every value of the three columns."""
    connection = connect()
    columns = ("meter_id", '"end"', "energy_wh")
    hashes = ", ".join(f"bit_xor(hash({column}))" for column in columns)
    query = f"select {hashes} from read_parquet('{options.prepared / FILE}')"
    cpu, wall = time.process_time(), time.perf_counter()
    row = connection.execute(query).fetchall()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Sample(wall, row, {"cpu": cpu})


def blocks(path: Path) -> Iterator[Ints]:
    """Energies [n, 720] of some meters at a time; that every meter has its 720 hours in order is checked."""
    ends: Ints | None = None
    file = pq.ParquetFile(path)
    for batch in file.iter_batches(METERS_A_BLOCK * HOURS, columns=["meter_id", "end", "energy_wh"], use_threads=False):
        meter, end, energy = (column.to_numpy().reshape(-1, HOURS) for column in batch.columns)
        found = end.view(np.int64)
        ends = found[0].copy() if ends is None else ends
        if (meter[:, :1] != meter[:, -1:]).any() or (found != ends).any():
            raise SystemExit("the load is not a whole month of every meter")
        yield energy


def prewatt(options: Options) -> Sample:
    """The product: the functions that ``rate`` and ``bill`` call, block by block."""

    loaded = book()  # imports the kinds of component, which the clock does not count

    def work() -> tuple[Ints, int, int]:
        month = rating.compile(loaded, START, START + timedelta(hours=HOURS))
        amounts: list[Ints] = []
        total, xor = 0, 0
        for wh in blocks(options.prepared / FILE):
            state, running = rating.advance(month, month.zero(len(wh)), 0, wh)
            amounts.append(bills(month, state))
            total += int(running.sum())
            xor ^= int(np.bitwise_xor.reduce(running, axis=None))
        return np.concatenate(amounts), total, xor

    return measured(work)


def bills(month: Plan, state: rating.State) -> Ints:
    """[n, 9] rounded lines in cents, by period and tier."""
    found = lines.energy_lines(month, state, "energy")
    by_key = {
        (line.period, line.tier): amount for line, amount in zip(found, lines.line_amounts(month, found), strict=True)
    }
    return np.stack([by_key[period, tier] // 10_000 for period in PERIODS for tier in range(3)], axis=1)


def hours_of_day() -> Ints:
    """Local hour of each slot of the month."""
    return np.arange(HOURS, dtype=np.int64) % 24


def periods() -> Ints:
    """Index into PERIODS of each slot."""
    hour = hours_of_day()
    peak = ((hour >= 8) & (hour < 11)) | ((hour >= 18) & (hour < 21))
    return np.where(peak, 1, np.where((hour >= 23) | (hour < 7), 2, 0)).astype(np.int64)


def cents(wh: Ints) -> Ints:
    """[n, 9] Wh of each line to cents, half-up."""
    prices = np.array([price for period in PERIODS for price in PRICES[period]], np.int64)
    return (wh * prices * 2 + 10_000) // 20_000


def numpy_whole(options: Options) -> Sample:
    """Textbook NumPy: whole arrays, one pass after the other."""

    def work() -> tuple[Ints, int, int]:
        table = pq.read_table(options.prepared / FILE, columns=["meter_id", "end", "energy_wh"])
        wh = table.column("energy_wh").to_numpy().reshape(-1, HOURS)
        position = np.cumsum(wh, axis=1)
        before = position - wh
        period = periods()
        price = np.array([PRICES[name] for name in PERIODS], np.int64)
        edges = [0, *LIMITS, 1 << 60]
        charge = np.zeros_like(wh)
        used = np.zeros((len(wh), 9), np.int64)
        for tier in range(3):
            inside = np.clip(position, edges[tier], edges[tier + 1]) - np.clip(before, edges[tier], edges[tier + 1])
            charge += inside * price[period, tier]
            for number in range(3):
                used[:, number * 3 + tier] = inside[:, period == number].sum(axis=1)
        running = np.cumsum(charge, axis=1)
        return cents(used), int(running.sum()), int(np.bitwise_xor.reduce(running, axis=None))

    return measured(work)


SQL = """
with rows as (
  select meter_id, "end", energy_wh as wh, (epoch_ms("end") // 3600000 + 7) % 24 as h,
    sum(energy_wh) over (partition by meter_id order by "end" rows unbounded preceding)::bigint as pos
  from read_parquet('{path}')),
tiers as (
  select meter_id, "end",
    case when (h >= 8 and h < 11) or (h >= 18 and h < 21) then 1 when h >= 23 or h < 7 then 2 else 0 end as p,
    least(pos, 200000) - least(pos - wh, 200000) as q0,
    least(greatest(pos, 200000), 400000) - least(greatest(pos - wh, 200000), 400000) as q1,
    greatest(pos, 400000) - greatest(pos - wh, 400000) as q2
  from rows),
charges as (
  select *, sum(case p when 0 then q0 * 500 + q1 * 550 + q2 * 800 when 1 then q0 * 568 + q1 * 618 + q2 * 868
      else q0 * 288 + q1 * 338 + q2 * 588 end)
    over (partition by meter_id order by "end" rows unbounded preceding)::bigint as running
  from tiers)
select meter_id, {sums}, sum(running) as total, bit_xor(running) as x from charges group by meter_id order by meter_id
"""


def duckdb_sql(options: Options) -> Sample:
    """The best SQL form tried: two window sums and one group."""

    def work() -> tuple[Ints, int, int]:
        sums = ", ".join(f"sum(q{tier}) filter (p = {period})::bigint" for period in range(3) for tier in range(3))
        query = SQL.format(path=options.prepared / FILE, sums=sums)
        table = np.array(connect().execute(query).fetchall(), object)
        used = table[:, 1:10].astype(np.int64)
        return cents(used), int(sum(table[:, 10])), int(np.bitwise_xor.reduce(table[:, 11].astype(np.int64)))

    return measured(work)


def hour(_options: Options) -> Sample:
    """One hour of a million meters in 200 tariffs: the daemon's step."""
    plans = [plan(number) for number in range(GROUPS)]
    states = [one.zero(GROUP) for one in plans]
    wh = np.random.default_rng(3).integers(0, 3000, (GROUPS, GROUP, 1))
    cpu, wall = time.process_time(), time.perf_counter()
    total = 0
    for one, state, energy in zip(plans, states, wh, strict=True):
        _, running = rating.advance(one, state, 0, energy)
        total += int(running.sum())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Sample(wall, total, {"cpu": cpu})


METHODS = {
    "floor": floor,
    "prewatt": prewatt,
    "numpy_whole": numpy_whole,
    "duckdb_sql": duckdb_sql,
    "hour_1m_200": hour,
}


def bars(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """TARIFF.md's goals as they stand."""
    bar: dict[str, dict[str, Any]] = {}
    if {"floor", "prewatt"} <= set(found):
        times = found["prewatt"]["figures"]["cpu"] / found["floor"]["figures"]["cpu"]
        bar["x_floor"] = {"want": 3, "got": round(times, 2), "ok": times <= 3}
        peak = found["prewatt"]["peak_mib"]
        bar["peak_mib"] = {"want": 300, "got": peak, "ok": peak <= 300}
    if {"duckdb_sql", "prewatt"} <= set(found):
        times = found["duckdb_sql"]["figures"]["cpu"] / found["prewatt"]["figures"]["cpu"]
        bar["x_faster_than_sql"] = {"want": 10, "got": round(times, 2), "ok": times >= 10}
    rated = [name for name in ("prewatt", "numpy_whole", "duckdb_sql") if name in found]
    same = len({found[name]["result_hash"] for name in rated}) <= 1
    bar["same_bills"] = {"want": True, "got": same, "ok": same}
    if "hour_1m_200" in found:
        cpu = found["hour_1m_200"]["figures"]["cpu"]
        bar["hour_1m_200_cpu_s"] = {"want": 0.1, "got": cpu, "ok": cpu <= 0.1}
    return bar


if __name__ == "__main__":
    floors = dict.fromkeys(("prewatt", "numpy_whole", "duckdb_sql"), "floor")
    main("benchmarks.rating", METHODS, floors=floors, bars=bars, prepare=prepare, rows=7_200_000)
