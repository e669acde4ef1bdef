"""The quick way of plain hours against the slow one: same money, same charges, whatever comes in whatever batches."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.records import Channel, Flag, Interval, MeterPoint
from storage import schemas
from storage.folds import Folds
from storage.positions import Group
from storage.rater import Rater
from storage.records import Account, AccountState, Install, OpenPeriod
from storage.store import Store
from storage.usage import Bool, Energies
from storage.writer import Priority
from tariff import book as books
from tariff import rating
from tests.storage.conftest import StillClock

H = timedelta(hours=1)
START = datetime(2026, 2, 28, 16)  # 1 March in Shanghai
METERS = 4
LATER = {3: 5 * H, 4: 5.5 * H}  # meters that are hung within the period, on a slot's end and beside it
ODD = """
schema = "prewatt.book/1"
name = "odd"
title = "Feed-in, demand and power factor"
currency = "CNY"
zone = "Asia/Shanghai"
decimals = 2
rounding = "half_up"

[source]
title = "Invented"
address = "https://example.org/"
date = "2025-01-01"

[[version]]
from = "2020-01-01"
default_period = "all"

[[version.component]]
id = "energy"
kind = "energy"
prices = ["0.50"]

[[version.component]]
id = "sold"
kind = "energy"
quantity = "export"
prices = ["0.30"]
credit = true

[[version.component]]
id = "demand"
kind = "demand"
price = "3.00"
window_min = 60
"""


def rows(draw: st.DrawFn) -> list[Interval]:
    """Rows of one batch: mostly a plain hour of every meter with what comes beside it, now and then anything."""
    hour = draw(st.integers(1, 30))
    found = []
    for meter in draw(st.sets(st.integers(1, METERS), min_size=1)):
        for channel in draw(st.sets(st.sampled_from([1, 1, 1, 2, 3, 4]), min_size=1)):
            flags = draw(st.sampled_from([0, 0, 0, 0, 16, int(Flag.SUSPECT), int(Flag.ESTIMATED), int(Flag.CONFIRMED)]))
            minutes = draw(st.sampled_from([60, 60, 60, 60, 30, 120]))
            end = hour + draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
            wh = draw(st.integers(0, 3000))
            found.append(Interval(meter, channel, START + end * H, minutes, wh, flags))
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[list[Interval]]:
    return [rows(draw) for _ in range(draw(st.integers(1, 8)))]


@contextmanager
def opened(home: Path, book: str, later: Mapping[int, timedelta] | None = None) -> Iterator[Store]:
    with Store.open(home, clock=StillClock(), writer="inline", durable=False) as store:

        def work(unit) -> None:  # type: ignore[no-untyped-def]
            for n in range(1, METERS + 1):
                unit.put(Account(f"A{n}", "", "residential", book, "Asia/Shanghai", "CNY"))
                unit.put(MeterPoint(n, f"M{n}", f"S{n}", "sdm630", "modbus", "g", "h", 502, n))
                unit.put(Install(n, f"M{n}", f"A{n}", f"S{n}", START + (later or {}).get(n, -400 * H)))

        store.write(Priority.MONEY, work)
        yield store


def lived(
    home: Path,
    book: str,
    history: list[list[Interval]],
    *,
    restarts: bool = False,
    later: Mapping[int, timedelta] | None = None,
) -> object:
    """What stands in the store after each batch was rated in a step of its own."""
    with opened(home, book, later) as store:
        rater = Rater(store, BOOKS)
        rater.step(START)
        for number, batch in enumerate(history):
            table = schemas.intervals_table(batch)
            store.write(Priority.BATCH, lambda u, n=number, t=table: u.append_batch("intervals", "f", str(n), t, START))
            rater = Rater(store, BOOKS) if restarts else rater
            rater.step(START + 40 * H)
        charges = store.charges(START - 90 * 24 * H, START + 90 * 24 * H).drop_columns(["run_id"]).to_pylist()
        return charges, *store.read(lambda r: (r.find(AccountState), r.find(OpenPeriod)))


@pytest.mark.parametrize("book", ["demo", "odd"])
@settings(max_examples=10, deadline=None)
@given(history=histories())
def test_the_quick_way_gives_what_the_slow_one_gives(tmp_path_factory, book, history) -> None:  # type: ignore[no-untyped-def]
    quick = lived(tmp_path_factory.mktemp("quick"), book, history, later=LATER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folds, "_take_plain", lambda self, energies, touched: np.zeros(energies.end.shape, np.bool_))
        slow = lived(tmp_path_factory.mktemp("slow"), book, history, later=LATER)
    assert quick == slow
    assert lived(tmp_path_factory.mktemp("again"), book, history, restarts=True, later=LATER) == quick


def hour(number: int, channels: tuple[int, ...] = (1, 2)) -> list[Interval]:
    return [Interval(n, c, START + number * H, 60, 100 * n + c) for n in range(1, METERS + 1) for c in channels]


def test_plain_hours_with_export_beside_read_nothing_from_the_store(tmp_path, monkeypatch) -> None:
    took: list[Bool] = []
    plain = Group.put_plain

    def counted(self: Group, rows, energies: Energies):  # type: ignore[no-untyped-def]
        taken, slots = plain(self, rows, energies)
        took.append(taken)
        return taken, slots

    monkeypatch.setattr(Group, "put_plain", counted)
    for book in ("demo", "odd"):
        took.clear()
        lived(tmp_path / book, book, [hour(n) for n in range(1, 6)])
        counts = [int(taken.sum()) for taken in took]
        assert counts in ([0, 8, 8, 8, 8], [8, 0, 8, 8, 8, 8])  # the first hour is stored when its period opens


@pytest.mark.parametrize("beside", [Flag.SUSPECT, Flag.CONFIRMED | Flag.ESTIMATED])
def test_a_slot_with_a_doubtful_row_beside_it_goes_the_slow_way(tmp_path, beside) -> None:
    history = [hour(1), hour(2), [*hour(3, (1,)), Interval(1, Channel.EXPORT, START + 3 * H, 60, 7000, int(beside))]]
    _, states, _ = lived(tmp_path / "a", "odd", history)
    _, plain, _ = lived(tmp_path / "b", "odd", [hour(1), hour(2), hour(3, (1,))])
    billed = 7000 * 300 if beside & Flag.CONFIRMED else 0
    assert plain[0].accrued_micro - states[0].accrued_micro == billed
    assert plain[1:] == states[1:]


def test_a_slot_in_which_something_stands_beside_goes_the_slow_way(tmp_path) -> None:
    before = Interval(1, Channel.EXPORT, START + 3 * H, 60, 0, int(Flag.CONFIRMED))
    history = [hour(1), hour(2), [before], [*hour(3, (1,)), Interval(1, Channel.EXPORT, START + 3 * H, 60, 7000, 0)]]
    _, states, _ = lived(tmp_path / "a", "odd", history)
    _, plain, _ = lived(tmp_path / "b", "odd", [hour(1), hour(2), hour(3, (1,))])
    assert states == plain  # what was confirmed stays


BOOKS = {name: books.load(books.shipped_text(name), name) for name in ("demo",)}
BOOKS["odd"] = books.load(ODD, "odd")


def test_unread_slots_are_filled_with_the_mean_of_the_last_week_of_actual_ones() -> None:
    rng = np.random.default_rng(11)
    group = Group.of(rating.compile(BOOKS["demo"], START, START + 31 * 24 * H, 60, {}), START, 60)
    group.add([f"A{n}" for n in range(40)], [{}] * 40)
    actual = rng.random((group.plan.slots, 40)) < np.append(rng.random(38), [0.0, 1.0])
    shape = actual.shape
    group.has[:, :40] = actual
    group.guess[:, :40] = (rng.random(shape) < 0.1) & ~actual
    group.wh[:, :40] = np.where(group.has[:, :40] | group.guess[:, :40], rng.integers(0, 5000, shape), 0)
    group.since[:40] = rng.integers(0, 300, 40)
    rows = rng.permutation(40)
    filled = group._filled(rows)
    for at, row in enumerate(rows.tolist()):
        recent = np.flatnonzero(group.has[:, row])[-7 * 24 :].tolist()
        mean = sum(int(group.wh[slot, row]) for slot in recent) // len(recent) if recent else 0
        for slot in range(group.plan.slots):
            known = group.has[slot, row] or group.guess[slot, row] or slot < group.since[row]
            assert filled[at, slot] == (group.wh[slot, row] if known else mean)
