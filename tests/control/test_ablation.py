"""Remove each guard or rule by name, and a named scenario must go wrong: one without a row here fails too.

The left column is what is removed (a guard is made always true, a rule is taken out), then the scenario, what happens
with the safeguard, and what would happen without it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from control import decide, guards, reconnect, verdicts
from control.policy import Policy
from control.records import Action, Case, Service
from ingest.records import Flag, RelayState
from tests.ablations.guards import removal
from tests.control.scenes import (
    CNY,
    DAY,
    HOUR,
    MANUAL,
    NOW,
    POLICY,
    PROTECTED,
    hold,
    lock,
    paid_and_dark,
    ready_to_cut,
    with_policy,
)

OFF: dict[str, Any] = {"relay": RelayState.OPEN, "service": Service.DISCONNECTED}


@dataclass(frozen=True)
class Row:
    """One safeguard and the story that it prevents."""

    removed: str
    story: str
    case: Case
    right: str  # verdict with the safeguard
    wrong: str  # verdict without it
    policy: Policy = field(default=POLICY)


GUARDS = (
    Row("G1", "paid up, and still cut", ready_to_cut(accrued_micro=99 * CNY), "none", "disconnect"),
    Row("G2", "cut on an estimate", ready_to_cut(read_flags=int(Flag.ESTIMATED)), "hold", "disconnect"),
    Row("G3", "vending was down, nobody could pay", ready_to_cut(channels_reconciled=False), "hold", "disconnect"),
    Row("G4", "cut on a festival", ready_to_cut(), "hold", "disconnect", with_policy(special_days=("03-10",))),
    Row("G5", "cut in a dispute", ready_to_cut(holds=(hold("dispute"),)), "hold", "disconnect"),
    Row("G6", "a bug made everybody negative", ready_to_cut(forecast_exhausts_at=NOW + 9 * DAY), "hold", "disconnect"),
    Row(
        "G7",
        "paid this morning, cut at noon",
        ready_to_cut(last_payment_at=NOW - HOUR, last_payment_micro=4 * CNY, balance_after_payment_micro=CNY),
        "hold",
        "disconnect",
    ),
    Row("G8", "a relay opened under more load than it can break", ready_to_cut(load_w=70_000), "hold", "disconnect"),
    Row("G9", "the kill switch was pulled", ready_to_cut(kill_switch=True), "hold", "disconnect"),
    Row("G10", "a plant stopped without a person", ready_to_cut(), "request_approval", "disconnect", MANUAL),
    Row("G11", "a village cut on the day of its migration", ready_to_cut(migrated=NOW - DAY), "hold", "disconnect"),
    Row("G12", "the neighbour's meter", ready_to_cut(serial_seen="S2"), "hold", "disconnect"),
    Row("G13", "nobody had signed", ready_to_cut(agreement_from=None), "hold", "disconnect"),
)
RETURNS = (
    Row("RG1", "a crew works on the line", paid_and_dark(locks=(lock(),)), "hold", "connect"),
    Row("RG2", "a vacant site comes alive", paid_and_dark(closed=NOW - DAY), "hold", "connect"),
    Row("RG3", "the neighbour's relay is closed", paid_and_dark(serial_seen="S2"), "hold", "connect"),
    Row("RG4", "a generator feeds the open relay", paid_and_dark(voltage_load_v=230), "hold", "connect"),
)
RULES = (
    Row("come_back", "paid, and dark for ever", paid_and_dark(), "connect", "none"),
    Row("cut", "nobody is ever cut", ready_to_cut(), "disconnect", "none"),
    Row("ask", "no person is ever asked", ready_to_cut(), "request_approval", "none", MANUAL),
    Row("stand_still", "no reason on record", ready_to_cut(kill_switch=True), "hold", "none"),
    Row("by_hand", "a clinic's debt is nobody's task", ready_to_cut(), "field_order", "hold", PROTECTED),
    Row("read_back", "an unknown relay stays unknown", ready_to_cut(relay=RelayState.UNKNOWN), "read_back", "none"),
    Row(
        "no_free_supply",
        "no communication is free supply",
        ready_to_cut(read_end=NOW - 4 * DAY, accrued_to=NOW - 4 * DAY),
        "field_order",
        "hold",
    ),
    Row("tell", "nobody is warned", ready_to_cut(accrued_micro=80 * CNY, alerts=(), delivered={}), "alert", "none"),
)


@contextmanager
def without(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same code with one safeguard removed."""
    with monkeypatch.context() as patch:
        removal(name)(patch)
        yield


@pytest.mark.parametrize("row", GUARDS + RETURNS + RULES, ids=lambda row: row.removed)
def test_with_the_safeguard_the_story_goes_well(row: Row) -> None:
    """The check of ``tests/ablations``: red as soon as the safeguard of that name is gone."""
    assert decide.decide(row.case, row.policy).verdict == row.right


@pytest.mark.parametrize("row", GUARDS + RETURNS + RULES, ids=lambda row: row.removed)
def test_without_the_safeguard_the_story_goes_wrong(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    with without(row.removed, monkeypatch):
        assert decide.decide(row.case, row.policy).verdict == row.wrong
    assert decide.decide(row.case, row.policy).verdict == row.right


def test_every_safeguard_has_a_row() -> None:
    assert {row.removed for row in GUARDS} == set(guards.CHECKS) == {f"G{number}" for number in range(1, 14)}
    assert {row.removed for row in RETURNS} == set(reconnect.CHECKS)
    assert {row.removed for row in RULES} == set(verdicts.rules())


SENDS: dict[str, Case] = {
    **{row.removed: row.case for row in GUARDS if row.policy is POLICY},
    "G4": ready_to_cut(clock_ok=False),
    "G10": ready_to_cut(batch=21, approvals=("ann",)),
    "G2 session": ready_to_cut(fresh_read_at=NOW - HOUR),
    "G12 session": ready_to_cut(serial_seen_at=NOW - HOUR),
}


@pytest.mark.parametrize("story", SENDS)
def test_each_guard_stops_the_send_too(story: str) -> None:
    sent, why = decide.may_send(SENDS[story], POLICY)
    assert not sent
    assert why.startswith(f"{story.split()[0]}: ")


@pytest.mark.parametrize("story", SENDS)
def test_without_the_guard_it_is_sent(story: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with without(story.split()[0], monkeypatch):
        assert decide.may_send(SENDS[story], POLICY) == (True, "")


@pytest.mark.parametrize("relay", [state for state in RelayState if state is not RelayState.CLOSED])
def test_only_what_is_known_to_be_on_is_cut(relay: RelayState) -> None:
    assert decide.may_send(ready_to_cut(), POLICY) == (True, "")
    assert not decide.may_send(ready_to_cut(relay=relay), POLICY)[0]
    for live in ({}, {"live_command": "c-1", "live_action": Action.DISCONNECT.value}, OFF):
        case = ready_to_cut(**(live | {"relay": relay}))
        assert decide.decide(case, POLICY).verdict != "disconnect"
