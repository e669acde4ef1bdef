"""Hours left on a real book: prices ahead hour by hour at the tier reached, the tier itself, and the last flags."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from control import alerts, assemble, decide, notices, outlooks, prices, text
from control.alerts import AlertDue
from control.assemble import Outlook, World
from control.histories import Histories
from control.records import Case, Notice
from ingest.records import Channel, Flag, Interval
from storage import schemas
from storage.rater import Rater
from storage.records import Account, AccountState, RegisterPlace
from storage.store import Priority
from storage.unit import Unit
from tariff import book as books
from tariff import rating
from tests.control.rig import CNY, DAY, HOUR, NOW, Rig, residential
from tests.control.test_ablation import without

ZHEJIANG = books.load(books.shipped_text("zhejiang-residential"), "zhejiang-residential")
GUANGZHOU = books.load(books.shipped_text("guangzhou-residential"), "guangzhou-residential")
END = NOW.replace(minute=0)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def case(rig: Rig, **outlook: object) -> Case:
    world = replace(rig.world(), outlooks={"A1": Outlook(**outlook)} if outlook else {})  # type: ignore[arg-type]
    found = rig.store.read(lambda reader: assemble.case(reader, "A1", world))
    assert found is not None
    return found


def rated(rig: Rig, wh: int, *, last_flags: int = 0) -> Outlook:
    """Rate two weeks of equal hours on the Zhejiang book and look ahead."""
    ends = [NOW.replace(day=1, hour=0, minute=0) + HOUR * number for number in range(1, 24 * 14 + 3)]
    rows = [Interval(1, Channel.IMPORT, end, 60, wh, last_flags if end == ends[-1] else 0) for end in ends]
    table = schemas.intervals_table(rows)
    rig.store.write(Priority.INBOX, lambda unit: unit.append_batch("intervals", "t", "1", table, NOW))
    Rater(rig.store, {"zj": ZHEJIANG}).step(NOW)
    cases = rig.store.read(lambda reader: assemble.cases(reader, None, rig.world()))
    cases = {name: replace(found, posted_micro=100 * CNY, accrued_micro=0) for name, found in cases.items()}
    ahead = rig.store.read(lambda reader: outlooks.ahead(reader, {"zj": ZHEJIANG}, NOW))
    return outlooks.outlooks(Histories(rig.store, 28), cases, {"A1": [1]}, rig.policies, ahead)["A1"]


def slow_hours(wh: int, left: float, tier: int) -> float:
    """Hour by hour through the book, as its own kernel prices one hour at a time inside that tier."""
    plan = rating.compile(ZHEJIANG, END, END + timedelta(hours=720), 60, {})
    stream = plan.streams[plan.primary]
    start = int(stream.limits[tier - 1, 0]) + 1 if tier else 0
    state = replace(plan.zero(1), position=plan.zero(1).position + start)
    done = rating.rate(plan, np.full((1, 720), wh, np.int64), state=state)
    spent = np.cumsum(done.amount_micro[0])
    hour = int(np.argmax(spent >= left))
    before = float(spent[hour - 1]) if hour else 0.0
    return hour + (left - before) / (float(spent[hour]) - before)


@pytest.mark.parametrize(("wh", "tier"), [(1000, 0), (9000, 1)])
def test_hours_left_follow_the_books_hours_at_the_tier_reached(rig: Rig, wh: int, tier: int) -> None:
    found = rated(rig, wh)
    assert (found.tier, found.tier_period) == (tier, "2024")
    assert found.hours_p50 == pytest.approx(
        slow_hours(wh, 100 * CNY - residential().disconnection_balance_micro, tier), 0.01
    )


def test_prices_ahead_are_the_books_own_for_every_tier_hour_and_season() -> None:
    """From 20 April Guangzhou's winter ladder runs into its summer one; each price is one Wh's inside the tier."""
    start = datetime(2024, 4, 20)
    plan = rating.compile(GUANGZHOU, start, start + timedelta(hours=720), 60, {})
    ahead = prices.ahead(GUANGZHOU, start, {})
    assert ahead is not None and ahead.restart == "month"
    stream = plan.streams[plan.primary]
    for tier in range(stream.prices.shape[1]):
        inside = int(stream.limits[tier - 1, 0]) + 1 if tier else 0
        for hour in (0, 5, 100, 250, 300, 500, 719):
            zero = plan.zero(1)
            state = replace(zero, position=zero.position + inside)
            wh = np.zeros((1, 720), np.int64)
            wh[0, hour] = 1
            want = rating.rate(plan, wh, state=state).price[0, hour] * 10 ** (6 - plan.price_scale)
            got = ahead.at(tier)
            assert got is not None
            assert got[hour] == want, (tier, hour)
    first, last = ahead.at(0), ahead.at(99)
    assert first is not None and last is not None
    assert last[0] > first[0], "a dearer tier is dearer"
    assert last[-1] == first[-1], "in May the ladder has begun anew"


def test_a_book_that_cannot_tell_leaves_last_weeks_prices() -> None:
    dynamic = books.load(books.shipped_text("london-dynamic-2013"), "london-dynamic-2013")
    ahead = prices.ahead(dynamic, datetime(2030, 1, 1), {})
    assert ahead is None or ahead.at(0) is None
    assert prices.Prices({}, {}, END).of("A1") is None


def test_over_tier_is_told_once_for_each_tier_and_ladder_period_whatever_is_paid_between(rig: Rig) -> None:
    def told(**outlook: object) -> list[str]:
        found = case(rig, **outlook)
        return [due.rung for due in alerts.due(found, residential()) if due.code == "over_tier"]

    assert told(tier=0, tier_period="2024") == []
    assert told(tier=1, tier_period="2024") == ["over_tier.1.2024"]
    at = NOW - DAY
    rung = "over_tier.1.2024"
    rig.put(Notice("n-1", "A1", 1, rung, "customer", "file", "x", "zh", "over_tier", {}, at, state="delivered"))
    assert told(tier=1, tier_period="2024") == []
    state = rig.get(AccountState, "A1")
    rig.put(replace(state, epoch=2))  # type: ignore[type-var]
    assert told(tier=1, tier_period="2024") == [], "a payment opened a new epoch, not a new year"
    assert told(tier=2, tier_period="2024") == ["over_tier.2.2024"]
    assert told(tier=1, tier_period="2025") == ["over_tier.1.2025"]


def _queue(seen: Case, due: list[AlertDue], world: World, unit: Unit) -> None:
    notices.queue(unit, seen, due, world)


def test_a_tier_ahead_is_told_end_to_end_within_one_message(rig: Rig) -> None:
    """7 kWh an hour since 1 May: 338 hours are 2366 kWh of the year's 2760, so the second tier is 56.3 hours away."""
    found = rated(rig, 7000)
    state = rig.get(AccountState, "A1")
    assert isinstance(state, AccountState) and state.next_tier_wh == 2_760_000 - 338 * 7000
    assert found.tier == 0 and found.next_tier_h == pytest.approx(394 / 7, 0.001)
    holder = rig.get(Account, "A1")
    rig.put(replace(holder, lang="zh"))  # type: ignore[type-var]
    world = replace(rig.world(), outlooks={"A1": found})
    seen = case(rig, tier=found.tier, tier_period=found.tier_period, next_tier_h=found.next_tier_h)
    due = [one for one in alerts.due(seen, residential()) if one.code == "over_tier_soon"]
    assert [one.rung for one in due] == ["over_tier_soon.1.2024"]
    rig.store.write(Priority.BATCH, partial(_queue, seen, due, world))
    (notice,) = rig.find(Notice, code="over_tier_soon")
    assert (notice.recipient, notice.state) == ("customer", "queued")
    assert "3天内进入第2档" in notice.text and text.fits(notice.text)
    english = text.render("over_tier_soon", due[0].params, "en")
    assert "Price tier 2 within 3 days" in english and text.fits(english)
    account = rig.get(AccountState, "A1")
    rig.put(replace(account, epoch=2))  # type: ignore[type-var]
    again = case(rig, tier=found.tier, tier_period=found.tier_period, next_tier_h=20.0)
    assert "over_tier_soon" not in {one.code for one in alerts.due(again, residential())}, "once, whatever is paid"


def test_a_ladder_that_restarts_first_is_not_told_of(rig: Rig) -> None:
    assert rated(rig, 1000).next_tier_h is None, "2422 hours away: beyond the horizon"
    ahead = rig.store.read(lambda reader: outlooks.ahead(reader, {"zj": GUANGZHOU}, NOW))
    left = (datetime(2024, 5, 31, 16) - END) / HOUR
    assert outlooks._next_tier(ahead, "A1", "month", left - 0.1) == left - 0.1
    assert outlooks._next_tier(ahead, "A1", "month", left + 0.1) is None, "on 1 June it begins anew"


# ---- what G2 sees of the last read


def place(**changes: object) -> RegisterPlace:
    return replace(RegisterPlace(1, int(Channel.IMPORT), END, 1_000_000), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "outlook", "flag"),
    [
        (place(suspect_end=END + HOUR, suspect_wh=9), {}, Flag.SUSPECT),
        (place(estimated=True), {}, Flag.ESTIMATED),
        (place(), {"read_flags": int(Flag.CLOCK)}, Flag.CLOCK),
        (place(), {"read_flags": int(Flag.ESTIMATED)}, Flag.ESTIMATED),
    ],
)
def test_nobody_is_cut_on_a_suspect_estimated_or_clock_flagged_read(
    rig: Rig, row: RegisterPlace, outlook: dict[str, int], flag: Flag, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.put(place())
    assert decide.decide(case(rig), residential()).verdict == "disconnect"
    rig.put(row)
    found = case(rig, **outlook)
    assert Flag(found.read_flags) == flag
    assert decide.decide(found, residential()).reason == "G2"
    with without("G2", monkeypatch):
        assert decide.decide(found, residential()).verdict == "disconnect"


def test_the_last_read_is_the_registers_or_the_last_rated_slot(rig: Rig) -> None:
    account = rig.get(AccountState, "A1")
    assert isinstance(account, AccountState)
    assert case(rig).read_end == account.accrued_to, "no register: intervals from a file"
    rig.put(place(end=END + HOUR))
    assert case(rig).read_end == END + HOUR
    rig.put(place(end=END - 3 * HOUR))
    assert case(rig).read_end == account.accrued_to
    rig.put(place(end=END + HOUR, estimated=True))
    assert case(rig).read_end == account.accrued_to, "an estimate is no read"
    rig.put(RegisterPlace(1, int(Channel.EXPORT), END + 2 * HOUR, 5))
    assert case(rig).read_end == account.accrued_to, "what was fed in is another register"


def test_the_flags_of_the_last_interval_reach_the_case(rig: Rig) -> None:
    assert rated(rig, 1000, last_flags=int(Flag.UNCERTAIN)).read_flags == int(Flag.UNCERTAIN)
    assert isinstance(rig.get(Account, "A1"), Account)
