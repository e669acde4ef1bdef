"""Guard G3 end to end: a channel's count against ours, a person's word, a file; and nobody is cut without."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import assemble, decide, signals, tallies
from control.amounts import ChannelReport
from control.records import Case, Incident
from control.settings import Settings
from control.signals import Signal, Tally
from ingest.records import RelayState
from storage.records import AuditRow
from storage.store import Priority
from tests.control.rig import CNY, NOW, Rig, residential
from tests.control.test_ablation import without

MIN = timedelta(minutes=1)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path)
    made.store.write(Priority.BATCH, lambda unit: unit.delete(Signal, signals.PAYMENTS + "webhook"))
    return made


def case(rig: Rig) -> Case:
    found = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
    assert found is not None
    return found


def count(rig: Rig, number: int, total: int, ago: timedelta = timedelta(0), **changes: object) -> str:
    report = ChannelReport("webhook", rig.clock.now() - ago, number, total * CNY, **changes)  # type: ignore[arg-type]
    return rig.store.write(Priority.MONEY, lambda unit: tallies.compare(unit, report, rig.world())).status


def pay(rig: Rig, number: str, amount: int, **changes: object) -> None:
    from control import settle

    row = rig.payment(amount, number, **{"account": "A2", **changes})
    rig.store.write(Priority.MONEY, lambda unit: settle.settle(unit, row, rig.world()))


def cut(rig: Rig) -> bool:
    return decide.decide(case(rig), residential()).verdict == "disconnect"


def test_nobody_is_cut_before_the_channel_is_reconciled_and_without_the_guard_they_are(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not cut(rig)
    with without("G3", monkeypatch):
        assert cut(rig)
    assert count(rig, 0, 0) == "reconciled"
    assert cut(rig)


def test_equal_counts_reconcile_for_a_quarter_of_an_hour_as_of_their_until(rig: Rig) -> None:
    pay(rig, "P1", 20, account="A9")  # unmatched: it was handed over all the same
    pay(rig, "P2", 5, account="A9")
    assert count(rig, 2, 25, ago=timedelta(0)) == "reconciled"
    assert case(rig).channels_reconciled is True
    rig.clock.forward(15 * 60)
    assert case(rig).channels_reconciled is True
    rig.clock.forward(1)
    assert case(rig).channels_reconciled is False
    assert count(rig, 0, 0, ago=10 * MIN) == "reconciled", "only what came since the last agreement counts"
    rig.clock.forward(6 * 60)
    assert case(rig).channels_reconciled is False, "the count was ten minutes old when it came"


def test_a_missing_payment_is_an_incident_that_says_both_numbers_and_ends_when_it_is_found(rig: Rig) -> None:
    pay(rig, "P1", 20, account="A9")
    assert count(rig, 2, 25) == "different"
    assert case(rig).channels_reconciled is False
    (incident,) = rig.find(Incident)
    assert "2 payments of 25000000" in incident.detail and "1 of 20000000" in incident.detail
    rig.clock.forward(60)
    pay(rig, "P2", 5, account="A9", at=NOW - MIN)
    assert count(rig, 2, 25) == "reconciled"
    assert rig.find(Incident)[0].closed == rig.clock.now()
    assert [row.agreed for row in rig.find(Tally, order="at")] == [False, True]


def test_what_a_channel_never_posted_or_took_back_counts_as_it_does(rig: Rig) -> None:
    pay(rig, "P1", 20, status="pending")
    pay(rig, "P2", 30, status="failed")
    pay(rig, "P3", 7, account="A9", status="reversed")  # its payment never came
    assert count(rig, 0, 0) == "reconciled"
    rig.clock.forward(60)
    pay(rig, "P4", 9, account="A1")
    pay(rig, "P4", 9, account="A1", status="reversed")
    assert count(rig, 1, 9) == "reconciled"


def test_counts_come_again_late_too_early_or_with_a_hole(rig: Rig) -> None:
    assert count(rig, 0, 0) == "reconciled"
    assert count(rig, 0, 0) == "reconciled", "the same message again"
    assert count(rig, 3, 1, ago=MIN) == "older"
    assert case(rig).channels_reconciled is True, "an older count takes nothing back"
    assert count(rig, 0, 0, ago=-6 * MIN) == "ahead"
    rig.clock.forward(120)
    assert count(rig, 0, 0, since=rig.clock.now() - MIN) == "gap"
    assert count(rig, 0, 0, since=NOW - MIN) == "reconciled"
    assert count(rig, 1, 1) == "different", "the same end with another count"


def test_a_persons_word_is_audited_and_closes_the_incident(rig: Rig) -> None:
    assert count(rig, 1, 5) == "different"
    rig.store.write(Priority.MONEY, lambda unit: tallies.assert_reconciled(unit, "webhook", rig.world(), by="ann"))
    assert case(rig).channels_reconciled is True
    assert rig.find(AuditRow, action="payments.reconciled")[0].actor == "ann"
    assert rig.find(Incident)[0].closed is not None


def test_a_channel_counts_once_it_was_used_unless_the_house_says_which_do(rig: Rig) -> None:
    rig.settings = Settings(used_channels={"webhook": True, "csv": False})
    assert case(rig).channels_reconciled is None, "nobody could pay: nobody is cut"
    rig.put(Signal(signals.PAYMENTS + "webhook", "used", NOW))
    assert case(rig).channels_reconciled is False
    assert count(rig, 0, 0) == "reconciled"
    assert case(rig).channels_reconciled is True, "csv was never used"
    rig.put(Signal(signals.PAYMENTS + "csv", "ok", NOW - timedelta(hours=27), "file"))
    assert case(rig).channels_reconciled is False
    rig.settings = replace(rig.settings, payment_channels={"webhook": True}, used_channels={})
    assert case(rig).channels_reconciled is True
    assert case(rig).relay is RelayState.CLOSED
