"""Bills, running charges and amounts so far equal the naive reference on random tariffs, reads, splits and arrivals."""

from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from tests.exact.reference import Row
from tests.properties import choices, tariffs
from tests.properties.agreement import Case, Rules, check_batch, check_bill, check_rows
from tests.properties.budget import TIMES, examples
from tests.properties.loads import load
from tests.properties.words import WORDS

pytestmark = pytest.mark.long

BOOKS = 270  # tariffs in CI
SPANS, ACCOUNTS = 2, 6  # of each: spans with attributes of their own, accounts in each
LEAST = 3000  # bills that CI compares
JUMPS = ('"by_total"', '"volume"', '"kind" = "demand"')  # rise at once, so they accrue over the days that are left
MINUTES = (60, 60, 30, 15)


def check(case: Case, pick: Random) -> int:
    """Everything that the engine says of some accounts' bills; how many of them there were."""
    results = list(check_batch(case, pick))
    order = np.array(pick.sample(range(case.load.slots), case.load.slots))
    _, _, result = check_bill(case, order)
    if case.load.slots <= 30 or not case.plan.whole:
        check_rows(case, result)
    arrivals(case, pick)
    return len(results)


def arrivals(case: Case, pick: Random) -> None:
    """Reads come late, twice as an estimate and then as counted, in any order: what has accrued is what is known.

    The amounts that are booked on the way add up to the bill, since each is what is due less what is booked.
    """
    slots = case.load.slots
    wh, export, varh = case.counts[0]
    known: dict[int, tuple[int, int, int]] = {}
    coming = [(slot, pick.choice([0, pick.randint(0, 3000)])) for slot in range(slots) if pick.random() < 0.3]
    events = [(slot, (guess, 0, 0)) for slot, guess in coming]
    events += [(slot, (int(wh[slot]), int(export[slot]), int(varh[slot]))) for slot in pick.sample(range(slots), slots)]
    stops = {pick.randrange(1, len(events)), len(events)}
    for number, (slot, counted) in enumerate(events, start=1):
        known[slot] = counted
        if number not in stops:
            continue
        until = slots if number == len(events) else pick.randint(1, slots)
        if until < slots and any(word in case.rules.tariff.text for word in JUMPS):
            continue
        order = pick.sample(sorted(known), len(known))
        columns = np.array([known[one] for one in order], np.int64).T
        usage = case.usage(0, np.array(order))
        usage = type(usage)(usage.ends, columns[0], usage.minutes, columns[1], columns[2])
        rows = {one: Row(case.frame.starts[one], *known[one]) for one in known}
        assert case.accrued(usage, until) == Fraction(case.naive(rows=rows).run(until).total), (until, known)


def test_the_engine_agrees_with_the_reference() -> None:
    """Lines, quantities, taxes, totals, F(t) over any split, rows of charges, the amount so far as reads arrive."""
    bills = 0
    seen: set[str] = set()

    @examples(BOOKS)
    @given(
        st.sampled_from(MINUTES).flatmap(tariffs.tariffs),
        st.lists(st.integers(0, 10**6), min_size=SPANS, max_size=SPANS),
    )
    def agree(tariff: tariffs.Tariff, seeds: list[int]) -> None:
        nonlocal bills
        seen.update(word for word in WORDS if word in tariff.text)
        note(tariff.text)
        rules = Rules(tariff)
        for seed in seeds:
            case = Case(rules, load(seed, tariff.minutes, ACCOUNTS))
            note(str(case.load))
            bills += check(case, Random(seed))

    agree()
    print(f"{bills} bills compared")
    if TIMES >= 1:
        assert bills >= LEAST
        assert seen == set(WORDS), "what no example ever says cannot be proved by examples"


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_makes_the_same_tariff_without_hypothesis(seed: int) -> None:
    made = [tariffs.tariff(choices.Choices.seeded(seed), 60) for _ in range(2)]
    assert made[0] == made[1]
