"""Payments against commands: one transaction, whatever the order."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from control import commands, fences, guards, journal, settle
from control.amounts import PaymentFile, PaymentRefusal
from control.assemble import case
from control.commands import Event
from control.payments.csv import Columns, accept
from control.records import Action, Command, CommandState, Evidence, Incident, Service, Wanted, WorkOrder
from control.settle import PaymentResult
from ingest.records import RelayState
from storage.records import AccountState, Payment, StoredBill
from storage.store import Priority
from tests.control.rig import CNY, DAY, NOW, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def pay(rig: Rig, payment: Payment) -> PaymentResult:
    return rig.store.write(Priority.MONEY, lambda unit: settle.settle(unit, payment, rig.world()))


def balance(rig: Rig) -> int:
    return rig.store.read(lambda reader: reader.balance("customer:A1"))


def disconnect(rig: Rig, *events: Event) -> Command:
    def work(unit):  # type: ignore[no-untyped-def]
        made = commands.make(
            Action.DISCONNECT, account="A1", meter="M1", fence=fences.following(unit, "M1"), at=rig.clock.now(),
            decision="d-1", policy_version=rig.rules.id, reason="exhausted",
        )  # fmt: skip
        command = journal.request(unit, made, rig.clock.now())
        for event in events:
            if event is Event.SEND:
                assert fences.lift(unit, "M1", command.fence)
            command = journal.advance(unit, command, event, rig.clock.now())
        return command

    return rig.store.write(Priority.COMMAND, work)


def test_the_rig_is_due_and_every_guard_holds_but_the_fresh_session(rig: Rig) -> None:
    found = rig.store.read(lambda reader: case(reader, "A1", rig.world()))
    assert found is not None
    assert [g.name for g in guards.evaluate(found, rig.rules) if not g.value] == []
    assert [g.name for g in guards.evaluate(found, rig.rules, at_send=True) if not g.value] == ["G2", "G12"]


def test_a_payment_is_posted_once_whatever_is_repeated(rig: Rig) -> None:
    first = pay(rig, rig.payment())
    rig.clock.forward(60)
    again = pay(rig, rig.payment())
    assert (first.status, again.status) == ("posted", "duplicate")
    assert first.reply() == again.reply()
    assert balance(rig) == 150 * CNY
    assert rig.store.read(lambda reader: reader.ledger_sum()) == 0
    assert first.available_micro == 40 * CNY
    state = rig.get(AccountState, "A1")
    assert isinstance(state, AccountState)
    assert (state.epoch, state.balance_after_payment_micro, state.last_payment_at) == (2, 40 * CNY, NOW)


def test_the_same_id_with_another_body_is_a_conflict_and_changes_nothing(rig: Rig) -> None:
    pay(rig, rig.payment())
    assert pay(rig, rig.payment(amount=60)).status == "conflict"
    assert balance(rig) == 150 * CNY
    assert len(rig.find(Payment)) == 1


def test_unknown_account_and_wrong_currency_are_kept_and_can_be_matched(rig: Rig) -> None:
    assert pay(rig, rig.payment(account="A9")).status == "unmatched"
    assert pay(rig, rig.payment(external_id="P2", currency="EUR")).payment.reason == "other_currency"
    assert pay(rig, rig.payment(account="A9")).status == "duplicate"
    assert balance(rig) == 100 * CNY
    matched = rig.store.write(
        Priority.MONEY, lambda unit: settle.match(unit, "webhook", "P1", "A1", rig.world(), by="op")
    )
    assert matched is not None and matched.status == "posted"
    assert pay(rig, rig.payment(account="A9")).status == "duplicate"
    assert balance(rig) == 150 * CNY


STEPS = ("pending", "failed", "posted", "reversed")


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids="-".join)
def test_the_order_of_arrival_never_matters(rig: Rig, order: Sequence[str]) -> None:
    for status in order:
        for _ in range(2):
            pay(rig, rig.payment(status=status))
    assert balance(rig) == 100 * CNY
    row = rig.get(Payment, "webhook", "P1")
    assert isinstance(row, Payment) and row.status == "reversed"


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS[:3])), ids="-".join)
def test_a_posted_payment_wins_over_its_older_states(rig: Rig, order: Sequence[str]) -> None:
    for status in order:
        pay(rig, rig.payment(status=status))
    assert balance(rig) == 150 * CNY


def test_a_reversal_is_at_most_its_original_and_never_twice(rig: Rig) -> None:
    pay(rig, rig.payment(amount=50))
    assert pay(rig, rig.payment(amount=80, status="reversed")).status == "reversed"
    assert balance(rig) == 100 * CNY
    assert pay(rig, rig.payment(amount=80, status="reversed")).status == "duplicate"
    assert balance(rig) == 100 * CNY


@pytest.mark.parametrize("first", ["posted", "reversed"])
def test_a_part_reversal_gives_back_a_part_in_either_order(rig: Rig, first: str) -> None:
    both = [rig.payment(amount=50), rig.payment(amount=20, status="reversed")]
    for payment in both if first == "posted" else reversed(both):
        pay(rig, payment)
    assert balance(rig) == 130 * CNY


LIVES: dict[str, tuple[Event, ...]] = {
    "queued": (),
    "sent": (Event.SEND,),
    "acknowledged": (Event.SEND, Event.ACKNOWLEDGE),
    "unknown": (Event.SEND, Event.TIME_OUT),
}


@pytest.mark.parametrize("life", LIVES)
def test_a_payment_supersedes_the_live_disconnect_in_every_state(rig: Rig, life: str) -> None:
    cut = disconnect(rig, *LIVES[life])
    assert cut.state.value == life
    result = pay(rig, rig.payment())
    assert result.superseded == (cut.command,)
    found = {command.command: command for command in rig.commands()}
    assert found[cut.command].state is CommandState.SUPERSEDED
    wanted = rig.get(Wanted, "A1")
    assert isinstance(wanted, Wanted) and wanted.service is Service.CONNECTED
    if life == "queued":
        assert result.reconnect == "" and rig.find(Incident) == []
        return
    back = found[result.reconnect]
    assert (back.action, back.state, back.fence) == (Action.CONNECT, CommandState.QUEUED, cut.fence + 1)
    assert back.clock_started == rig.clock.now() and back.valid_until == NOW + 7 * DAY
    assert [row.kind for row in rig.find(Incident)] == ["disconnect_raced_payment"]


def test_a_payment_that_is_too_small_leaves_the_disconnect_to_its_guards(rig: Rig) -> None:
    rig.put(replace(rig.get(AccountState, "A1"), accrued_micro=1_000 * CNY))  # type: ignore[type-var]
    rig.store.write(Priority.BATCH, lambda unit: unit.put(_bill()))
    cut = disconnect(rig)
    assert pay(rig, rig.payment(amount=1)).superseded == ()
    assert rig.commands()[0] == cut


def _bill() -> object:
    return StoredBill(
        "A1", NOW - 45 * DAY, NOW - 15 * DAY, "zj", "hash-zj", "CNY", 900 * CNY, True, None, "", "{}", NOW
    )


@pytest.mark.parametrize("state", [RelayState.OPEN, RelayState.UNKNOWN])
def test_a_dark_account_that_pays_gets_a_reconnect_in_the_same_commit(rig: Rig, state: RelayState) -> None:
    rig.put(Evidence("M1", state, NOW, "read_back"), Wanted("A1", Service.DISCONNECTED, NOW))
    result = pay(rig, rig.payment())
    (back,) = rig.commands()
    assert back.command == result.reconnect and back.reason == "payment"


def test_what_does_not_reach_the_connection_balance_stays_off_until_it_does(rig: Rig) -> None:
    rig.put(Evidence("M1", RelayState.OPEN, NOW, "read_back"), Wanted("A1", Service.DISCONNECTED, NOW))
    assert pay(rig, rig.payment(amount=10)).reconnect == ""
    assert pay(rig, rig.payment(amount=1, external_id="P2")).reconnect != ""


def test_a_second_payment_keeps_the_first_clock_and_wakes_the_reconnect(rig: Rig) -> None:
    rig.put(Evidence("M1", RelayState.OPEN, NOW, "read_back"), Wanted("A1", Service.DISCONNECTED, NOW))
    first = pay(rig, rig.payment())
    rig.put(replace(rig.commands()[0], next_at=NOW + DAY))
    rig.clock.forward(300)
    second = pay(rig, rig.payment(external_id="P2"))
    (back,) = rig.commands()
    assert first.reconnect == second.reconnect == back.command
    assert (back.clock_started, back.next_at) == (NOW, None)


def test_a_reversal_supersedes_a_reconnect_that_has_not_left(rig: Rig) -> None:
    rig.put(Evidence("M1", RelayState.OPEN, NOW, "read_back"), Wanted("A1", Service.DISCONNECTED, NOW))
    back = pay(rig, rig.payment()).reconnect
    result = pay(rig, rig.payment(status="reversed"))
    assert result.superseded == (back,)
    wanted = rig.get(Wanted, "A1")
    assert isinstance(wanted, Wanted) and wanted.service is Service.DISCONNECTED


def test_a_reversal_after_supply_is_on_opens_a_new_epoch_and_cuts_nobody(rig: Rig) -> None:
    pay(rig, rig.payment())
    before = rig.get(AccountState, "A1")
    pay(rig, rig.payment(status="reversed"))
    after = rig.get(AccountState, "A1")
    assert isinstance(before, AccountState) and isinstance(after, AccountState)
    assert after.epoch == before.epoch + 1 and rig.commands() == []
    found = rig.store.read(lambda reader: case(reader, "A1", rig.world()))
    assert found is not None
    assert not {g.name: g.value for g in guards.evaluate(found, rig.rules)}["G6"]


def test_a_by_hand_relay_gets_a_crew_order_not_a_command(rig: Rig) -> None:
    rig.put(Evidence("M1", RelayState.OPEN, NOW, "crew"))
    world = replace(rig.world(), switchable=lambda _: False)
    rig.store.write(Priority.MONEY, lambda unit: settle.settle(unit, rig.payment(), world))
    assert rig.commands() == [] and [row.kind for row in rig.find(WorkOrder)] == ["reconnect"]


def test_without_the_supersession_a_paid_customer_would_be_cut(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ablation: the supersede on payment is what stands between this payment and the cut."""
    cut = disconnect(rig)
    monkeypatch.setattr(settle, "lifted", lambda case, policy: False)
    pay(rig, rig.payment())
    assert rig.commands() == [cut], "with the safeguard removed the disconnect lives on; the tests above would be red"


def test_a_bank_file_is_taken_once_for_ever(rig: Rig) -> None:
    text = b"id,account,amount,currency,paid_at\nB1,A1,50,CNY,2024-05-14\nB2,A9,5,CNY,2024-05-14\nTOTAL,2,55,,\n"
    file = accept(text, Columns(), NOW)
    assert isinstance(file, PaymentFile)

    def take() -> object:
        return rig.store.write(Priority.MONEY, lambda unit: settle.settle_file(unit, file, "f.csv", "csv", rig.world()))

    results = take()
    assert isinstance(results, list) and [row.status for row in results] == ["posted", "unmatched"]
    assert isinstance(take(), PaymentRefusal)
    assert balance(rig) == 150 * CNY
