"""Cold-load pickup: who comes back behind one transformer, when, and what is told of who waits."""

from dataclasses import replace
from pathlib import Path

import pytest

from control import pacing, reconcile
from control.records import Action, CommandState, Evidence, Service, Wanted, WorkOrder
from control.settings import CONNECT_REASON_WRONG
from ingest.records import RelayState
from storage.records import Account
from storage.store import Priority
from tests.control.rig import NOW, Rig
from tests.control.test_dispatch import order

S = CommandState


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Five accounts wait behind one transformer of 20 kW; each draws 3 kW: 4 kW may come back in five minutes."""
    rig = Rig(tmp_path, accounts=5)
    for number in range(1, 6):
        holder = rig.get(Account, f"A{number}")
        rig.put(replace(holder, attributes={"transformer": "T1", "transformer_w": "20000"}))  # type: ignore[type-var]
        rig.put(
            Evidence(f"M{number}", RelayState.OPEN, NOW, "read_back", 0),
            Wanted(f"A{number}", Service.DISCONNECTED, NOW),
        )
        rig.link.meters[f"M{number}"].relay = RelayState.OPEN
        order(rig, Action.CONNECT, number=number)
        made = next(row for row in rig.commands() if row.account == f"A{number}")
        rig.put(replace(made, clock_started=NOW))
    return rig


def on(rig: Rig) -> int:
    return sum(meter.relay is RelayState.CLOSED for meter in rig.link.meters.values())


def test_two_at_a_time_and_the_rest_five_minutes_later(rig: Rig) -> None:
    seen = []
    for _ in range(4):
        rig.dispatch(turns=2, pause_s=30)
        seen.append(on(rig))
        rig.clock.forward(250)
    assert seen == [2, 4, 5, 5]
    assert {command.state for command in rig.commands()} == {S.VERIFIED}


def test_without_pacing_all_come_back_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "held_back", lambda *_: "")
    rig.dispatch()
    assert on(rig) == 5


def test_the_wrongly_cut_come_first_and_light_loads_together(rig: Rig) -> None:
    last = next(row for row in rig.commands() if row.account == "A5")
    rig.put(replace(last, reason=CONNECT_REASON_WRONG))
    rig.dispatch()
    assert rig.link.meters["M5"].relay is RelayState.CLOSED
    assert on(rig) == 2
    for number in range(1, 6):
        holder = rig.get(Account, f"A{number}")
        rig.put(replace(holder, attributes={**holder.attributes, "pickup_w": "100"}))  # type: ignore[attr-defined,type-var]
    rig.dispatch(turns=2, pause_s=61)
    rig.dispatch()
    assert on(rig) == 5


def test_the_clock_goes_on_and_the_crews_order_names_pacing(rig: Rig) -> None:
    rig.dispatch()
    waiting = [row for row in rig.commands() if row.state is S.QUEUED]
    assert len(waiting) == 3
    assert all(row.outcome.startswith("pacing: ") and row.clock_started == NOW for row in waiting)
    rig.clock.forward(16 * 60)
    rig.store.write(Priority.COMMAND, lambda unit: reconcile.overdue(unit, rig.world()))
    orders = rig.find(WorkOrder, kind="reconnect")
    assert len(orders) == 3
    assert all(row.detail.startswith("pacing: ") for row in orders)


def test_what_has_left_once_waits_for_nobody(rig: Rig) -> None:
    rig.dispatch()
    one = next(row for row in rig.commands() if row.state is S.QUEUED)
    again = replace(one, attempts=1)
    assert rig.store.read(lambda reader: pacing.held_back(reader, one, rig.world())) != ""
    assert rig.store.read(lambda reader: pacing.held_back(reader, again, rig.world())) == ""
