"""A forecast on prices that changed counts only once two persons confirmed the change; one on the old prices always."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from control import assemble, decide, pricebasis, quota
from control.records import Case, Incident, PriceBasis, SealedForecast
from storage.records import Account, AccountState
from storage.writer import Priority
from tests.control.rig import DAY, HOUR, NOW, Rig

CODE = "code-1"
CHANGED = NOW - 5 * DAY


def told(rig: Rig, at: datetime, book: str = "hash-zj", code: str = CODE) -> int:
    """The daily look at what A1 is charged by."""
    state = rig.get(AccountState, "A1")
    assert isinstance(state, AccountState)
    rig.put(replace(state, book_hash=book))
    return rig.store.write(Priority.BATCH, lambda unit: pricebasis.mark(unit, at, code))


def case(rig: Rig) -> Case:
    """A1 on the book that rates it."""
    state = rig.get(AccountState, "A1")
    assert isinstance(state, AccountState)
    world = replace(rig.world(), books={"zj": state.book_hash})
    found = rig.store.read(lambda reader: assemble.case(reader, "A1", world))
    assert found is not None
    return found


def g6(rig: Rig) -> bool:
    return {guard.name: guard.value for guard in decide.decide(case(rig), rig.rules).guards}["G6"]


def confirm(rig: Rig) -> int:
    (change,) = rig.store.read(pricebasis.open_changes)
    work = pricebasis.confirm
    return rig.store.write(Priority.COMMAND, lambda unit: work(unit, change, NOW - HOUR, ("ann", "bob")))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path)  # its forecast of four days ago saw what is true now
    assert told(made, NOW - 20 * DAY) == 0 and g6(made)
    return made


def test_a_forecast_on_prices_that_nobody_confirmed_cuts_nobody_and_after_two_persons_it_does(rig: Rig) -> None:
    assert told(rig, CHANGED, "hash-dear") == 1
    found = decide.decide(case(rig), rig.rules)
    assert (found.verdict, found.reason) == ("hold", "G6")
    assert [row.detail for row in rig.find(Incident, kind="prices_unconfirmed")] == ["1 accounts"]
    assert confirm(rig) == 1
    assert decide.decide(case(rig), rig.rules).verdict == "disconnect"


@pytest.mark.parametrize(("ago", "counts"), [(DAY, False), (25 * HOUR, True)])
def test_who_would_have_run_out_on_the_old_prices_may_be_cut_a_day_later(
    rig: Rig, ago: timedelta, counts: bool
) -> None:
    told(rig, CHANGED, "hash-dear")
    old = SealedForecast("A1", CHANGED - timedelta(minutes=1), NOW - ago + timedelta(minutes=1), None, "hash-zj")
    rig.store.write(Priority.BATCH, lambda unit: unit.add(old))
    assert case(rig).forecast_sealed_at == old.sealed_at, "the one on the new prices does not count"
    assert g6(rig) is counts


def test_other_rating_code_and_other_attributes_are_other_prices_and_a_display_is_not(rig: Rig) -> None:
    account = rig.get(Account, "A1")
    assert isinstance(account, Account)
    rig.put(replace(account, attributes={"display": "D1", "relay_limit_w": "9000"}))
    assert told(rig, CHANGED) == 0 and g6(rig)
    assert told(rig, CHANGED, code="code-2") == 1 and not g6(rig)
    confirm(rig)
    rig.put(replace(account, attributes={"household": "5"}))
    assert told(rig, NOW - 4 * DAY, code="code-2") == 1 and not g6(rig)


def test_a_bug_that_is_taken_back_leaves_no_forecast_behind(rig: Rig) -> None:
    told(rig, CHANGED, "hash-dear")
    told(rig, NOW - 80 * HOUR, "hash-zj")  # the forecast of four days ago lies between the two
    assert not g6(rig)
    confirm(rig)
    assert not g6(rig), "what was sealed on the wrong prices counts for ever"
    right = SealedForecast("A1", NOW - 80 * HOUR, NOW - HOUR, None, "hash-zj")
    rig.store.write(Priority.BATCH, lambda unit: unit.add(right))
    assert g6(rig)


def test_a_change_soon_after_a_confirmed_one_keeps_the_doubt_of_the_first(rig: Rig) -> None:
    told(rig, CHANGED, "hash-dear")
    told(rig, NOW - 100 * HOUR, "hash-back")
    confirm(rig)
    told(rig, NOW - 90 * HOUR, "hash-later")
    row = rig.get(PriceBasis, "A1")
    assert isinstance(row, PriceBasis)
    assert (row.doubt_from, row.since, row.confirmed_at) == (CHANGED, NOW - 90 * HOUR, None)
    assert not g6(rig)


def test_only_who_changed_before_the_showing_is_confirmed(rig: Rig) -> None:
    told(rig, CHANGED, "hash-dear")
    (change,) = rig.store.read(pricebasis.open_changes)
    assert (change.before, change.after, change.accounts, change.since) == ("hash-zj", "hash-dear", 1, CHANGED)
    assert rig.store.read(lambda reader: pricebasis.changed_accounts(reader, change)) == ["A1"]
    shown = replace(change, until=CHANGED - timedelta(seconds=1))
    assert rig.store.write(Priority.COMMAND, lambda unit: pricebasis.confirm(unit, shown, NOW, ("ann", "bob"))) == 0
    assert not g6(rig)


def test_the_breaker_foresees_by_the_forecasts_that_count_alone(rig: Rig) -> None:
    def foreseen() -> int:
        return rig.store.read(lambda reader: len(quota.foreseen_by(reader, NOW)))

    assert foreseen() == 1
    told(rig, CHANGED, "hash-dear")
    assert foreseen() == quota.foreseen_in([case(rig)], NOW) == 0
    confirm(rig)
    assert foreseen() == quota.foreseen_in([case(rig)], NOW) == 1


def test_a_bill_on_doubtful_prices_cuts_nobody(rig: Rig) -> None:
    told(rig, CHANGED, "hash-dear")
    owing = replace(case(rig), mode="postpaid", overdue_micro=200_000_000)
    for since, counts in ((CHANGED, False), (CHANGED - timedelta(seconds=1), True)):
        late = replace(owing, overdue_since=since)
        assert {guard.name: guard.value for guard in decide.decide(late, rig.rules).guards}["G6"] is counts


def test_the_fingerprint_of_the_rating_code_is_one_word() -> None:
    assert len(pricebasis.rating_code()) == 16 and pricebasis.rating_code() == pricebasis.rating_code()
