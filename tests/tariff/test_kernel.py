"""The kernel's properties: any split, order and chunking give the same integers, and slots add up to the bill."""

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tariff import book as books
from tariff import calendar, kernel, lines, rating, step
from tariff.errors import RatingError
from tariff.rating import Plan, State
from tests.cases.toml_text import document
from tests.tariff.books import texts

SETTINGS = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
FEWER = settings(SETTINGS, max_examples=30)  # of those that go slot by slot
ACCOUNTS = 5


def compiled(text: str, days: int = 3, minutes: int = 60) -> Plan:
    book = books.load(text, "random")
    first = datetime(2025, 3, 29)
    begin, end = (calendar.to_utc(at, book.zone) for at in (first, first + timedelta(days=days)))
    return rating.compile(book, begin, end, minutes, {"household": "6"})


def energies(seed: int, slots: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    wh = random.integers(0, 4000, (ACCOUNTS, slots)) * (random.random((ACCOUNTS, slots)) < 0.8)
    return wh.astype(np.int64), random.integers(0, 3000, (ACCOUNTS, slots)) * (random.random((ACCOUNTS, slots)) < 0.3)


def same(one: State, other: State) -> bool:
    arrays = ("position", "quantity", "dynamic", "used", "exported")
    equal = all((getattr(one, name) == getattr(other, name)).all() for name in arrays)
    return equal and one.resets == other.resets and one.done == other.done


@SETTINGS
@given(texts(), st.integers(0, 1000), st.lists(st.integers(1, 71), max_size=6))
def test_batch_equals_any_split(text: str, seed: int, cuts: list[int]) -> None:
    plan = compiled(text)
    wh, export = energies(seed, plan.slots)
    whole, exact = rating.advance(plan, plan.zero(ACCOUNTS, 1500), 0, wh, export)
    state, parts = plan.zero(ACCOUNTS, 1500), []
    edges = [0, *sorted({cut for cut in cuts if cut < plan.slots}), plan.slots]
    for low, high in pairwise(edges):
        state, part = rating.advance(plan, state, low, wh[:, low:high], export[:, low:high])
        parts.append(part)
    assert same(state, whole)
    assert (np.concatenate(parts, axis=1) == exact).all()


@FEWER
@given(texts(), st.integers(0, 1000))
def test_batch_equals_hour_by_hour(text: str, seed: int) -> None:
    plan = compiled(text, days=2)
    wh, export = energies(seed, plan.slots)
    whole, exact = rating.advance(plan, plan.zero(ACCOUNTS), 0, wh, export)
    state = plan.zero(ACCOUNTS)
    for slot in range(plan.slots):
        one = slice(slot, slot + 1)
        state, running = rating.advance(plan, state, slot, wh[:, one], export[:, one])
        assert (running[:, 0] == exact[:, slot]).all()
    assert same(state, whole)


@FEWER
@given(texts(whole=True), st.integers(0, 1000))
def test_slots_add_up_to_the_rounded_lines(text: str, seed: int) -> None:
    plan = compiled(text, days=2)
    wh, export = energies(seed, plan.slots)
    begin = plan.zero(ACCOUNTS)
    rated = rating.rate(plan, wh, state=begin, export=export)
    total = lines.energy_micro(plan, rated.state) - lines.energy_micro(plan, begin)
    assert (rated.amount_micro.sum(axis=1) == total).all()


@FEWER
@given(texts(), st.integers(0, 1000))
def test_fast_charges_equal_the_rounding_of_every_step(text: str, seed: int) -> None:
    plan = compiled(text, days=2)
    wh, export = energies(seed, plan.slots)
    rated = rating.rate(plan, wh, export=export)
    state = plan.zero(ACCOUNTS)
    before = lines.energy_micro(plan, state)
    for slot in range(plan.slots):
        state, _ = rating.advance(plan, state, slot, wh[:, slot : slot + 1], export[:, slot : slot + 1])
        after = lines.energy_micro(plan, state)
        assert (rated.amount_micro[:, slot] == after - before).all()
        before = after


@SETTINGS
@given(texts(), st.integers(0, 1000), st.permutations(range(ACCOUNTS)), st.integers(1, 200))
def test_order_and_chunking_of_meters_change_nothing(text: str, seed: int, order: list[int], block: int) -> None:
    plan = compiled(text)
    wh, export = energies(seed, plan.slots)
    state, exact = rating.advance(plan, plan.zero(ACCOUNTS), 0, wh, export)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "TILE", block)
        patch.setattr(step, "ACROSS", 1 + block % 2)
        patch.setattr(step, "BLOCK_ROWS", 1 + block % 3)
        patch.setattr(kernel, "WIDE", 1 + block % 4)
        by_slot = np.asfortranarray(wh[order])
        other, shuffled = rating.advance(plan, plan.zero(ACCOUNTS), 0, by_slot, export[order])
    assert (shuffled == exact[order]).all()
    assert (other.quantity == state.quantity[order]).all()


def on_limits(seed: int, slots: int, *, negative: bool) -> np.ndarray:
    """Energies whose sums often end on a whole kWh, where limits are."""
    random = np.random.default_rng(seed)
    wh = random.choice([0, 0, 500, 1000, 2000, 7000, 12_001, 999], (ACCOUNTS, slots))
    return np.where(random.random(wh.shape) < 0.2, -wh, wh) if negative else wh


@SETTINGS
@given(texts(), st.integers(0, 1000), st.booleans(), st.sampled_from([0, 3000, -2500]))
def test_the_way_of_rising_energies_equals_the_general_one(text: str, seed: int, negative: bool, before: int) -> None:
    plan = compiled(text)
    wh, export = on_limits(seed, plan.slots, negative=negative), on_limits(seed + 1, plan.slots, negative=False) // 3
    begin = plan.zero(ACCOUNTS, before)
    one, exact = rating.advance(plan, begin, 0, wh, export)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "_rises", lambda values: False)
        other, general = rating.advance(plan, begin, 0, wh, export)
    room = rating.Room()
    rating.advance(plan, begin, 0, wh[::-1], export, room=room)
    spent, roomy = rating.advance(plan, plan.zero(ACCOUNTS, before), 0, wh, export, spent=True, room=room)
    assert same(one, other) and same(one, spent)
    assert (exact == general).all() and (exact == roomy).all()


def test_a_refusal_leaves_a_spent_state_as_it_was() -> None:
    plan = ladder_plan()
    state = plan.zero(1)
    with pytest.raises(RatingError):
        rating.advance(plan, state, 0, np.array([[5, rating.MAX_SLOT_WH + 1]]), spent=True)
    assert same(state, plan.zero(1))


def test_states_are_joined_in_order() -> None:
    plan = compiled(books.shipped_text("demo"))
    wh, _ = energies(3, plan.slots)
    whole, _ = rating.advance(plan, plan.zero(ACCOUNTS), 0, wh)
    parts = [
        rating.advance(plan, plan.zero(part.stop - part.start), 0, wh[part])[0] for part in (slice(0, 2), slice(2, 5))
    ]
    assert same(rating.join(parts), whole)


@SETTINGS
@given(texts(), st.integers(0, 1000), st.integers(0, 40))
def test_a_zero_read_changes_nothing(text: str, seed: int, slot: int) -> None:
    plan = compiled(text)
    wh, export = energies(seed, plan.slots)
    wh[:, slot] = export[:, slot] = 0
    rated = rating.rate(plan, wh, export=export)
    assert (rated.amount_micro[:, slot] == 0).all()
    if slot:
        assert (rated.exact[:, slot] == rated.exact[:, slot - 1]).all()


@SETTINGS
@given(texts(), st.integers(0, 1000))
def test_widened_arithmetic_gives_the_same_integers(text: str, seed: int) -> None:
    plan = compiled(text)
    wide = Plan(
        plan.book, plan.calendar, plan.attributes, plan.streams, plan.lines, plan.price_scale, object, plan.primary
    )
    wh, export = energies(seed, plan.slots)
    one, exact = rating.advance(plan, plan.zero(ACCOUNTS), 0, wh, export)
    other, same_exact = rating.advance(wide, wide.zero(ACCOUNTS), 0, wh, export)
    assert (exact == same_exact).all()
    assert (one.quantity == other.quantity).all()


def test_compile_is_deterministic_and_shared() -> None:
    text = books.shipped_text("demo")
    one, other = (compiled(text, days=31) for _ in range(2))
    assert one is other
    again = rating.compile(books.load(text, "demo"), one.calendar.start, one.calendar.start + timedelta(days=1))
    assert [key.price for key in again.lines] == [key.price for key in one.lines]


def ladder_plan() -> Plan:
    ladder = {"reset": "bill", "limits": ["1", "2"]}
    component = {"id": "energy", "kind": "energy", "prices": ["1", "10", "100"], "ladder": ladder}
    table = {"currency": "XXX", "zone": "UTC", "version": [{"from": "2020-01-01", "component": [component]}]}
    return compiled(document(table), days=1)


@pytest.mark.parametrize(
    ("wh", "tiers"),
    [([1000, 0], [0, 0]), ([1000, 1], [0, 1]), ([2000, 0], [1, 1]), ([2001, 0], [2, 2]), ([999, 1], [0, 0])],
)
def test_a_quantity_on_a_limit_belongs_to_the_lower_tier(wh: list[int], tiers: list[int]) -> None:
    plan = ladder_plan()
    rated = rating.rate(plan, np.array([wh]))
    assert rated.tier[0].tolist() == tiers
    assert rated.price[0].tolist() == [10**tier for tier in tiers]


def test_the_slot_that_crosses_limits_is_split() -> None:
    plan = ladder_plan()
    _, exact = rating.advance(plan, plan.zero(1), 0, np.array([[2500]]))
    assert exact[0, 0] == 1000 * 1 + 1000 * 10 + 500 * 100


def test_net_export_walks_the_ladder_back_down() -> None:
    ladder = {"reset": "bill", "limits": ["1", "2"]}
    component = {"id": "energy", "kind": "energy", "quantity": "net", "prices": ["1", "10", "100"], "ladder": ladder}
    table = {"currency": "XXX", "zone": "UTC", "version": [{"from": "2020-01-01", "component": [component]}]}
    plan = compiled(document(table), days=1)
    _, exact = rating.advance(plan, plan.zero(1), 0, np.array([[2500, 0]]), np.array([[0, 2500]]))
    assert exact[0].tolist() == [61_000, 0]


def test_prices_too_fine_for_64_bits_are_widened() -> None:
    component = {"id": "energy", "kind": "energy", "prices": ["0.123456789012"]}
    table = {"currency": "XXX", "zone": "UTC", "version": [{"from": "2020-01-01", "component": [component]}]}
    plan = compiled(document(table), days=3)
    assert plan.dtype is object
    most = np.full((1, plan.slots), rating.MAX_SLOT_WH)
    _, exact = rating.advance(plan, plan.zero(1), 0, most)
    assert exact[0, -1] == plan.slots * rating.MAX_SLOT_WH * 123456789012


def test_one_room_serves_plain_and_widened_plans() -> None:
    fine = document(
        {
            "currency": "XXX",
            "zone": "UTC",
            "version": [
                {
                    "from": "2020-01-01",
                    "component": [
                        {
                            "id": "energy",
                            "kind": "energy",
                            "prices": ["0.123456789012", "0.9"],
                            "ladder": {"reset": "bill", "limits": ["150000"]},
                        }
                    ],
                }
            ],
        }
    )
    plain, wide = ladder_plan(), compiled(fine, days=1)
    assert plain.dtype is np.int64 and wide.dtype is object
    wh = np.full((ACCOUNTS, plain.slots), rating.MAX_SLOT_WH)
    room = rating.Room()
    for plan in (plain, wide, plain, wide):
        alone, exact = rating.advance(plan, plan.zero(ACCOUNTS), 0, wh)
        state, running = rating.advance(plan, plan.zero(ACCOUNTS), 0, wh, room=room)
        assert same(alone, state) and (exact == running).all()
        assert running.dtype == plan.dtype
    assert running[0, -1] > 1 << 63


def test_refusals_name_what_is_wrong() -> None:
    plan = ladder_plan()
    with pytest.raises(RatingError, match="more than 100000000 Wh"):
        rating.advance(plan, plan.zero(1), 0, np.array([[rating.MAX_SLOT_WH + 1]]))
    with pytest.raises(RatingError, match="state stands at 0"):
        rating.advance(plan, plan.zero(1), 1, np.array([[1]]))
    with pytest.raises(RatingError, match="for 1 accounts"):
        rating.advance(plan, plan.zero(1), 0, np.array([[1], [2]]))
