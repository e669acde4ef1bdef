"""The month of ``benchmarks.rating`` in go, the same bills by other means out: a scan, NumPy, SQL, polars, PySAM.

Each is written as one who knows the tool would write it. All but PySAM, whose tiers are shared out over the periods of
a month in floats, give the same bills and the same running charge to the unit.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq

from benchmarks.harness import Options, Sample, clocked
from benchmarks.rating_load import HOURS, LIMITS, PERIODS, PRICES, Rated, cents, file, measured, periods

SAMPLE = 40
"""Meters that PySAM rates; its figure is scaled to all."""
YEAR = 8760
NEEDS = {"polars": "polars", "polars_in_order": "polars", "pysam": "PySAM"}


def absent() -> dict[str, str]:
    """Methods whose package is not installed, and how to install it."""
    return {
        method: f"{package} is not installed: pip install 'prewatt[bench]'"
        for method, package in NEEDS.items()
        if find_spec(package) is None
    }


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
    query = f"select {hashes} from read_parquet('{file(options)}')"
    wall, cpu, row = clocked(lambda: connection.execute(query).fetchall())
    return Sample(wall, row, cpu_s=cpu)


def numpy_whole(options: Options) -> Sample:
    """Textbook NumPy: whole arrays, one pass after the other."""

    def work() -> Rated:
        table = pq.read_table(file(options), columns=["meter_id", "end", "energy_wh"])
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


PRICED = """
    case when (h >= 8 and h < 11) or (h >= 18 and h < 21) then 1 when h >= 23 or h < 7 then 2 else 0 end as p,
    least(pos, 200000) - least(pos - wh, 200000) as q0,
    least(greatest(pos, 200000), 400000) - least(greatest(pos - wh, 200000), 400000) as q1,
    greatest(pos, 400000) - greatest(pos - wh, 400000) as q2
"""
CHARGE = """case p when 0 then q0 * 500 + q1 * 550 + q2 * 800 when 1 then q0 * 568 + q1 * 618 + q2 * 868
      else q0 * 288 + q1 * 338 + q2 * 588 end"""
END = "select meter_id, {sums}, sum(running), bit_xor(running) from charges group by meter_id order by meter_id"
WINDOWS = f"""
with rows as (
  select meter_id, "end", energy_wh as wh, (epoch_ms("end") // 3600000 + 7) % 24 as h,
    sum(energy_wh) over (partition by meter_id order by "end" rows unbounded preceding)::bigint as pos
  from read_parquet('{{path}}')),
tiers as (select meter_id, "end", {PRICED} from rows),
charges as (
  select *, sum({CHARGE}) over (partition by meter_id order by "end" rows unbounded preceding)::bigint as running
  from tiers)
{END}"""
IN_ORDER = f"""
with rows as (
  select meter_id, energy_wh as wh, (epoch_ms("end") // 3600000 + 7) % 24 as h,
    lag(meter_id, 1, 0) over () <> meter_id as first, sum(energy_wh) over (rows unbounded preceding)::bigint as total
  from read_parquet('{{path}}')),
placed as (
  select *, total - max(case when first then total - wh end) over (rows unbounded preceding) as pos from rows),
tiers as (select meter_id, first, {PRICED} from placed),
priced as (select *, {CHARGE} as charge from tiers),
summed as (select *, sum(charge) over (rows unbounded preceding)::bigint as total from priced),
charges as (
  select *, total - max(case when first then total - charge end) over (rows unbounded preceding) as running
  from summed)
{END}"""


def duckdb_windows(options: Options) -> Sample:
    """Two sums over windows of a meter each, and one group: right whatever the order of the file."""
    return measured(lambda: _sql(options, WINDOWS))


def duckdb_in_order(options: Options) -> Sample:
    """Running sums over the file as it lies, each meter's own beginning subtracted: no sort, no partition."""
    return measured(lambda: _sql(options, IN_ORDER))


def _sql(options: Options, text: str) -> Rated:
    sums = ", ".join(f"sum(q{tier}) filter (p = {period})::bigint" for period in range(3) for tier in range(3))
    table = np.array(connect().execute(text.format(path=file(options), sums=sums)).fetchall(), object)
    used = table[:, 1:10].astype(np.int64)
    return cents(used), int(sum(table[:, 10])), int(np.bitwise_xor.reduce(table[:, 11].astype(np.int64)))


def polars(options: Options) -> Sample:
    """The lazy form with ``over``: two cumulative sums by meter, one group; right whatever the order of the file."""
    import polars as pl

    def since(frame: Any, column: str, name: str) -> Any:
        return frame.with_columns(pl.col(column).cum_sum().over("meter_id").alias(name))

    return measured(lambda: _polars(options, since, in_order=False))


def polars_in_order(options: Options) -> Sample:
    """Cumulative sums over the file as it lies, each meter's own beginning subtracted: no partition, no sort."""
    import polars as pl

    def since(frame: Any, column: str, name: str) -> Any:
        first = (pl.col("meter_id") != pl.col("meter_id").shift(1)).fill_null(True)
        total, begin = pl.col("total"), pl.when(pl.col("first")).then(pl.col("total") - pl.col(column))
        summed = frame.with_columns(pl.col(column).cum_sum().alias("total"), first.alias("first"))
        return summed.with_columns((total - begin.forward_fill()).alias(name))

    return measured(lambda: _polars(options, since, in_order=True))


def _polars(options: Options, since: Callable[[Any, str, str], Any], *, in_order: bool) -> Rated:
    """``since`` adds to a frame a column's sum from each meter's first row on, under a name."""
    import polars as pl

    meter, position, wh = pl.col("meter_id"), pl.col("position"), pl.col("energy_wh")
    before = position - wh
    hour = pl.col("end").dt.epoch("ms") // 3_600_000 + 7
    hour = hour % 24
    peak = ((hour >= 8) & (hour < 11)) | ((hour >= 18) & (hour < 21))
    period = pl.when(peak).then(1).when((hour >= 23) | (hour < 7)).then(2).otherwise(0)
    low, high = LIMITS
    inside = (
        position.clip(upper_bound=low) - before.clip(upper_bound=low),
        position.clip(low, high) - before.clip(low, high),
        position.clip(lower_bound=high) - before.clip(lower_bound=high),
    )
    sums = [
        (pl.col(f"q{tier}") * (pl.col("p") == number)).sum().alias(f"s{number}{tier}")
        for number in range(3)
        for tier in range(3)
    ]
    charge = [sum(pl.col(f"q{tier}") * PRICES[name][tier] for tier in range(3)) for name in PERIODS]
    priced = pl.when(pl.col("p") == 0).then(charge[0]).when(pl.col("p") == 1).then(charge[1]).otherwise(charge[2])
    frame = pl.scan_parquet(file(options)).select("meter_id", "end", "energy_wh")
    frame = since(frame.with_columns(period.alias("p")), "energy_wh", "position")
    frame = frame.with_columns(*(one.alias(f"q{tier}") for tier, one in enumerate(inside)))
    frame = since(frame.with_columns(priced.alias("charge")), "charge", "running")
    running = pl.col("running").sum().alias("total"), pl.col("running").bitwise_xor().alias("xor")
    bills = frame.group_by(meter, maintain_order=in_order).agg(*sums, *running)
    rated = (bills if in_order else bills.sort(meter)).collect()
    used = rated.select(pl.selectors.starts_with("s")).to_numpy().astype(np.int64)
    return cents(used), int(rated["total"].sum()), int(np.bitwise_xor.reduce(rated["xor"].to_numpy()))


def pysam(options: Options) -> Sample:
    """Utilityrate5, meter by meter: a year of the sampled meters whose first month is the load, a twelfth of its time.

    Its call rates 8,760 hours, so a month is taken to cost a twelfth; reading the file is not counted.
    """
    import PySAM.Utilityrate5 as peer

    table = pq.read_table(file(options), columns=["energy_wh"]).column("energy_wh").to_numpy()
    loads = np.resize(table.reshape(-1, HOURS)[:SAMPLE] / 1000, (min(SAMPLE, len(table) // HOURS), YEAR))
    model = peer.new()
    for name, value in _rate().items():
        model.value(name, value)
    bills = []
    cpu, wall = time.process_time(), time.perf_counter()
    for load in loads:
        model.value("load", load.tolist())
        model.execute(0)
        bills.append(round(model.Outputs.utility_bill_wo_sys[1], 2))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    share = len(table) / HOURS / len(loads) / 12
    return Sample(wall * share, bills, {"sample": len(loads), "s_per_meter_year": cpu / len(loads)}, cpu * share)


def _rate() -> dict[str, object]:
    """The book of the load as Utilityrate5 takes it: 12 x 24 periods, tiers per period and month in kWh."""
    schedule = [[int(period) + 1 for period in periods()[:24]]] * 12
    tops = [limit / 1000 for limit in LIMITS] + [1e38]
    rows = [
        [number + 1, tier + 1, tops[tier], 0, PRICES[name][tier] / 1000, 0]
        for number, name in enumerate(PERIODS)
        for tier in range(3)
    ]
    return {
        "en_electricity_rates": 1,
        "analysis_period": 1,
        "system_use_lifetime_output": 0,
        "inflation_rate": 0,
        "degradation": [0],
        "rate_escalation": [0],
        "gen": [0] * YEAR,
        "ur_metering_option": 4,
        "ur_monthly_fixed_charge": 0,
        "ur_ec_sched_weekday": schedule,
        "ur_ec_sched_weekend": schedule,
        "ur_ec_tou_mat": rows,
        "ur_dc_enable": 0,
    }
