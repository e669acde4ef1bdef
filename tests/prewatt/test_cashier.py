"""A cashier's day: receipts, a void before the shift is closed, a drawer that agrees and one that does not."""

import getpass
from datetime import timedelta
from pathlib import Path

import pytest

from control import shifts
from control.records import Incident
from control.signals import Tally
from storage.records import Payment
from storage.writer import Priority
from tests.control.rig import CNY, DAY, NOW, Rig
from tests.prewatt.conftest import Run


@pytest.mark.usefixtures("accounts")
def test_a_day_at_the_counter(run: Run) -> None:
    for number, amount in (("R1", "20.00"), ("R2", "7.50"), ("R3", "1.00")):
        assert run("accounts", "topup", "A1", amount, "--reference", number, "-o", "json").json["status"] == "posted"
    assert run("payments", "void", "R9", "--reason", "x").code == 1
    assert run("payments", "void", "R2", "--reason", " ").code == 2
    assert run("payments", "void", "R2", "--reason", "typed wrong", "-o", "json").json["result"] == "reversed"
    assert run("accounts", "balance", "A1", "-o", "json").json["balance"] == "21.00"
    closed = run("payments", "shift", "--counted", "21.00", "-o", "json")
    assert (closed.code, closed.json["payments"], closed.json["taken"]) == (0, 2, "21.00")
    assert closed.json["cashier"] == getpass.getuser()
    late = run("payments", "void", "R1", "--reason", "too late")
    assert late.code == 1 and "its shift is closed" in late.err and "payments reverse" in late.err
    run("accounts", "topup", "A1", "5.00", "--reference", "R4")
    short = run("payments", "shift", "--counted", "4.00", "-o", "json")
    assert (short.code, short.json["agreed"], short.json["taken"]) == (1, False, "5.00")
    assert run("verify", "-o", "json").json["ok"] is True


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def take(rig: Rig, number: str, person: str, **changes: object) -> Payment:
    from control.settle import settle

    row = rig.payment(10, number, channel="cashier", reason=shifts.taken_by(person), **changes)
    return rig.store.write(Priority.MONEY, lambda unit: settle(unit, row, rig.world())).payment


def test_a_void_is_of_the_same_local_day_and_of_the_counter_only(rig: Rig) -> None:
    own, other = take(rig, "R1", "ann"), rig.payment(10, "W1")

    def why(payment: Payment, later: timedelta) -> str:
        return rig.store.read(lambda reader: shifts.refused(reader, payment, "Asia/Shanghai", NOW + later))

    assert why(own, timedelta(hours=13)) == "", "10:30 in Shanghai: the day has 13.5 hours left"
    assert why(own, timedelta(hours=14)) == "it is of another day"
    assert "over the counter" in why(other, timedelta())


def test_each_cashier_has_a_drawer_and_a_shift_of_their_own(rig: Rig) -> None:
    take(rig, "R1", "cli:ann")
    take(rig, "R2", "Ann ")
    take(rig, "R3", "bob")
    first = rig.store.write(Priority.MONEY, lambda unit: shifts.close(unit, "ann", 20 * CNY, rig.world()))
    assert first.agreed and first.ours == 2
    rig.clock.forward(DAY.total_seconds())
    take(rig, "R4", "ann")
    second = rig.store.write(Priority.MONEY, lambda unit: shifts.close(unit, "ann", 9 * CNY, rig.world()))
    assert (second.since, second.ours, second.agreed) == (first.until, 1, False)
    assert [row.kind for row in rig.find(Incident)] == ["drawer_differs"]
    assert [row.channel for row in rig.find(Tally)] == ["cashier:ann", "cashier:ann"]
