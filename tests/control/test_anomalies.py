"""Anomalies become work orders: each kind with its explanation, one per event, none where the reason is known."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import anomalies, visits, workorders
from control.anomalies import DAYS_BEFORE
from control.fieldbook import Outage, Site
from control.records import Service, Wanted, WorkOrder
from control.settings import Settings
from ingest import checks
from ingest.records import Flag, Interval, MeterRead, Poll, RelayReport, RelayState
from storage import schemas
from storage.writer import Priority
from tests.control.rig import DAY, HOUR, NOW, SETTINGS, Rig
from tests.control.test_engine import play

MIDNIGHT = NOW.replace(hour=0, minute=0)


def table(days: dict[int, list[int]], *, flags: int = 0) -> object:
    """Hourly intervals by meter: so much a day, the last day being the one before midnight; -1 = nothing stored."""
    rows = []
    for meter, wh in days.items():
        for back, amount in enumerate(reversed(wh)):
            start = MIDNIGHT - (back + 1) * DAY
            parts = [amount // 24 + (hour < amount % 24) + (hour % 2) - (hour % 2 == 0) for hour in range(24)]
            rows += [
                Interval(meter, 1, start + (h + 1) * HOUR, 60, max(p, 0), flags)
                for h, p in enumerate(parts)
                if amount >= 0
            ]
    return schemas.intervals_table(sorted(rows, key=lambda row: (row.meter_id, row.end)))


def test_a_day_unlike_the_days_before_is_named_with_its_reason() -> None:
    usual = [12_000] * DAYS_BEFORE
    found = anomalies.unusual(table({1: [*usual, 70_000], 2: [*usual, 960], 3: [*usual, 12_100]}), MIDNIGHT)  # type: ignore[arg-type]
    assert [(one.meter_id, one.kind, one.detail) for one in found] == [
        (1, "surge", "70000 Wh in a day, 12000 Wh usual (median of 28 days)"),
        (2, "drop", "960 Wh in a day, 12000 Wh usual (median of 28 days)"),
    ]


def test_a_day_that_is_not_whole_or_guessed_says_nothing() -> None:
    usual = [12_000] * DAYS_BEFORE
    assert anomalies.unusual(table({1: [*usual, -1]}), MIDNIGHT) == []  # type: ignore[arg-type]
    assert anomalies.unusual(table({1: [*usual, 70_000]}, flags=int(Flag.ESTIMATED)), MIDNIGHT) == []  # type: ignore[arg-type]
    assert (
        anomalies.unusual(schemas.empty("intervals"), MIDNIGHT)
        == []
        == anomalies.stuck(schemas.empty("intervals"), MIDNIGHT)
    )


@given(st.lists(st.sampled_from([-1, 0, 240, 480, 2_400, 12_000, 60_000, 120_000]), min_size=2, max_size=29))
def test_the_screen_drops_nobody(days: list[int]) -> None:
    found = anomalies.unusual(table({1: days}), MIDNIGHT)  # type: ignore[arg-type]
    sums = [sum(max(d // 24 + (h < d % 24) + (h % 2) - (h % 2 == 0), 0) for h in range(24)) for d in days]
    usual = [wh for wh, day in zip(sums[:-1], days[:-1], strict=True) if day >= 0]
    want = checks.day_verdict(sums[-1], usual) if days[-1] >= 0 else ""
    assert [one.kind for one in found] == ([want] if want else [])


def test_one_value_for_a_whole_day_is_stuck_and_nothing_at_all_is_not() -> None:
    ends = [MIDNIGHT - n * HOUR for n in range(24, -1, -1)]
    rows = [Interval(m, 1, end, 60, wh) for m, wh in ((1, 500), (2, 0)) for end in ends]
    rows += [Interval(3, 1, end, 60, 500 + (n == 7)) for n, end in enumerate(ends)]
    found = anomalies.stuck(schemas.intervals_table(rows), MIDNIGHT)
    assert [(one.meter_id, one.kind) for one in found] == [(1, "stuck")]
    assert "500 Wh in each of 25 slots" in found[0].detail
    assert anomalies.stuck(schemas.intervals_table(rows[1:25]), MIDNIGHT) == [], "one slot short of a day"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, settings=replace(SETTINGS, offload=False), accounts=2)


def feed(rig: Rig, reads: list[MeterRead], number: str = "1") -> None:
    engine = rig.engine()

    async def live() -> None:
        await engine.inbox.accept("poll:G1", number, reads, rig.clock.now())
        await engine.rate()

    play(rig, live())


def orders(rig: Rig) -> list[tuple[str, str, str]]:
    return [(row.kind, row.account, row.state) for row in rig.find(WorkOrder)]


@pytest.mark.parametrize(("wh", "kind"), [(90_000_000, "spike"), (5, "reverse")])
def test_a_suspect_read_is_one_order_and_is_not_billed(rig: Rig, wh: int, kind: str) -> None:
    good = [MeterRead(1, 1, NOW.replace(minute=0) - n * HOUR, 1_000_000 - 400 * n) for n in (5, 4, 3)]
    feed(rig, [*good, MeterRead(1, 1, NOW.replace(minute=0) - 2 * HOUR, wh)])
    feed(rig, [MeterRead(1, 1, NOW.replace(minute=0) - HOUR, wh + 1)], "2")
    assert [row for row in orders(rig) if row[0] == kind] == [(kind, "A1", "open")]
    (order,) = rig.find(WorkOrder, kind=kind)
    assert "not billed until confirmed" in order.detail
    rig.store.write(
        Priority.COMMAND, lambda unit: workorders.close(unit, order.order, NOW, by="li", outcome="cleared") and None
    )
    feed(rig, [MeterRead(1, 1, NOW.replace(minute=0), wh + 500_000_000)], "3")
    assert len(rig.find(WorkOrder, kind=kind)) == 1, "the same event asks nobody twice"


def intervals(rig: Rig, last: int) -> None:
    rows = []
    for back in range(DAYS_BEFORE + 1):
        for hour in range(24):
            wh = (last if back == 0 else 12_000) // 24 + hour % 2
            rows += [Interval(m, 1, MIDNIGHT - back * DAY - (23 - hour) * HOUR, 60, wh) for m in (1, 2)]
    asyncio.run(rig.engine().inbox.accept_intervals("file", "1", rows, NOW))


def test_a_day_is_looked_at_once_and_known_reasons_ask_nobody(rig: Rig) -> None:
    rig.put(Site("M2", transformer="T2"))
    rig.put(Outage("o1", "fault", "over", MIDNIGHT - DAY, NOW, "crew", ended=MIDNIGHT - HOUR, transformer="T2"))
    intervals(rig, 480)
    engine = rig.engine()
    play(rig, engine.rate())
    play(rig, engine.rate())
    assert orders(rig) == [("drop", "A1", "open")], "A2 had no supply, which is a reason"


def test_who_was_disconnected_is_not_asked_why_nothing_was_used(rig: Rig) -> None:
    rig.put(*[Wanted(f"A{n}", Service.DISCONNECTED, NOW - 9 * DAY) for n in (1, 2)])
    intervals(rig, 0)
    play(rig, rig.engine().rate())
    assert orders(rig) == []


def test_load_behind_a_relay_that_we_opened_is_tampering_once(rig: Rig) -> None:
    rig.put(Wanted("A1", Service.DISCONNECTED, NOW - DAY))

    def poll(at: datetime, power_w: int) -> None:
        report = RelayReport("M1", at, RelayState.OPEN, power_w)
        seen = Poll("M1", at, "S1", (MeterRead(1, 1, at, 1_000_000),), report, power_w, register_wh=1_000_000)
        rig.store.write(Priority.COMMAND, lambda unit: visits.keep(unit, seen, "A1", Settings()) and None)

    poll(NOW, 0)
    assert orders(rig) == []
    for n in range(3):
        poll(NOW + n * timedelta(minutes=5), 800)
    assert orders(rig) == [("tamper", "A1", "open")]
    assert "800 W behind a relay that says open" in rig.find(WorkOrder)[0].detail
