"""Bills, running charges and amounts so far equal the naive reference on random tariffs and reads."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tariff import rating
from tests.exact.numbers import rounded
from tests.exact.reference import Bill as Naive
from tests.exact.reference import Result
from tests.properties.agreement import Case, check_bill, load
from tests.properties.budget import examples
from tests.properties.tariffs import Tariff, tariffs

pytestmark = pytest.mark.long

SEEDS = st.lists(st.integers(0, 10**6), min_size=3, max_size=3)
PLANNED = {60: 200, 30: 80, 15: 60}  # tariffs in CI; three bills each
SHORT = 30  # slots of bills whose class ladders are rated slot by slot, each of them looking at all before it
WORDS = (
    *(f'"mode" = "{one}"' for one in ("graduated", "volume", "by_total")),
    *(f'"allocate" = "{one}"' for one in ("chronological", "pro_rata", "per_period")),
    *(f'"reset" = "{one}"' for one in ("bill", "day", "month", "year")),
    *(f'"limit_unit" = "{one}"' for one in ("kWh_per_day", "kWh_per_kw", "kWh_per_30_days")),
    *(f'"round_limits" = "{one}"' for one in ("kWh", "coefficient_0.1")),
    *(f'"{one}" = ' for one in ("limits_by_months", "adders", "at_least", "at_most", "equals", "times")),
    *(f'"kind" = "{one}"' for one in ("energy", "fixed", "percent", "minimum", "demand", "pf_adjust", "free_kwh")),
    *(f'"quantity" = "{one}"' for one in ("import", "export", "net")),
    *(f'"{one}" = ' for one in ("credit", "series", "bands", "by_total", "window_min", "periods", "round_kw")),
    *(f'"{one}" = ' for one in ("rounding_kw", "ratchet_percent", "minimum_kw", "months", "days", "dates", "holidays")),
    *(
        "holiday_as = ",
        '"volume" = true',
        "total_decimals = ",
        'round_lines = "component"',
        '"per" = "above"',
        '"per" = "day"',
    ),
    *(f'rounding = "{one}"' for one in ("half_up", "half_even", "down", "up")),
)

JUMPS = ('"by_total"', '"volume"', '"kind" = "demand"')  # rise at once, so they accrue over the days that are left


def check(case: Case, after: int) -> None:
    """Everything that the engine says of one bill, ``after`` some slots and at its end."""
    _, naive, result = check_bill(case)
    plan = case.plan()
    if plan.whole and case.slots > SHORT:
        return
    rated = rating.rate(plan, case.wh[None], export=case.export[None])
    running(case, rated, naive, result=result, after=after)
    sums = np.cumsum(rated.amount_micro[0])
    for slots in (after, case.slots):
        early = result if slots == case.slots else naive.run(slots)
        if slots == case.slots or not any(word in case.tariff.text for word in JUMPS):
            assert case.accrued(slots) == Fraction(early.total)
        energy = sum((early.lines[key] for key in early.exact), Fraction(0))
        assert Fraction(int(sums[slots - 1]), 10**6) == energy


def running(case: Case, rated: rating.Rated, naive: Naive, *, result: Result, after: int) -> None:
    """F(t) is the exact charge after every slot; of ladders that look at a whole span, after two of them."""
    got = [Fraction(int(one), 10**rated.scale) for one in rated.exact[0]]
    if not case.plan().whole:
        assert got == result.running
        return
    for slots in (after, case.slots):
        exact = [naive.exact(ident, slots) for ident in naive.energies()]
        wanted = sum((amount for one in exact for amount in one.amount.values()), Fraction(0))
        assert got[slots - 1] == rounded(wanted, rated.scale)


@pytest.mark.parametrize("minutes", PLANNED)
def test_the_engine_agrees_with_the_reference(minutes: int) -> None:
    """Lines, quantities, total, charge after every slot, rows of charges and the amount so far."""

    @examples(PLANNED[minutes])
    @given(tariffs(minutes), SEEDS)
    def agree(tariff: Tariff, seeds: list[int]) -> None:
        for seed in seeds:
            case = Case(tariff, load(seed, minutes))
            note(f"{tariff.text}\n{case.load}")
            check(case, 1 + seed % case.slots)

    agree()


def test_the_generator_reaches_every_kind_and_option() -> None:
    """What no example ever says cannot be proved by examples: the words of the book's page are met."""
    seen: set[str] = set()

    @settings(examples(1), max_examples=200)
    @given(tariffs(60))
    def look(tariff: Tariff) -> None:
        seen.update(word for word in WORDS if word in tariff.text)

    look()
    assert seen == set(WORDS)
