"""What pages count: the burn-down exact to the micro-unit, who comes first, bars, ladder, completeness."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from starlette.testclient import TestClient

from control import assemble, credit
from ingest.records import MeterPoint
from prewatt.console import account, board, burndown, render, usage
from prewatt.console.app import console
from prewatt.console.usage import HOUR
from prewatt.console.views import AttentionRow, Bar, TierMeter, TierStep
from storage.records import Posting
from tests.browser.town import Lived, live

NOW = datetime(2026, 3, 18, 6, 5)
TOP = NOW.replace(minute=0)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """A small town after sixteen days."""
    found = asyncio.run(live(tmp_path_factory.mktemp("town"), 24))
    yield found
    found.store.close()


def posting(at: datetime, amount: int, source: str = "payment:wallet") -> Posting:
    return Posting(source, f"{at}", "customer:A", amount, "CNY", at, at)


def postings_of(lived: Lived, name: str) -> list[Posting]:
    return lived.store.read(lambda reader: reader.find(Posting, ledger_account=f"customer:{name}"))


def test_the_burn_down_is_exact_and_jumps_at_payments() -> None:
    paid = TOP - timedelta(hours=2, minutes=20)
    charged = [(TOP - n * HOUR, 1_000_003) for n in range(4)]
    rows = [
        posting(paid, 50_000_000),
        posting(TOP - 3 * HOUR, -7, "reversal:wallet"),
        posting(TOP - HOUR, -9_999, "bill"),
    ]
    points = dict(burndown.balance(46_000_000, charged, rows, NOW))
    assert points[NOW] == 46_000_000
    assert points[TOP] == 46_000_000
    assert points[TOP - HOUR] == 47_000_003, "a bill moves no available money"
    assert points[paid] == 46_000_000 + 3 * 1_000_003
    assert points[paid] - points[paid - timedelta(seconds=1)] == 50_000_000
    assert points[TOP - 3 * HOUR] == points[paid - timedelta(seconds=1)]
    assert list(points) == sorted(points)
    last = min(points)
    assert points[last] == 46_000_000 + 4 * 1_000_003 - 50_000_000 + 7


def test_since_when_the_money_is_gone() -> None:
    charged = [(TOP - n * HOUR, 10) for n in range(6)]
    assert burndown.gone_since(5, charged, [], NOW) is None
    assert burndown.gone_since(-25, charged, [], NOW) == TOP - 2 * HOUR
    paid = [posting(TOP - timedelta(minutes=90), 100)]
    assert burndown.gone_since(-5, charged, paid, NOW) == TOP
    assert burndown.gone_since(-25, charged, paid, NOW) == TOP - 5 * HOUR, "the payment did not suffice"
    assert burndown.gone_since(-1000, charged, [], NOW) == TOP - 5 * HOUR, "at least since then"
    assert burndown.gone_since(-1, [], [], NOW) is None


def test_pages_agree_with_the_ledger_on_every_account(lived: Lived) -> None:
    """The curve ends in what is available, begins with nothing paid, and no charge or payment is missing on it."""
    source, world = lived.source, lived.engine.world()
    cases = lived.store.read(lambda reader: assemble.cases(reader, None, world))
    for name, case in cases.items():
        page = account.page(source, name)
        assert page is not None
        assert page.balance[-1] == (world.now, credit.available(case)) == (page.frame.now, page.available_micro)
        assert page.available_micro == page.posted_micro - page.accrued_micro
        points = dict(page.balance)
        rows = postings_of(lived, name)
        jumps = [row for row in rows if row.at > min(points)]
        for row in jumps:
            assert points[row.at] - points[row.at - timedelta(seconds=1)] == row.amount_micro, name
        meter = next(s.point.meter_id for s in lived.town.sites if s.account.account == name)
        bars = usage.bars(lived.store, [meter], min(points), world.now)
        whole = sum(row.amount_micro for row in jumps) - sum(bar.amount_micro for bar in bars)
        assert points[max(points)] - points[min(points)] == whole, name


def test_board_and_account_page_say_the_same(lived: Lived) -> None:
    source = lived.source
    _, everybody = board.everybody(source)
    for row in everybody:
        page = account.page(source, row.account)
        assert page is not None
        same = (page.state, page.available_micro, page.burn_micro, page.hours_left, page.read_age_s)
        assert same == (row.state, row.available_micro, row.burn_micro, row.hours_left, row.read_age_s)


def test_whoever_has_least_time_comes_first(lived: Lived) -> None:
    view = board.board(lived.source)
    rows = view.attention
    assert "active" not in {row.state for row in rows}
    live_rows = [row for row in rows if row.state != "disconnected" and row.hours_left is not None]
    assert [row.hours_left for row in live_rows] == sorted(row.hours_left or 0.0 for row in live_rows)
    assert sum(n for _, n in view.tiles) == view.frame.accounts == 24
    blank = replace(rows[0], hours_left=None, account="Z")
    off = replace(rows[0], state="disconnected", hours_left=-900.0, account="A")
    soon, late = replace(rows[0], hours_left=-19.0, state="pending"), replace(rows[0], hours_left=2.0)
    mixed: list[AttentionRow] = [off, blank, late, soon]
    assert sorted(mixed, key=board.urgency) == [soon, late, blank, off]


def test_a_tile_shows_its_accounts_only(lived: Lived) -> None:
    for state, count in board.board(lived.source).tiles:
        view = board.board(lived.source, state)
        assert view.attention_all == count
        assert {row.state for row in view.attention} <= {state}


def test_approvals_carry_their_facts(lived: Lived) -> None:
    cards = board.board(lived.source).approvals
    assert cards
    for card in cards:
        assert card.available_micro < 0
        assert card.expired_h is not None
        assert card.expired_h > 0
        assert card.window_until == datetime(2026, 3, 18, 8, 0), "16:00 in Shanghai"
        assert not card.protected


def test_sparks_and_strips_count_what_is_stored(lived: Lived) -> None:
    now = lived.clock.now()
    recent = usage.recent(lived.store, now)
    rows = lived.store.intervals(recent.start, now.replace(minute=0))
    assert sum(sum(row) for row in recent.wh.values()) == sum(rows["energy_wh"].to_pylist())
    points = lived.store.read(lambda reader: reader.find(MeterPoint))
    strips = usage.strips(recent, points)
    assert {strip.gateway for strip in strips} == {p.gateway for p in points}
    late = now.replace(minute=0) - 24 * HOUR
    stored = sum(end > late for end in rows["end"].to_pylist())
    counted = sum(sum(row[-24:]) for row in recent.slots.values())
    assert counted == stored
    assert any(p is not None and p < 100 for strip in strips for p in strip.percents), "the silent meter shows"


def test_the_chart_gets_every_point(lived: Lived) -> None:
    one = lived.pick("pending")
    view = account.page(lived.source, one)
    assert view is not None
    series = TestClient(console(lived.source, key=b"k")).get(f"/accounts/{one}/series.json").json()
    assert series["balance"][-1][1] == pytest.approx(view.available_micro / 1e6)
    assert len(series["load"]) == len(view.bars) > 150
    assert series["periods"][0] == "peak", "the dearest is drawn strongest"
    assert (series["sign"], series["zone"]) == ("¥", "Asia/Shanghai")
    at = [point[0] for point in series["balance"] + series["projection"]]
    assert at == sorted(at)
    assert len(series["projection"]) == 72


def test_the_projection_repeats_the_mean_day() -> None:
    bars = [Bar(TOP - n * HOUR, 100, 24 if (TOP - n * HOUR).hour == 12 else 1, "", 0, "") for n in range(48)]
    ahead = burndown.projection(bars, 1000, NOW)
    assert len(ahead) == 72
    assert 1000 - ahead[-1][1] == 3 * (24 + 23)
    assert burndown.projection([], 1000, NOW) == ()


def test_the_tier_meter_is_drawn_to_scale() -> None:
    steps = (TierStep(2760, "0.4983"), TierStep(4800, "0.5483"), TierStep(None, "0.7983"))
    tier = TierMeter("year", 3_000_000, steps, 1)
    pieces = render.ladder(tier)
    assert [piece.width for piece in pieces] == pytest.approx(
        [280 * 2760 / 6840, 280 * 2040 / 6840, 280 * 2040 / 6840], abs=0.1
    )
    assert render.ladder_mark(tier) == pytest.approx(280 * 3000 / 6840, abs=0.1)
    assert render.ladder_mark(replace(tier, used_wh=26_138_900)) == 275.0, "past the end it stays at the end"


def test_the_ladder_counts_from_its_start(lived: Lived) -> None:
    site = next(s for s in lived.town.sites if s.account.book == "zhejiang-residential")
    page = account.page(lived.source, site.account.account)
    assert page is not None
    assert page.tier is not None
    used = lived.store.intervals(datetime(2025, 12, 31, 16), lived.clock.now(), [site.point.meter_id])
    assert page.tier.used_wh == sum(used["energy_wh"].to_pylist())
    assert (page.tier.scope, page.tier.current) == ("year", 0)
    assert [step.limit_kwh for step in page.tier.steps] == [2760, 4800, None]
