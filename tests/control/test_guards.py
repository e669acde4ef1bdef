"""Each guard alone holds; each has its edges tested at the limit and one past it; what is not known is false."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from control import guards
from control.records import Service
from ingest.records import Flag
from tests.control.scenes import (
    ALL_GUARDS,
    CNY,
    DAY,
    HOUR,
    MANUAL,
    NOW,
    POLICY,
    PROTECTED,
    false_of,
    hold,
    ready_to_cut,
    with_policy,
)

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
OVERDUE: dict[str, Any] = {"mode": "postpaid", "overdue_micro": 40 * CNY, "overdue_since": NOW - 31 * DAY}
SMALL: dict[str, Any] = {"last_payment_micro": 4 * CNY, "balance_after_payment_micro": CNY}

# One change of the scene, and the guards that it makes false at the decision.
CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({"accrued_micro": 100 * CNY}, ["G1"]),  # exactly at the line is not below it
    ({"accrued_micro": 100 * CNY + 1}, []),
    ({"estimate_micro": 90 * CNY, "accrued_micro": 99 * CNY}, ["G1"]),  # an estimate never disconnects
    ({"accrued_to": None}, ["G1", "G2"]),
    ({"mode": "postpaid"}, ["G1", "G6"]),  # what is overdue is not known
    (OVERDUE, []),
    (OVERDUE | {"overdue_since": NOW - 30 * DAY + SECOND}, ["G1"]),
    (OVERDUE | {"overdue_micro": 0}, ["G1"]),
    ({"read_end": None}, ["G2"]),
    ({"read_end": NOW - 2 * HOUR - 30 * MINUTE}, []),
    ({"read_end": NOW - 2 * HOUR - 30 * MINUTE - SECOND}, ["G2"]),
    ({"accrued_to": NOW - 2 * HOUR - 31 * MINUTE}, ["G2"]),  # a young read that was not rated says nothing of money
    ({"read_end": NOW + SECOND, "accrued_to": NOW + SECOND}, ["G2"]),  # from the future
    ({"read_flags": int(Flag.ESTIMATED)}, ["G2"]),
    ({"read_flags": int(Flag.SUSPECT)}, ["G2"]),
    ({"read_flags": int(Flag.CLOCK)}, ["G2"]),
    ({"read_flags": int(Flag.UNCERTAIN)}, ["G2"]),
    ({"read_flags": int(Flag.ROLLOVER)}, ["G2"]),
    ({"read_flags": int(Flag.SWAP)}, ["G2"]),
    ({"read_flags": int(Flag.CONFLICT)}, ["G2"]),
    ({"read_flags": int(Flag.MANUAL | Flag.FINAL | Flag.CONFIRMED)}, []),
    ({"register_monotone": None}, ["G2"]),
    ({"register_monotone": False}, ["G2"]),
    ({"open_fault": "rollover"}, ["G2"]),
    ({"price_change_in_flight": True}, ["G3"]),
    ({"price_change_in_flight": None}, ["G3"]),
    ({"channels_reconciled": False}, ["G3"]),
    ({"channels_reconciled": None}, ["G3"]),
    ({"pending_micro": 3 * CNY, "pending_since": NOW - HOUR}, ["G3"]),  # covers the shortfall
    ({"pending_micro": 3 * CNY - 1, "pending_since": NOW - HOUR}, []),
    ({"pending_micro": 3 * CNY - 1, "pending_since": NOW - HOUR, "last_bill_micro": 0}, ["G3"]),
    ({"pending_micro": 16 * CNY, "pending_since": NOW - HOUR, "accrued_micro": 300 * CNY}, ["G3"]),  # a fifth
    ({"pending_micro": 16 * CNY - 1, "pending_since": NOW - HOUR, "accrued_micro": 300 * CNY}, []),
    ({"pending_micro": 9 * CNY, "pending_since": NOW - 24 * HOUR}, []),  # dies after a day
    ({"pending_micro": 9 * CNY, "pending_since": NOW - 24 * HOUR + SECOND}, ["G3"]),
    ({"pending_micro": 9 * CNY, "pending_since": None}, ["G3"]),
    ({"pending_micro": 9 * CNY, "pending_since": NOW - HOUR, "pending_spent": True}, []),  # once per epoch
    # a bank needs three working days: paid on Thursday, dead on Tuesday
    ({"pending_micro": 9 * CNY, "pending_since": NOW - 5 * DAY + HOUR, "pending_channel": "bank"}, ["G3"]),
    ({"pending_micro": 9 * CNY, "pending_since": NOW - 5 * DAY, "pending_channel": "bank"}, []),
    ({"clock_ok": None}, ["G4"]),
    ({"clock_ok": False}, ["G4"]),
    ({"zone": "Asia/Atlantis"}, ["G4"]),
    ({"override_feed_fresh": None}, ["G5"]),
    ({"override_feed_fresh": False}, ["G5"]),
    ({"service": Service.HELD}, ["G5"]),
    *(
        ({"holds": (hold(kind),)}, ["G5"])
        for kind in ("protected", "keep_power", "dispute", "medical", "migration", "weather", "emergency", "remedy")
    ),
    ({"holds": (hold("weather", account=""),)}, ["G5"]),  # holds everybody
    ({"holds": (hold("dispute", account="A2"),)}, []),  # somebody else's
    ({"holds": (hold("dispute", start=NOW + SECOND),)}, []),
    ({"holds": (hold("dispute", end=NOW),)}, []),  # half-open: over at its end
    ({"holds": (hold("dispute", end=NOW + SECOND),)}, ["G5"]),
    ({"contact_confirmed": None}, ["G6"]),
    ({"contact_confirmed": NOW - 365 * DAY}, []),
    ({"contact_confirmed": NOW - 366 * DAY}, ["G6"]),
    ({"delivered": {}}, ["G6"]),
    ({"forecast_sealed_at": None}, ["G6"]),
    ({"forecast_sealed_at": NOW - 72 * HOUR}, []),
    ({"forecast_sealed_at": NOW - 72 * HOUR + SECOND}, ["G6"]),
    ({"forecast_exhausts_at": None}, ["G6"]),
    ({"forecast_exhausts_at": NOW + 24 * HOUR}, []),
    ({"forecast_exhausts_at": NOW + 24 * HOUR + SECOND}, ["G6"]),  # a bug: the forecast had not seen it
    ({"last_payment_at": NOW - 3 * DAY}, ["G6"]),  # sealed before a payment that lifted the status to ok
    ({"last_payment_at": NOW - 24 * HOUR, "forecast_sealed_at": NOW - 10 * DAY}, ["G6"]),
    ({"last_payment_at": NOW - 24 * HOUR + SECOND}, ["G6", "G7"]),
    (SMALL | {"last_payment_at": NOW - 24 * HOUR}, []),
    (SMALL | {"last_payment_at": NOW - 24 * HOUR + SECOND}, ["G7"]),  # covered the shortfall of its moment
    ({"last_payment_at": NOW - HOUR, "last_payment_micro": CNY, "balance_after_payment_micro": -CNY}, []),  # too small
    ({"last_payment_at": None}, []),
    ({"load_w": None}, ["G8"]),
    ({"relay_limit_w": None}, ["G8"]),
    ({"load_w": 60_000}, ["G8"]),
    ({"load_w": -60_000}, ["G8"]),
    ({"load_w": 59_999}, []),
    ({"breaker_open": True}, ["G9"]),
    ({"breaker_open": None}, ["G9"]),
    ({"kill_switch": True}, ["G9"]),
    ({"batch": 20}, []),
    ({"batch": 21}, ["G10"]),
    ({"batch": 21, "approvals": ("ann",)}, ["G10"]),
    ({"batch": 21, "approvals": ("ann", "ann")}, ["G10"]),
    ({"batch": 21, "approvals": ("ann", "engine")}, ["G10"]),  # the requester is no approver
    ({"batch": 21, "approvals": ("ann", "bob")}, []),
    ({"requester": "eve"}, ["G10"]),  # a disconnection by hand passes every guard too
    ({"requester": "eve", "approvals": ("eve",)}, ["G10"]),
    ({"requester": "eve", "approvals": ("ann",)}, []),
    ({"migrated": NOW - 30 * DAY}, []),
    ({"migrated": NOW - 30 * DAY + SECOND}, ["G11"]),
    ({"migrated": NOW + DAY}, ["G11"]),
    ({"remote_relay": False}, ["G12"]),
    ({"serial_seen": "S2"}, ["G12"]),
    ({"serial_seen": ""}, ["G12"]),
    ({"serial_seen": "", "serial_expected": ""}, ["G12"]),
    ({"serial_seen_at": None}, ["G12"]),
    ({"serial_seen_at": NOW - 3 * HOUR}, ["G12"]),
    ({"proved": None}, ["G12"]),
    ({"installed": None}, ["G12"]),
    ({"proved": NOW - 401 * DAY}, ["G12"]),  # proved before the swap
    ({"agreement_from": None}, ["G13"]),
    ({"agreement_from": NOW + SECOND}, ["G13"]),
    ({"agreement_to": NOW}, ["G13"]),
    ({"agreement_to": NOW + SECOND}, []),
    ({"closed": NOW}, ["G13"]),
]


def test_the_scene_passes_every_guard() -> None:
    for at_send in (False, True):
        found = guards.evaluate(ready_to_cut(), POLICY, at_send)
        assert [guard.name for guard in found] == list(ALL_GUARDS)
        assert false_of(found) == []
        assert all(guard.because for guard in found)


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=[str(number) for number in range(len(CHANGES))])
def test_each_change_makes_its_guard_false(change: dict[str, Any], expected: list[str]) -> None:
    case = ready_to_cut(**change)
    assert false_of(guards.evaluate(case, POLICY)) == expected
    assert set(false_of(guards.evaluate(case, POLICY, at_send=True))) >= set(expected)


def test_every_guard_is_made_false_alone_by_some_change() -> None:
    alone = {expected[0] for _, expected in CHANGES if len(expected) == 1}
    assert alone == set(ALL_GUARDS)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"fresh_read_at": None}, ["G2"]),
        ({"fresh_read_at": NOW - 15 * MINUTE}, []),
        ({"fresh_read_at": NOW - 15 * MINUTE - SECOND}, ["G2"]),
        ({"load_w": None}, ["G2", "G8"]),
        ({"serial_seen_at": NOW - 15 * MINUTE}, []),
        ({"serial_seen_at": NOW - 15 * MINUTE - SECOND}, ["G12"]),
    ],
)
def test_the_send_asks_for_a_fresh_session(change: dict[str, Any], expected: list[str]) -> None:
    assert false_of(guards.evaluate(ready_to_cut(**change), POLICY, at_send=True)) == expected


@pytest.mark.parametrize(
    ("told", "ago", "expected"),
    [
        ("final.1", 30 * MINUTE, []),
        ("final.1", 30 * MINUTE - SECOND, ["G6"]),
        ("final.1", 24 * HOUR, []),
        ("final.1", 24 * HOUR + SECOND, ["G6"]),
        ("stop.1", 3 * DAY, []),
        ("stop.1", 3 * DAY - SECOND, ["G6"]),
        ("stop.1", 7 * DAY, []),
        ("stop.1", 7 * DAY + SECOND, ["G6"]),
        ("money.1", 24 * HOUR, []),
        ("money.1", 24 * HOUR - SECOND, ["G6"]),
    ],
)
def test_notices_are_delivered_in_their_time(told: str, ago: timedelta, expected: list[str]) -> None:
    case = ready_to_cut()
    changed = replace(case, delivered={**case.delivered, told: (NOW - ago).isoformat()})
    assert false_of(guards.evaluate(changed, POLICY)) == expected


def test_a_delivery_that_cannot_be_read_proves_nothing() -> None:
    case = ready_to_cut()
    for broken in ("yesterday", "", "2026-13-01"):
        changed = replace(case, delivered={**case.delivered, "final.1": broken})
        assert false_of(guards.evaluate(changed, POLICY)) == ["G6"]
    zoned = replace(case, delivered={**case.delivered, "final.1": "2026-03-10T09:00:00+08:00"})
    assert false_of(guards.evaluate(zoned, POLICY)) == []


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (-1.0, []),  # 09:00 local
        (-1.001, ["G4"]),
        (5.999, []),
        (6.0, ["G4"]),  # 16:00 local: half-open
        (10.0, ["G4"]),  # 20:00, night
        (2 * 24.0, []),  # Thursday
        (3 * 24.0, ["G4"]),  # Friday, eve of a day off
        (4 * 24.0, ["G4"]),  # Saturday
        (5 * 24.0, ["G4"]),  # Sunday
    ],
)
def test_the_window(hours: float, expected: list[str]) -> None:
    now = NOW + timedelta(hours=hours)
    assert guards.g4(ready_to_cut(now=now), POLICY, False).value is (expected == [])


def test_classes_that_are_never_cut_remotely_and_those_that_need_a_person() -> None:
    assert false_of(guards.evaluate(ready_to_cut(), PROTECTED)) == ["G5", "G10"]
    assert false_of(guards.evaluate(ready_to_cut(), MANUAL)) == ["G10"]
    assert false_of(guards.evaluate(ready_to_cut(approvals=("ann",)), MANUAL)) == []


def test_without_stop_notice_days_no_stop_notice_is_asked_for() -> None:
    case = ready_to_cut()
    told = {key: at for key, at in case.delivered.items() if not key.startswith("stop")}
    assert false_of(guards.evaluate(replace(case, delivered=told), POLICY)) == ["G6"]
    assert false_of(guards.evaluate(replace(case, delivered=told), with_policy(stop_notice_days=0))) == []
