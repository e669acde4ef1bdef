"""Payments of accounts with debt: the split is posted, capped, kept, undone, and never taken in a friendly period."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import assemble, credit, debts, guards, invariants, settle
from control.records import Allocated, Case
from storage.records import Account, AccountState, Posting
from storage.store import Priority
from tests.control.rig import CNY, DAY, NOW, Rig, residential

NIGHT = NOW + timedelta(hours=12)  # 22:30 in Shanghai: the window is shut


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A1 owes 60 of agreed debt: 40 % of each payment, at most 30 a week."""
    rig = Rig(tmp_path)
    holder = rig.get(Account, "A1")
    terms = {"debt_share_percent": "40", "debt_cap_week_micro": str(30 * CNY)}
    rig.put(replace(holder, attributes=terms))  # type: ignore[type-var]
    owe(rig, "debt", 60)
    return rig


def owe(rig: Rig, name: str, amount: int) -> None:
    legs = [
        Posting("agreement", name, f"{name}:A1", -amount * CNY, "CNY", NOW - 9 * DAY, NOW - 9 * DAY),
        Posting("agreement", name, "expense:agreement", amount * CNY, "CNY", NOW - 9 * DAY, NOW - 9 * DAY),
    ]
    rig.store.write(Priority.BATCH, lambda unit: unit.post(legs))


def pay(rig: Rig, amount: int, number: str, **changes: object) -> None:
    row = rig.payment(amount, number, **changes)
    rig.store.write(Priority.MONEY, lambda unit: settle.settle(unit, row, rig.world()))


def held(rig: Rig, name: str) -> int:
    return rig.store.read(lambda reader: reader.balance(f"{name}:A1")) // CNY


def case(rig: Rig) -> Case:
    found = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
    assert found is not None
    return found


def broken(rig: Rig) -> set[str]:
    found = rig.store.read(lambda reader: invariants.check(reader, rig.clock.now(), rig.settings))
    return {violation.id for violation in found}


def test_the_share_goes_to_the_debt_up_to_the_weeks_cap(rig: Rig) -> None:
    pay(rig, 50, "P1")
    assert (held(rig, "debt"), held(rig, "customer")) == (-40, 130)
    pay(rig, 50, "P2")
    assert (held(rig, "debt"), held(rig, "customer")) == (-30, 170), "the cap of the week left 10"
    pay(rig, 50, "P3")
    assert (held(rig, "debt"), held(rig, "customer")) == (-30, 220)
    rig.clock.forward(5 * 86_400)  # Monday
    pay(rig, 50, "P4")
    assert (held(rig, "debt"), held(rig, "customer")) == (-10, 250)
    assert broken(rig) == set()


def test_no_debt_is_taken_at_night_and_what_is_told_is_what_is_needed(rig: Rig) -> None:
    asked = credit.needed(case(rig), residential())
    rig.clock.at = NIGHT
    assert credit.needed(case(rig), residential()) < asked
    pay(rig, 50, "P1")
    assert (held(rig, "debt"), held(rig, "customer")) == (-60, 150)
    assert rig.find(Allocated)[0].friendly
    assert broken(rig) == set()


def test_what_is_needed_brings_the_account_back_to_its_connection_balance(rig: Rig) -> None:
    owe(rig, "accumulated", 3)
    needed = credit.needed(case(rig), residential())
    pay(rig, 0, "P1", amount_micro=needed)
    assert credit.available(case(rig)) == residential().connection_balance_micro
    assert held(rig, "accumulated") == 0


def test_accumulated_debt_comes_after_the_share(rig: Rig) -> None:
    owe(rig, "accumulated", 20)
    pay(rig, 40, "P1")
    assert (held(rig, "debt"), held(rig, "accumulated"), held(rig, "customer")) == (-44, 0, 104)


def test_a_repeated_payment_allocates_once_and_a_reversal_undoes_all_of_it(rig: Rig) -> None:
    pay(rig, 50, "P1")
    pay(rig, 50, "P1")
    assert held(rig, "debt") == -40
    pay(rig, 50, "P1", status="reversed")
    pay(rig, 50, "P1", status="reversed")
    assert (held(rig, "debt"), held(rig, "customer")) == (-60, 100)
    assert rig.find(Allocated)[0].undone_micro == 20 * CNY
    assert case(rig).debt_week_micro == 0
    assert rig.store.read(lambda reader: reader.ledger_sum()) == 0
    assert broken(rig) == set()


def test_a_payment_that_covered_the_shortfall_protects_though_the_debt_took_its_share(rig: Rig) -> None:
    """10 were missing, 12 are paid, the debt takes 4.8: whoever covered the shortfall stays on for a day."""
    pay(rig, 12, "P1")
    found = case(rig)
    assert found.last_debt_micro == 4_800_000
    assert credit.available(found) < residential().disconnection_balance_micro
    bills = replace(found, last_bill_micro=10_000 * CNY)
    assert not guards.g7(bills, residential(), False).value
    assert guards.g7(replace(bills, last_debt_micro=0), residential(), False).value, "without it they would be cut"


def test_accounts_without_terms_or_debt_are_as_before(rig: Rig) -> None:
    rig.put(replace(rig.get(Account, "A1"), attributes={}))  # type: ignore[type-var]
    pay(rig, 50, "P1")
    assert held(rig, "debt") == -60 and rig.find(Allocated) == []
    assert isinstance(rig.get(AccountState, "A1"), AccountState)
    odd = replace(rig.get(Account, "A1"), attributes={"debt_share_percent": "half"})  # type: ignore[type-var]
    assert rig.store.read(lambda reader: debts.facts(reader, odd, NOW))["debt_share_percent"] == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        lambda row: replace(row, debt_micro=row.debt_micro + 1, credit_micro=row.credit_micro - 1),
        lambda row: replace(row, friendly=True),
        lambda row: replace(row, week_micro=25 * CNY),
        lambda row: replace(row, amount_micro=row.amount_micro + 1),
    ],
)
def test_an_allocation_out_of_order_breaks_s12(rig: Rig, change) -> None:  # type: ignore[no-untyped-def]
    pay(rig, 50, "P1")
    rig.put(change(rig.find(Allocated)[0]))
    assert "S12" in broken(rig)


def test_an_allocation_that_was_not_posted_breaks_s12(rig: Rig) -> None:
    rig.clock.at = NIGHT
    pay(rig, 50, "P1")
    row = rig.find(Allocated)[0]
    rig.put(replace(row, friendly=False, debt_micro=20 * CNY, credit_micro=row.credit_micro - 20 * CNY))
    assert "S12" in broken(rig)
