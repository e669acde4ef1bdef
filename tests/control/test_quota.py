"""The breaker where it must hold: in every pass, at every send, and for batches that two persons approve."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import assemble, carry, commands, passes, quota
from control.records import Action, Command, CommandState, Incident
from control.signals import Signal
from storage.records import Account
from storage.store import Priority
from storage.unit import Unit
from tests.control.rig import DAY, NOW, Rig
from tests.control.test_dispatch import order

S = CommandState
TODAY = f"{NOW:%Y-%m-%d}"


def sent(rig: Rig, count: int, state: CommandState = S.VERIFIED, account: str = "B") -> None:
    """So many disconnections of others left today."""
    for number in range(count):
        made = commands.make(
            Action.DISCONNECT, account=account, meter=f"X{number}", fence=1, at=NOW, decision="d",
            policy_version="p", reason="exhausted",
        )  # fmt: skip
        rig.put(replace(made, state=state, sent_at=NOW - timedelta(minutes=10), attempts=1))


def more(rig: Rig, count: int) -> None:
    """So many more accounts, all well."""
    holder = rig.get(Account, "A1")
    rig.put(*(replace(holder, account=f"Z{number:04}", klass="none") for number in range(count)))  # type: ignore[type-var]


def held(rig: Rig) -> str:
    mine = rig.find(Command, account="A1")[0]
    return rig.store.read(lambda reader: quota.held_back(reader, "A1", rig.world(), mine))


def test_no_more_leave_than_the_day_allows_however_they_were_queued(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=3)
    for number in (1, 2, 3):
        order(rig, number=number)
    rig.dispatch(turns=3, pause_s=5)
    assert len(rig.link.drives) == 1, "the floor of a village is one"
    assert {command.state for command in rig.commands()} == {S.VERIFIED, S.QUEUED}
    assert "today's 1" in " ".join(command.outcome for command in rig.commands())
    rig.put(Signal(quota.RELEASED, TODAY, NOW, "ann,bob"))
    rig.clock.forward(61)
    rig.facts_now()
    rig.dispatch(turns=3, pause_s=5)
    assert len(rig.link.drives) == 3


def test_without_the_gate_at_the_send_they_all_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, accounts=3)
    for number in (1, 2, 3):
        order(rig, number=number)
    monkeypatch.setattr(quota, "held_back", lambda *_, **__: "")
    rig.dispatch(turns=3, pause_s=5)
    assert len(rig.link.drives) == 3


def test_a_ring_waits_for_the_one_before_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    more(rig, 400)
    rig.put(Signal(quota.RELEASED, TODAY, NOW, "ann,bob"))
    order(rig)
    sent(rig, 9)
    assert held(rig) == ""
    sent(rig, 10, S.UNKNOWN)
    assert held(rig).startswith("10 of the ring of 10")
    sent(rig, 10)
    assert held(rig) == ""


def test_a_feeder_loses_a_tenth_an_hour(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    more(rig, 400)
    holder = rig.get(Account, "A1")
    rig.put(*(replace(holder, account=name, feeder="F1") for name in ("A1", "B", "C")))  # type: ignore[type-var]
    order(rig)
    assert held(rig) == ""
    sent(rig, 1)
    assert held(rig) == "1 have left on feeder F1 within the hour"
    rig.clock.forward(3600)
    assert held(rig) == ""


def test_its_own_earlier_drive_keeps_no_order_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    order(rig)
    rig.put(replace(rig.command(), sent_at=NOW, attempts=1))
    assert held(rig) == ""


def test_a_pass_over_some_goes_by_what_the_pass_over_all_foresaw(tmp_path: Path) -> None:
    """Ten left today, well within the cap of the day: one more from a sweep is no storm."""
    rig = Rig(tmp_path)
    more(rig, 4000)
    for week in (1, 2, 3, 4):
        at = NOW - week * 7 * DAY
        for number in range(40):
            made = commands.make(
                Action.DISCONNECT, account="B", meter=f"O{week}{number}", fence=1, at=at, decision="d",
                policy_version="p", reason="exhausted",
            )  # fmt: skip
            rig.put(replace(made, state=S.VERIFIED, sent_at=at, attempts=1))
    sent(rig, 22)
    rig.put(Signal(quota.FORESEEN, f"{TODAY}:100", NOW))
    report = asyncio.run(passes.decide_all(rig.store, rig.world(), ["A1"]))
    assert report.quarantined == 1, "0.5 % of 4000 accounts a day is 20"
    assert [row.kind for row in rig.find(Incident)] == ["breaker_tripped"]
    rig.store.write(Priority.BATCH, lambda unit: unit.delete(Signal, "breaker"))
    more(rig, 20_000)
    report = asyncio.run(passes.decide_all(rig.store, rig.world(), ["A1"]))
    assert (report.quarantined, len(report.commands)) == (0, 1)


def test_a_batch_over_k_asks_two_different_persons(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=3)
    rig.rules = replace(rig.rules, batch_k=2)
    rig.put(Signal(quota.RELEASED, TODAY, NOW, "ann,bob"))
    engine = rig.engine()
    report = asyncio.run(engine.decide())
    assert report.verdicts == {"request_approval": 3}
    assert {command.state for command in rig.commands()} == {S.REQUESTED}
    first = rig.commands()[0].command

    async def approve(*names: str) -> CommandState:
        for name in names:
            await engine.approve(first, name)
        return rig.get(Command, first).state  # type: ignore[attr-defined, no-any-return]

    assert asyncio.run(approve("ann", "ann", " Ann ", "ANN")) is S.REQUESTED
    assert asyncio.run(approve("bob")) is S.QUEUED
    assert rig.get(Command, first).approvals == ("ann", "bob")  # type: ignore[attr-defined]


def test_a_batch_up_to_k_asks_nobody(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=3)
    rig.rules = replace(rig.rules, batch_k=3)
    rig.put(Signal(quota.RELEASED, TODAY, NOW, "ann,bob"))
    assert asyncio.run(rig.engine().decide()).verdicts == {"disconnect": 3}


def test_the_requester_is_no_approver_however_the_name_is_written(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    order(rig)
    rig.put(replace(rig.command(), state=S.REQUESTED, requester="ann", needs_approval=True))
    for name in ("ann", " Ann", "", "  "):
        done = rig.store.write(
            Priority.COMMAND,
            lambda unit, name=name: passes.approve(unit, rig.command().command, name, rig.world()),  # type: ignore[misc]
        )
        assert done is None
    assert rig.command().approvals == ()


def test_who_came_to_be_due_after_the_breaker_was_asked_waits(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    def work(unit: Unit) -> list[str]:
        case = assemble.case(unit, "A1", rig.world())
        assert case is not None
        return [
            carry.carry(unit, case, rig.world(), admitted=names).command for names in (frozenset(), frozenset({"A1"}))
        ]

    none, made = rig.store.write(Priority.COMMAND, work)
    assert none == "" and made
