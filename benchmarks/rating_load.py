"""What ``benchmarks.rating`` rates: its book, its plan, a month of intervals in the lake's own Parquet, its lines.

Load: ``rows`` / 720 meters x 720 hours, three tiers x three periods; the same again in further files for growth.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.ma  # NumPy imports it when it is first needed, which no clock here counts
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.harness import Options, Sample, clocked
from storage import parquet
from storage.schemas import INTERVALS
from storage.usage import Grid, ms_of
from tariff import book as books
from tariff import rating
from tariff.model import Book
from tariff.rating import Plan

Ints = NDArray[np.int64]
Rated = tuple[Ints, int, int]
"""[meters, 9] line amounts in cents, sum and xor of the running charge of every hour."""

HOURS = 720
START = datetime(2025, 3, 31, 16)  # 1 April in Shanghai
GRID = Grid(ms_of(START), 60, HOURS)
TIMES = (1, 2, 4, 8)
"""How often the load is taken to see how time grows with the meters."""
PERIODS = ("flat", "peak", "valley")
PRICES = {"flat": (500, 550, 800), "peak": (568, 618, 868), "valley": (288, 338, 588)}  # 0.001 of the currency
LIMITS = (200_000, 400_000)  # Wh
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


def file(options: Options, number: int = 0) -> Path:
    """The load (0), or the same number of further meters."""
    return options.prepared / f"intervals{number}.parquet"


def prepare(options: Options) -> None:
    """Intervals of all meters, sorted by meter and hour, as a compaction of the lake leaves them."""
    for number in range(max(TIMES)):
        _write(options, number, max(1, options.rows // HOURS))


def _write(options: Options, number: int, meters: int) -> None:
    draw = np.random.default_rng(7 + number)
    shape = 1 + 0.6 * np.sin((np.arange(HOURS) % 24 - 8) / 24 * 2 * np.pi)
    energy = (draw.gamma(2.0, 0.5, (meters, HOURS)) * draw.lognormal(6.2, 0.5, (meters, 1)) * shape / 10).astype(
        np.int64
    ) * 10
    ends = np.datetime64(START, "ms") + np.arange(1, HOURS + 1) * np.timedelta64(3_600_000, "ms")
    count = meters * HOURS
    columns = [
        np.repeat(np.arange(1 + number * meters, 1 + (number + 1) * meters, dtype=np.int32), HOURS),
        np.ones(count, np.uint8),
        np.tile(ends, meters),
        np.full(count, 60, np.int16),
        energy.ravel(),
        np.zeros(count, np.uint16),
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, INTERVALS.schema, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=INTERVALS.schema)
    parquet.write(options.prepared, file(options, number).name, INTERVALS, table, durable=False, crash=lambda _: None)


def measured(work: Callable[[], Rated]) -> Sample:
    """Time of ``work``, and a hash of what it found."""
    wall, cpu, (amounts, total, xor) = clocked(work)
    digest = hashlib.sha256(np.ascontiguousarray(amounts, np.int64).tobytes()).hexdigest()
    return Sample(wall, {"bills": digest, "sum": total, "xor": xor}, cpu_s=cpu)


def periods() -> Ints:
    """Index into PERIODS of each slot."""
    hour = np.arange(HOURS, dtype=np.int64) % 24
    peak = ((hour >= 8) & (hour < 11)) | ((hour >= 18) & (hour < 21))
    return np.where(peak, 1, np.where((hour >= 23) | (hour < 7), 2, 0)).astype(np.int64)


def cents(wh: Ints) -> Ints:
    """[n, 9] Wh of each line to cents, half-up."""
    prices = np.array([price for period in PERIODS for price in PRICES[period]], np.int64)
    return (wh * prices * 2 + 10_000) // 20_000
