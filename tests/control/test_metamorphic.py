"""What must not matter does not: one more payment worsens nothing, a journal told twice or in another order is one."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import assemble, credit, settle
from control.records import Allocated
from ingest.records import RelayState
from storage.records import Account, AccountState, Payment, Posting
from storage.writer import Priority
from tests.control.rig import CNY, HOUR, NOW, Rig
from tests.control.test_allocation import slow
from tests.control.test_engine import play

Step = tuple[str, int]
STEPS = 22


def story(chance: random.Random) -> list[Step]:
    """Some hours of use, of payments too small or large enough, and of the engine's work between them."""
    made: list[Step] = []
    for _ in range(STEPS):
        word = chance.choice(("hour", "hour", "hour", "use", "pay"))
        made.append((word, chance.randrange(1, 40) if word == "pay" else chance.randrange(1, 25)))
    return made


def lived(rig: Rig, steps: Sequence[Step]) -> list[tuple[int, bool]]:
    """Available, and whether supply is on, after each step."""
    engine, found = rig.engine(), []
    for number, (word, amount) in enumerate(steps):
        if word == "pay":
            play(rig, engine.pay(rig.payment(amount, f"P{number}-{amount}")))
        elif word == "use":
            state = rig.get(AccountState, "A1")
            assert isinstance(state, AccountState)
            rig.put(replace(state, accrued_micro=state.accrued_micro + amount * CNY, accrued_to=rig.clock.now()))
        elif word == "hour":
            rig.clock.forward(HOUR.total_seconds())
            rig.facts_now()
            play(rig, engine.decide())
            play(rig, engine.notify())
        play(rig, engine.dispatch())
        play(rig, engine.dispatch())
        case = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
        assert case is not None
        found.append((credit.available(case), rig.meter.relay is RelayState.CLOSED))
    return found


@pytest.mark.parametrize("seed", range(2))
def test_one_more_payment_makes_no_later_state_worse(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    steps = story(chance)
    place = chance.randrange(STEPS // 2)
    without = lived(Rig(tmp_path / "1"), [*steps[:place], ("none", 0), *steps[place:]])
    more = lived(Rig(tmp_path / "2"), [*steps[:place], ("pay", chance.randrange(1, 60)), *steps[place:]])
    assert any(not on for _, on in without) or seed
    for before, after in zip(without, more, strict=True):
        assert after[0] >= before[0] and after[1] >= before[1], (seed, place, steps)


def take(rig: Rig, row: Payment) -> None:
    rig.store.write(Priority.MONEY, lambda unit: settle.settle(unit, row, rig.world()))


def told(rig: Rig) -> tuple[object, ...]:
    """Everything that payments leave behind, but for when it was taken."""
    payments = [replace(row, received=NOW) for row in rig.find(Payment, order=("channel", "external_id"))]
    legs = sorted((row.source, row.source_id, row.ledger_account, row.amount_micro) for row in rig.find(Posting))
    return tuple(payments), tuple(legs), rig.store.read(lambda reader: reader.balance("customer:A1"))


def journal(rig: Rig, chance: random.Random) -> list[Payment]:
    """Payments of every kind, some of them given back, some that fit no account."""
    rows = []
    for number in range(12):
        row = rig.payment(chance.randrange(1, 90), f"P{number}", at=NOW - number * HOUR)
        row = replace(row, account=chance.choice(("A1", "A1", "A1", "NOBODY")))
        rows.append(replace(row, status=chance.choice(("posted", "posted", "pending", "failed"))))
        if rows[-1].status == "posted" and chance.random() < 0.4:
            rows.append(replace(row, status="reversed"))
    return rows


@pytest.mark.parametrize("seed", range(2))
def test_a_journal_told_twice_or_in_another_order_leaves_the_same(tmp_path: Path, seed: int) -> None:
    found = set()
    for way in ("once", "twice", "shuffled"):
        rig, chance = Rig(tmp_path / way), random.Random(seed)
        rows = journal(rig, chance)
        order = {"once": rows, "twice": rows + rows, "shuffled": chance.sample(rows, len(rows))}[way]
        for row in order:
            take(rig, row)
        assert rig.store.read(lambda reader: reader.ledger_sum()) == 0
        found.add(repr(told(rig)))
    assert len(found) == 1


@pytest.mark.parametrize("seed", range(2))
def test_settling_splits_every_payment_as_the_slow_reference_does(tmp_path: Path, seed: int) -> None:
    """Weeks of payments of an account with debt, by day and by night, some given back: micro-unit by micro-unit."""
    chance, rig = random.Random(seed), Rig(tmp_path)
    holder = rig.get(Account, "A1")
    terms = {"debt_share_percent": str(chance.randrange(10, 90)), "debt_cap_week_micro": str(chance.randrange(5, 60))}
    rig.put(replace(holder, attributes=terms))  # type: ignore[type-var]
    for name, debt in (("debt", chance.randrange(50, 400)), ("accumulated", chance.randrange(40))):
        legs = [
            Posting("agreement", name, f"{name}:A1", -debt, "CNY", NOW, NOW),
            Posting("agreement", name, "expense:agreement", debt, "CNY", NOW, NOW),
        ]
        rig.store.write(Priority.BATCH, lambda unit, legs=legs: unit.post(legs))  # type: ignore[misc]
    for number in range(24):
        rig.clock.forward(timedelta(hours=chance.choice((1, 5, 9, 40))).total_seconds())
        before = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
        assert before is not None
        owed = credit.owed(before, rig.rules)
        amount = chance.randrange(1, 120)
        row = rig.payment(0, f"P{number}", amount_micro=amount)
        take(rig, row)
        split = [one for one in rig.find(Allocated) if one.external_id == row.external_id]
        if before.debt_micro + before.accumulated_micro == 0:
            assert split == []
            continue
        want, got = slow(amount, owed, split[0].friendly), split[0]
        parts = (got.debt_micro, got.accumulated_micro, got.threshold_micro, got.emergency_micro, got.credit_micro)
        assert parts == (
            want.debt_micro, want.accumulated_micro, want.threshold_micro, want.emergency_micro, want.credit_micro
        )  # fmt: skip
        if chance.random() < 0.25:
            back = replace(row, status="reversed")
            take(rig, back)
            after = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
            assert after is not None
            money = ("posted_micro", "debt_micro", "accumulated_micro", "debt_week_micro")
            assert [getattr(after, name) for name in money] == [getattr(before, name) for name in money]
