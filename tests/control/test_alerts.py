"""The ladder: whichever axis first, once per rung and epoch, everybody at once, and the notices that guard a cut."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control import alerts
from control.policy import template
from control.records import Action, Case, Service
from ingest.records import RelayState
from tests.control.scenes import (
    CNY,
    DAY,
    HOUR,
    MANUAL,
    NOW,
    POLICY,
    PROTECTED,
    hold,
    ready_to_cut,
    well_off,
    with_policy,
)

EVERYBODY = ("customer", "second", "collector", "meter")


def rungs(case: Case, policy: Any = POLICY) -> list[str]:
    """The rungs due, in order, each once."""
    return list(dict.fromkeys(due.rung for due in alerts.due(case, policy)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"accrued_micro": 70 * CNY}, ["money.1"]),
        ({"accrued_micro": 70 * CNY - 1}, []),
        ({"hours_left": 168.0}, ["hours.168"]),
        ({"hours_left": 168.1}, []),
        ({"kwh_left": 50_000}, ["kwh.1"]),
        ({"kwh_left": 50_001}, []),
        ({"hours_left": 100.0, "kwh_left": 9_000}, ["kwh.2"]),
        ({"hours_left": 20.0, "kwh_left": 9_000, "alerts": ("stop.1",)}, ["hours.24"]),
        ({"estimate_micro": 60 * CNY}, ["money.1"]),  # an estimate may warn
        ({"hours_left": None, "kwh_left": None}, []),
        ({"balance_after_payment_micro": 300 * CNY}, ["share.30"]),
        ({"balance_after_payment_micro": 300 * CNY + 1}, ["share.30"]),
        ({"balance_after_payment_micro": 300 * CNY - 4}, []),
        ({"balance_after_payment_micro": 1000 * CNY}, ["share.10"]),
    ],
)
def test_whichever_comes_first(changes: dict[str, Any], expected: list[str]) -> None:
    assert rungs(well_off(**changes)) == expected


def test_a_rung_is_raised_once_by_whichever_axis_and_a_later_one_again() -> None:
    assert rungs(well_off(hours_left=100.0)) == ["hours.168"]
    assert rungs(well_off(hours_left=100.0, alerts=("hours.168",))) == []
    assert rungs(well_off(kwh_left=40_000, alerts=("hours.168",))) == []  # the first rung was raised already
    assert rungs(well_off(kwh_left=9_000, alerts=("hours.168",))) == ["kwh.2"]
    assert rungs(well_off(hours_left=5.0, alerts=("hours.168",))) == ["hours.6", "stop.1"]  # the last speaks for all
    assert rungs(well_off(hours_left=100.0, alerts=("hours.168:customer",))) == []


def test_everybody_is_told_at_the_same_moment_and_the_meter_at_once() -> None:
    night = datetime(2026, 3, 10, 15, 0)  # 23:00 in Shanghai
    found = alerts.due(well_off(hours_left=100.0, now=night), POLICY)
    assert tuple(due.recipient for due in found) == EVERYBODY
    people = {due.not_before for due in found if due.recipient != "meter"}
    assert people == {datetime(2026, 3, 11, 0, 0)}
    assert [due.not_before for due in found if due.recipient == "meter"] == [None]
    assert all(due.not_before is None for due in alerts.due(well_off(hours_left=100.0), POLICY))


def test_over_tier_rides_the_ladder() -> None:
    assert rungs(well_off(tier=0)) == []
    case = well_off(tier=1, tier_period="2026-03")
    assert [(due.rung, due.recipient) for due in alerts.due(case, POLICY)] == [("over_tier.1.2026-03", "customer")]
    assert rungs(replace(case, alerts=("over_tier.1.2026-03",))) == []
    assert rungs(replace(case, alerts=("over_tier.1.2026-02",))) == ["over_tier.1.2026-03"]
    assert rungs(case, with_policy(over_tier=False)) == []


def test_the_next_tier_is_told_ahead_once_and_not_when_it_is_far() -> None:
    """Once per tier and ladder span, to the customer alone, while the tier is up to three days away."""
    near = well_off(tier=0, tier_period="2026-03", next_tier_h=72.0)
    (due,) = alerts.due(near, POLICY)
    assert (due.rung, due.code, due.recipient) == ("over_tier_soon.1.2026-03", "over_tier_soon", "customer")
    assert (due.params["tier"], due.params["tier_days"]) == ("2", "3"), "people count tiers from one"
    assert rungs(replace(near, next_tier_h=72.1)) == []
    assert rungs(replace(near, next_tier_h=None)) == []
    assert rungs(near, with_policy(over_tier_days=2)) == rungs(near, with_policy(over_tier=False)) == []
    assert rungs(replace(near, alerts=("over_tier_soon.1.2026-03",))) == []
    assert rungs(replace(near, alerts=("over_tier.1.2026-03",))) == [], "it was reached before: an estimate, a refund"
    second = replace(near, tier=1, alerts=("over_tier_soon.1.2026-03", "over_tier.1.2026-03"))
    assert rungs(second) == ["over_tier_soon.2.2026-03"]


def test_the_stop_notice_comes_early_enough_and_again_when_too_old() -> None:
    warned = ("hours.72",)
    assert rungs(well_off(hours_left=96.0, alerts=warned)) == ["stop.1"]
    assert rungs(well_off(hours_left=96.1, alerts=warned)) == []
    raised = well_off(hours_left=90.0, alerts=(*warned, "stop.1"))
    assert rungs(raised) == []  # not delivered yet: the channel tries again, no second notice
    fresh = replace(raised, delivered={"stop.1": (NOW - 7 * DAY).isoformat()})
    assert rungs(fresh) == []
    old = replace(raised, delivered={"stop.1": (NOW - 7 * DAY - HOUR).isoformat()})
    assert rungs(old) == ["stop.2"]
    assert rungs(replace(old, alerts=(*old.alerts, "stop.2"))) == []


def test_the_final_notice_comes_when_nothing_else_is_missing() -> None:
    scene = ready_to_cut()
    told = {key: at for key, at in scene.delivered.items() if key != "final.1"}
    case = replace(scene, delivered=told, alerts=("money.1", "share.0", "hours.6", "stop.1"))
    found = alerts.due(case, POLICY)
    assert {due.rung for due in found} == {"final.1"}
    assert all(due.not_before is None for due in found)
    assert found[0].params["earliest"] == "03-10 10:30"
    for changes in (
        {"kill_switch": True},
        {"now": NOW + 10 * HOUR},
        {"holds": (hold("dispute"),)},
        {"relay": RelayState.UNKNOWN},
        {"relay": RelayState.OPEN},
        {"live_action": Action.CONNECT.value, "live_command": "c"},
        {"forecast_sealed_at": None},
    ):
        assert "final.1" not in rungs(replace(case, **changes))  # type: ignore[arg-type]
    assert "final.1" not in rungs(case, MANUAL)  # approval first
    assert "final.1" in rungs(replace(case, approvals=("ann",)), MANUAL)
    old = replace(scene, delivered={**told, "final.1": (NOW - 25 * HOUR).isoformat()})
    assert rungs(old) == ["final.2"]


def test_whoever_cannot_be_cut_is_warned_and_never_told_of_a_cut() -> None:
    case = well_off(hours_left=5.0)
    for one, policy in ((case, PROTECTED), (replace(case, holds=(hold("medical"),)), POLICY)):
        found = alerts.due(one, policy)
        assert {due.rung for due in found} == {"hours.6"}
        assert {due.params["earliest"] for due in found} == {""}
    assert rungs(replace(case, service=Service.DISCONNECTED)) == []
    assert rungs(replace(case, closed=NOW)) == []


def test_a_notice_says_what_it_must() -> None:
    params = alerts.due(well_off(hours_left=30.7, accrued_micro=87_654_321), POLICY)[0].params
    assert params["amount"] == "12.34"
    assert params["hours"] == "30"
    assert params["earliest"] == "03-16 09:00"  # three days of stop notice end on Friday, an eve: Monday
    assert (params["pay"], params["call"]) == ("95598.cn", "95598")
    assert (params["account"], params["currency"]) == ("A1", "CNY")
    assert alerts.params(ready_to_cut(accrued_micro=103_000_001), POLICY, "warning")["needed"] == "4.01"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=25),
    st.sampled_from(["cn-remote", "minigrid"]),
)
def test_no_rung_twice_in_an_epoch(hours: list[tuple[int, bool]], name: str) -> None:
    """S9: running down and being topped up a little repeats no rung and recipient."""
    policy = template(name)["residential"]
    case, sent = well_off(), set()
    left = 60 * CNY
    for used, topped in hours:
        left += 10 * CNY if topped else -used * CNY
        case = replace(
            case,
            now=case.now + used * HOUR,
            accrued_micro=case.posted_micro - left,
            hours_left=max(left / CNY, 0.0) * 4,
            kwh_left=max(left, 0) // 500,
        )
        for due in alerts.due(case, policy):
            assert (due.rung, due.recipient) not in sent
            sent.add((due.rung, due.recipient))
            told = {**case.delivered, due.rung: case.now.isoformat()}
            case = replace(case, alerts=tuple(sorted({*case.alerts, due.rung})), delivered=told)
    levels = [key for key in case.alerts if key.partition(".")[0] in ("money", "kwh", "share", "hours")]
    assert len(levels) <= max(len(policy.money_micro), len(policy.share_percent), len(policy.hours))
