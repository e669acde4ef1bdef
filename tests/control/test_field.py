"""Handhelds at the desk: replays, bursts, positions, mended records, swaps, checks, orders, routes."""

import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from control import calls, entries
from control.engine import Engine
from control.fieldbook import Entry, Route, Site
from control.records import WorkOrder
from control.signals import Visit
from ingest.records import Finding, Flag, HandheldMessage, HandheldReply, MeterPoint, MeterRead
from storage.records import Install
from tests.control.rig import DAY, HOUR, NOW, SETTINGS, Rig
from tests.control.test_engine import play

HERE = (30.2741, 120.1551)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path, settings=replace(SETTINGS, offload=False), accounts=3)
    for number in (1, 2, 3):
        north = HERE[0] + number * 100 / 111_195
        made.put(Visit(f"M{number}", NOW - 30 * DAY, f"S{number}", 999_000, 400, 0, True))
        made.put(Site(f"M{number}", north, HERE[1], "T1", "F1", "R1", number))
    made.put(Route("R1", "li", 15))
    return made


def message(n: int = 1, kind: str = "confirm", **changes: Any) -> HandheldMessage:
    base: dict[str, Any] = {"meter": "M1", "serial": "", "person": "li"}
    if kind in ("confirm", "read", "check", "mend"):
        base["register_wh"] = 1_000_500
    return HandheldMessage(f"m-{n}", "A7", kind, n, NOW, **{**base, **changes})


def send(rig: Rig, *messages: HandheldMessage, engine: Engine | None = None) -> list[HandheldReply]:
    desk = engine or rig.engine()

    async def all_of_them() -> list[HandheldReply]:
        return [await desk.handheld(one) for one in messages]

    return play(rig, all_of_them())


def reads(rig: Rig, meter_id: int = 1) -> list[tuple[int, int]]:
    rows = rig.store.reads(NOW - 60 * DAY, NOW + 2 * DAY, [meter_id], 1).to_pylist()
    return [(row["register_wh"], row["flags"]) for row in rows]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (message(1, register_wh=1_000_501), "message_id_used"),
        (replace(message(1), message_id="m-other"), "seq_used"),
        (replace(message(2), at=NOW - 46 * DAY), "too_old"),
        (replace(message(2), at=NOW + 16 * MINUTE), "clock_ahead"),
    ],
)
def test_a_replay_is_refused_by_name_counted_and_changes_nothing(rig: Rig, second: HandheldMessage, why: str) -> None:
    first, again = send(rig, message(1), second)
    assert (first.status, again.status, again.reason) == ("accepted", "refused", why)
    assert [row.code for row in rig.find(Finding)] == [f"handheld_{why}"] or why in {
        row.code.removeprefix("handheld_") for row in rig.find(Finding)
    }
    assert [wh for wh, _ in reads(rig)] == [1_000_500]
    assert len(rig.find(Entry)) == 1


def test_a_sequence_number_far_below_the_highest_is_refused_and_one_inside_the_window_is_not(rig: Rig) -> None:
    high = entries.SEQ_WINDOW + 5
    first, low, inside = send(
        rig, replace(message(1), seq=high), replace(message(2), seq=4), replace(message(3, "position"), seq=5)
    )
    assert (first.status, low.reason, inside.status) == ("accepted", "stale_seq", "accepted")


def test_hours_of_messages_in_any_order_twice_give_the_same_reads_and_record(tmp_path: Path) -> None:
    burst = [
        replace(
            message(n, "confirm" if n % 3 else "position", register_wh=1_000_000 + n * 100),
            at=NOW - 6 * HOUR + n * 5 * MINUTE, latitude=HERE[0], longitude=HERE[1],
        )
        for n in range(1, 31)
    ]  # fmt: skip
    seen = []
    for turn in range(3):
        rig = Rig(tmp_path / str(turn), settings=replace(SETTINGS, offload=False))
        rig.put(Visit("M1", NOW - 30 * DAY, "S1", 999_000, 400, 0, True))
        order = [*burst, *burst[::2]]
        if turn:
            random.Random(turn).shuffle(order)
        replies = send(rig, *order)
        assert sorted({reply.status for reply in replies}) == ["accepted", "duplicate"]
        record = [
            (entry.message_id, entry.at, found.findings)
            for entry, found in rig.store.read(lambda r: entries.record(r, NOW - DAY, NOW + DAY))
        ]
        seen.append((reads(rig), record))
        assert [name for name, _, _ in record] == [f"m-{n}" for n in range(1, 31)]
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0][0]) == 20


def test_far_fast_and_no_position_are_flagged_and_never_refused(rig: Rig) -> None:
    there = {"latitude": HERE[0] + 0.02, "longitude": HERE[1], "accuracy_m": 5.0}
    here = {"latitude": HERE[0], "longitude": HERE[1], "accuracy_m": 5.0}
    told = send(
        rig,
        replace(message(1, **here), at=NOW - 30 * MINUTE),
        replace(message(2, register_wh=1_000_600, **there), at=NOW - 29 * MINUTE),
        replace(message(3, register_wh=1_000_700), at=NOW - 28 * MINUTE),
    )
    assert [reply.status for reply in told] == ["accepted"] * 3
    record = rig.store.read(lambda reader: entries.record(reader, NOW - DAY, NOW, person="li"))
    assert [seen.findings for _, seen in record] == [(), ("far", "fast"), ("no_position",)]
    codes = [row.code for row in rig.find(Finding) if row.code.startswith("handheld")]
    assert sorted(codes) == ["handheld_far", "handheld_fast", "handheld_no_position"]


def test_a_misread_is_mended_by_another_person_only_and_the_bill_follows(rig: Rig) -> None:
    before = replace(message(1, register_wh=1_000_000), at=NOW - 2 * HOUR)
    wrong = replace(message(2, register_wh=1_072_000), at=NOW - HOUR)
    mend = message(3, "mend", supersedes="m-2", register_wh=1_027_000, person="wang")
    engine = rig.engine()
    told = send(
        rig,
        before,
        wrong,
        replace(mend, message_id="m-4", seq=4, person="Li "),
        replace(mend, message_id="m-5", seq=5, supersedes="m-9"),
        replace(mend, message_id="m-6", seq=6, register_wh=900_000),
        mend,
        mend,
        engine=engine,
    )
    assert [(reply.status, reply.reason) for reply in told] == [
        ("accepted", ""), ("accepted", ""), ("refused", "same_person"), ("refused", "unknown_record"),
        ("refused", "does_not_fit"), ("accepted", ""), ("duplicate", ""),
    ]  # fmt: skip
    assert [wh for wh, _ in reads(rig)] == [1_000_000, 1_027_000]
    assert reads(rig)[1][1] == int(Flag.MANUAL | Flag.FINAL | Flag.CONFIRMED)
    energy = rig.store.intervals(NOW - DAY, NOW, [1]).to_pylist()
    assert sum(row["energy_wh"] for row in energy) == 27_000, "the intervals follow the mended record"


def test_a_swap_with_both_registers_is_carried_out_once(rig: Rig) -> None:
    swap = message(2, "swap", serial="S77", register_wh=20, serial_out="S1", register_out_wh=1_000_900)
    told = send(rig, replace(message(1), at=NOW - HOUR), swap, swap)
    assert [reply.status for reply in told] == ["accepted", "accepted", "duplicate"]
    old, new = rig.store.read(lambda reader: reader.find(Install, meter="M1", order="start"))
    assert (old.end, new.start, new.serial, new.proved, new.end) == (NOW, NOW, "S77", None, None)
    (point,) = rig.find(MeterPoint, meter="M1")
    assert point.serial == "S77", "the collector expects the new meter from now on"
    assert [wh for wh, _ in reads(rig)] == [1_000_500, 1_000_900, 20]
    energy = rig.store.intervals(NOW - DAY, NOW + DAY, [1]).to_pylist()
    assert sum(row["energy_wh"] for row in energy) == 400, "the jump to the new meter's register is no energy"
    later = send(rig, replace(message(3, serial="S77", register_wh=1_020), at=NOW + 10 * MINUTE))
    assert later[0].status == "accepted"
    energy = rig.store.intervals(NOW - DAY, NOW + DAY, [1]).to_pylist()
    assert sum(row["energy_wh"] for row in energy) == 1_400


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"serial_out": "S9"}, "other_meter_taken_down"),
        ({"register_out_wh": 5}, "last_register_below_what_was_read"),
    ],
)
def test_a_swap_that_does_not_fit_is_an_order_and_changes_nothing(rig: Rig, changes: dict[str, Any], why: str) -> None:
    swap = message(2, "swap", serial="S77", register_wh=20, serial_out="S1", register_out_wh=1_000_900)
    _, told, again = send(rig, replace(message(1), at=NOW - HOUR), replace(swap, **changes), replace(swap, **changes))
    assert (told.status, told.reason, again.status) == ("held", why, "duplicate")
    assert [row.kind for row in rig.find(WorkOrder)] == ["meter_swap"]
    assert [row.serial for row in rig.find(Install, meter="M1")] == ["S1"]
    assert [wh for wh, _ in reads(rig)] == [1_000_500]


def test_an_on_site_check_that_differs_is_one_order(rig: Rig) -> None:
    rig.put(Visit("M1", NOW - 20 * MINUTE, "S1", 1_000_000, 400, 0, True))
    good, bad = send(rig, message(1, "check"), message(2, "check", register_wh=1_900_000))
    assert (good.status, bad.status, bad.reason) == ("accepted", "held", "differs from the remote read")
    (order,) = rig.find(WorkOrder)
    assert (order.kind, order.account) == ("meter_check", "A1")
    assert reads(rig) == [], "a check is no read"


def test_no_access_leaves_an_order_open_and_a_finding_on_site_closes_it(rig: Rig) -> None:
    send(rig, message(1, "no_access", photo="a7/1.jpg"))
    (order,) = rig.find(WorkOrder)
    assert order.detail == "a7/1.jpg"
    told = send(
        rig,
        message(2, "resolve", meter="", order=order.order, outcome="no_access"),
        message(3, "resolve", meter="", order=order.order, outcome="cleared", detail="key found"),
        message(4, "resolve", meter="", order=order.order, outcome="cleared"),
        message(5, "resolve", meter="", order="w-none", outcome="cleared"),
    )
    assert [(reply.status, reply.reason) for reply in told] == [
        ("accepted", ""), ("accepted", ""), ("held", "order_ended"), ("held", "unknown_order"),
    ]  # fmt: skip
    (closed,) = rig.find(WorkOrder)
    assert (closed.state, closed.outcome, closed.closed_by, closed.found) == ("done", "cleared", "li", "key found")


def test_a_suspect_read_that_a_person_confirms_is_billed(rig: Rig) -> None:
    engine = rig.engine()
    rows = [MeterRead(1, 1, NOW - n * HOUR, wh) for n, wh in ((3, 1_000_000), (2, 1_000_400), (1, 9_000_400))]

    async def read() -> None:
        await engine.inbox.accept("poll", "1", rows, NOW)
        await engine.rate()

    play(rig, read())
    (order,) = rig.find(WorkOrder)
    assert (order.kind, order.account) == ("spike", "A1")
    billable = [row for row in rig.store.intervals(NOW - DAY, NOW, [1]).to_pylist() if not row["flags"] & 2]
    assert sum(row["energy_wh"] for row in billable) == 400
    told = send(rig, message(1, "resolve", order=order.order, outcome="confirmed"), engine=engine)
    again = send(rig, message(1, "resolve", order=order.order, outcome="confirmed"), engine=engine)
    assert (told[0].status, again[0].status) == ("accepted", "duplicate")
    energy = rig.store.intervals(NOW - DAY, NOW, [1]).to_pylist()
    assert sum(row["energy_wh"] for row in energy if not row["flags"] & 2) == 8_000_400
    assert rig.find(WorkOrder)[0].state == "done"


def test_a_position_proposes_who_is_near_and_the_route_who_is_due(rig: Rig) -> None:
    rig.put(*[replace(rig.find(MeterPoint, meter=f"M{n}")[0], protocol="mqtt") for n in (1, 2, 3)])
    here = {"meter": "", "latitude": HERE[0], "longitude": HERE[1], "accuracy_m": 10.0}
    near, due = send(rig, message(1, "candidates", **here), message(2, "route", **here))
    assert [(item["meter"], item["away_m"]) for item in near.items] == [("M1", "100"), ("M2", "200"), ("M3", "300")]
    assert near.items[0]["account"] == "A1"
    assert [(item["meter"], item["reason"]) for item in due.items] == [(f"M{n}", "reading") for n in (1, 2, 3)]
    (nobody,) = send(rig, message(3, "route", **{**here, "person": "wang"}))
    assert nobody.items == ()
    send(rig, message(4, register_wh=1_000_500))
    (left,) = send(rig, message(5, "route", **here))
    assert [item["meter"] for item in left.items] == ["M2", "M3"], "who was read is due no more"


def test_punctuality_counts_what_was_read_two_days_around_its_day(rig: Rig) -> None:
    rig.put(*[replace(rig.find(MeterPoint, meter=f"M{n}")[0], protocol="mqtt") for n in (1, 2, 3)])
    send(
        rig,
        replace(message(1, register_wh=1_000_100), at=NOW - 2 * DAY),
        replace(message(2, meter="M2", register_wh=1_000_100), at=NOW - 4 * DAY),
    )
    found = rig.store.read(lambda r: calls.punctuality(r, date(2024, 5, 1), date(2024, 6, 1), NOW + 10 * DAY))
    assert [(row.meter, row.reader, row.kept.word, row.kept.off_days) for row in found] == [
        ("M1", "li", "on_time", -2), ("M2", "li", "early", -4), ("M3", "li", "missing", None),
    ]  # fmt: skip


def test_a_remote_meter_is_due_three_cycles_after_somebody_stood_before_it(rig: Rig) -> None:
    def due() -> dict[str, str]:
        return {call.meter: call.reason for call in rig.store.read(lambda reader: calls.due(reader, NOW))}

    assert due() == dict.fromkeys(("M1", "M2", "M3"), "verification"), "proved 199 days ago"
    send(rig, message(1, "check", register_wh=999_500))
    assert set(due()) == {"M2", "M3"}
