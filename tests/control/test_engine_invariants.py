"""Each checker of a broken promise can turn red: the promise is broken by hand, behind the engine's back."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import decide, explain, invariants
from control.canonical import loads
from control.records import (
    Action,
    Case,
    CommandEvent,
    CommandState,
    Decision,
    Evidence,
    Fence,
    Hold,
    Incident,
    Notice,
    Service,
    Wanted,
)
from control.signals import KILL_SWITCH, Signal
from ingest.records import RelayState
from storage.records import AuditRow, Payment
from storage.store import Priority
from tests.control.rig import CNY, DAY, HOUR, NOW, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    engine = rig.engine()

    async def cut_and_pay() -> None:
        await engine.decide()
        await engine.dispatch()
        rig.clock.forward(60)
        await engine.pay(rig.payment())
        await engine.dispatch()

    asyncio.run(cut_and_pay())
    assert broken(rig) == set()
    return rig


def broken(rig: Rig) -> set[str]:
    found = rig.store.read(lambda reader: invariants.check(reader, rig.clock.now(), rig.settings))
    return {violation.id for violation in found}


def sql(text: str) -> Callable[[Rig], None]:
    def work(rig: Rig) -> None:
        for statement in text.split(";"):
            rig.store.write(Priority.BATCH, lambda unit, one=statement: unit.connection.execute(one))  # type: ignore[misc]

    return work


def lost_payment(rig: Rig) -> None:
    rig.put(Payment("webhook", "P9", "A1", 5 * CNY, "CNY", NOW, NOW))


def unrecorded_send(rig: Rig) -> None:
    command = rig.commands()[0]
    rig.store.write(
        Priority.BATCH,
        lambda unit: unit.add(CommandEvent(command.command, 0, NOW, "send", "queued", "sent", "d-nothing")),
    )


def false_guard(rig: Rig) -> None:
    command = rig.commands()[0]
    record = rig.find(Decision)[0]
    guards = tuple(replace(guard, value=guard.name != "G5") for guard in record.guards)
    forged = replace(record, decision="d-forged", guards=guards)

    def work(unit):  # type: ignore[no-untyped-def]
        unit.add(forged)
        unit.add(CommandEvent(command.command, 0, NOW, "send", "queued", "sent", "d-forged"))

    rig.store.write(Priority.BATCH, work)


def lowered_fence(rig: Rig) -> None:
    rig.put(Fence("M1", 0))


def late_send(rig: Rig) -> None:
    rig.put(replace(rig.commands()[0], valid_until=NOW - HOUR))


def shared_fence(rig: Rig) -> None:
    rig.put(replace(rig.commands()[0], command="c-twin"))


def two_live(rig: Rig) -> None:
    for name in ("c-1", "c-2"):
        rig.put(replace(rig.command(), command=name, state=CommandState.QUEUED, fence=90 + len(name), next_at=NOW))


def step_after_the_end(rig: Rig) -> None:
    command = rig.command().command
    rig.store.write(Priority.BATCH, lambda unit: unit.add(CommandEvent(command, 0, NOW, "retry", "verified", "queued")))


def held_all_along(rig: Rig) -> None:
    rig.put(Hold("h1", "A1", "medical", "clinic", NOW - DAY))


def race_without_incident(rig: Rig) -> None:
    command = rig.commands()[0]
    rig.store.write(
        Priority.BATCH,
        lambda unit: unit.add(CommandEvent(command.command, 0, NOW, "supersede", "sent", "superseded", "payment")),
    )


def told_twice(rig: Rig) -> None:
    rig.put(replace(rig.find(Notice)[0], notice="n-again"))


def sent_after_the_kill_switch(rig: Rig) -> None:
    rig.put(Signal(KILL_SWITCH, "on", NOW - HOUR, "op"))


def changed_audit(rig: Rig) -> None:
    rig.store.write(Priority.BATCH, lambda unit: unit.audit("ada", "a", "b", {}, NOW))
    row = rig.find(AuditRow)[0]
    sql(f"DROP TRIGGER audit_no_update; UPDATE audit SET actor = 'eve' WHERE seq = {row.seq}")(rig)


def approved_by_oneself(rig: Rig) -> None:
    rig.put(replace(rig.command(), approvals=("ada",), requester="ada"))


def dark_without_crew(rig: Rig) -> None:
    rig.put(replace(rig.command(), state=CommandState.QUEUED, next_at=NOW + DAY))
    rig.clock.forward(3600)


def open_and_forgotten(rig: Rig) -> None:
    rig.put(Evidence("M1", RelayState.OPEN, NOW, "read_back"), Wanted("A1", Service.CONNECTED, NOW))
    rig.clock.forward(3600)


def forgotten_unknown(rig: Rig) -> None:
    cut = replace(rig.command(), action=Action.DISCONNECT, state=CommandState.UNKNOWN, command="c-lost", fence=77)
    rig.put(cut)
    rig.clock.forward(3 * 3600)


def forgotten_notice(rig: Rig) -> None:
    rig.put(replace(rig.find(Notice)[0], state="queued", rung="money.9", created=NOW))
    rig.clock.forward(3 * 3600)


@pytest.mark.parametrize(
    ("rule", "breach"),
    [
        ("S1", lost_payment),
        ("S2", sql("UPDATE ledger_balance SET amount_micro = amount_micro + 1 WHERE ledger_account = 'customer:A1'")),
        ("S3", unrecorded_send),
        ("S3", false_guard),
        ("S4", lowered_fence),
        ("S4", late_send),
        ("S4", shared_fence),
        ("S5", two_live),
        ("S5", step_after_the_end),
        ("S6", held_all_along),
        ("S7", race_without_incident),
        ("S9", told_twice),
        ("S10", sent_after_the_kill_switch),
        ("S11", changed_audit),
        ("S11", approved_by_oneself),
        ("L1", dark_without_crew),
        ("L2", open_and_forgotten),
        ("L3", forgotten_unknown),
        ("L5", forgotten_notice),
    ],
)
def test_a_broken_promise_is_seen(rig: Rig, rule: str, breach: Callable[[Rig], None]) -> None:
    breach(rig)
    assert rule in broken(rig)


def test_since_looks_through_the_new_part_of_the_journals_only(rig: Rig) -> None:
    false_guard(rig)
    later = NOW + timedelta(days=1)
    found = rig.store.read(lambda reader: invariants.check(reader, rig.clock.now(), rig.settings, since=later))
    assert found == [] and rig.find(Incident) == []


def test_the_record_of_a_send_re_derives_every_guard_as_strictly_as_the_send(rig: Rig) -> None:
    sent = next(row for row in rig.find(CommandEvent, event="send") if row.command == rig.commands()[0].command)
    record = rig.get(Decision, sent.detail)
    assert isinstance(record, Decision)
    case = loads(Case, record.case)
    assert case.at_send and explain.holds_up(record, rig.rules)
    stale = replace(case, fresh_read_at=case.now - HOUR, serial_seen_at=case.now - HOUR)
    false = [guard.name for guard in decide.decide(stale, rig.rules).guards if not guard.value]
    assert false == ["G2", "G12"], "a decision before the send would have let these pass"
