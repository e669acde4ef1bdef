"""Published numbers, bills with holes, and that what accrues becomes the bill without a jump."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tariff import book as books
from tariff import money, statement
from tariff.errors import RatingError
from tariff.statement import Usage
from tests.cases.toml_text import document
from tests.tariff.books import texts
from tests.tariff.months import Month, month, shipped

SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.mark.parametrize(
    ("day", "kwh", "household", "total"),
    [
        ("2025-07-10", 600, "3", "370.40"),
        ("2025-12-10", 600, "3", "423.40"),
        ("2025-07-10", 260, "3", "153.14"),
        ("2025-07-10", 360, "5", "212.04"),
        ("2025-07-10", 700, "5", "429.30"),
    ],
)
def test_guangzhou(day: str, kwh: int, household: str, total: str) -> None:
    bill = month(shipped("guangzhou-residential"), day, kwh).bill(attributes={"household": household})
    assert money.format(bill.total_micro) == total


def test_zhejiang_goes_on_from_the_year_and_restarts_in_january() -> None:
    book = shipped("zhejiang-residential-plain")
    november = month(book, "2025-11-10", 400)
    lines = november.bill(carried=2_700_000).lines
    assert [(line.tier, line.quantity, line.amount_micro) for line in lines] == [
        (0, "60", 32_280_000),
        (1, "340", 199_920_000),
    ]
    january = month(book, "2026-01-10", 400)
    assert [line.tier for line in january.bill().lines] == [0]


def test_zhejiang_by_time_of_use() -> None:
    """One kWh in every hour of March: 14 peak hours a day, in the first tier."""
    book = shipped("zhejiang-residential")
    start, end = statement.period_of(book, datetime(2025, 3, 10))
    slots = (end - start) // timedelta(hours=1)
    ends = np.array([start + timedelta(hours=slot + 1) for slot in range(slots)], "datetime64[ms]")
    bill = statement.bill(book, "A", start, end, ends, np.full(slots, 1000), minutes=60)
    found = {line.period: (line.quantity, money.format(line.amount_micro)) for line in bill.lines}
    assert found == {"peak": ("434", "246.51"), "valley": ("310", "89.28")}


def test_the_ladder_of_the_year_is_carried_from_the_energy_before() -> None:
    book = shipped("zhejiang-residential-plain")
    year = [month(book, f"2025-{number:02d}-10", 300) for number in range(1, 12)]
    before = Usage(
        np.concatenate([one.usage.ends for one in year[:-1]]), np.concatenate([one.usage.wh for one in year[:-1]]), 60
    )
    assert statement.ladder_start(book, year[-1].start) == year[0].start
    assert statement.carried(book, year[-1].start, before) == {"energy": 3_000_000}
    next_year = month(book, "2026-01-10", 300)
    assert statement.carried(book, next_year.start, before) == {}


BANDS = "".join(
    f"{day}/3/2013 {hour}:{half:02d},{'High' if hour == 18 else 'Normal'}\n"
    for day in range(1, 32)
    for hour in range(24)
    for half in (0, 30)
)


def test_london_bands_price_each_half_hour() -> None:
    book = shipped("london-dynamic-2013", **{"london_dtou_2013_halfhourly.csv": BANDS.encode()})
    march = month(book, "2013-03-10", 310, minutes=30)
    lines = {line.period: line for line in march.bill().lines}
    high = sum(int(wh) for wh, end in zip(march.usage.wh, march.usage.ends, strict=True) if at_six(end))
    assert lines["High"].quantity == money.text(high, 3)
    assert lines["High"].amount_micro == money.to_micro(high * 672, 10**6, 2)
    assert lines["Normal"].amount_micro == money.to_micro((310_000 - high) * 1176, 10**7, 2)


def at_six(end: np.datetime64) -> bool:
    start = end - np.timedelta64(30, "m")
    return int(start.astype("datetime64[h]").astype(int)) % 24 == 18


def test_a_series_that_is_not_there_is_named() -> None:
    with pytest.raises(RatingError, match=r"london_dtou_2013_halfhourly\.csv.*put it beside the book"):
        month(shipped("london-dynamic-2013"), "2013-03-10", 1, minutes=30).bill()


def test_energy_without_a_price_is_refused_and_hours_are_too_long_for_half_hours() -> None:
    name = "london_dtou_2013_halfhourly.csv"
    book = shipped("london-dynamic-2013", **{name: b"1/3/2013 0:00,High\n"})
    with pytest.raises(RatingError, match="no price for some"):
        month(book, "2013-03-10", 10, minutes=30).bill()
    with pytest.raises(RatingError, match="slots of 60 minutes"):
        month(book, "2013-03-10", 10).bill()


def test_numeric_prices_may_be_negative() -> None:
    component = {"id": "energy", "kind": "energy", "series": "p.csv", "series_minutes": 60}
    table = {"currency": "GBP", "zone": "UTC", "version": [{"from": "2020-01-01", "component": [component]}]}
    prices = "".join(
        f"2025-02-{day:02d}T{hour:02d}:00,{'-0.1008' if hour == 3 else '0.2'}\n"
        for day in range(1, 29)
        for hour in range(24)
    )
    book = books.load(document(table), "dynamic", series=lambda name: prices.encode())
    one = month(book, "2025-02-10", 100)
    night = sum(int(wh) for slot, wh in enumerate(one.usage.wh) if slot % 24 == 3)
    assert one.bill().total_micro == money.to_micro(-night * 1008 + (100_000 - night) * 2000, 10**7, 2)


def test_what_is_missing_is_named_and_an_end_excuses_the_rest() -> None:
    whole = month(shipped("demo"), "2025-03-10", 300)
    keep = np.ones(whole.slots, np.bool_)
    keep[10:13] = keep[500:] = False
    usage = Usage(whole.usage.ends[keep], whole.usage.wh[keep], 60)
    part = Month(whole.book, whole.start, whole.end, usage)
    bill = part.bill()
    assert not bill.complete
    assert [(span.start, span.intervals) for span in bill.missing] == [
        (whole.start + timedelta(hours=10), 3),
        (whole.start + timedelta(hours=500), whole.slots - 500),
    ]
    ended = part.bill(ended=whole.start + timedelta(hours=500))
    assert [span.intervals for span in ended.missing] == [3]
    assert ended.ended == whole.start + timedelta(hours=500)


def test_order_of_intervals_does_not_matter_and_doubles_are_refused() -> None:
    one = month(shipped("demo"), "2025-03-10", 300)
    back = Month(one.book, one.start, one.end, Usage(one.usage.ends[::-1], one.usage.wh[::-1], 60))
    assert back.bill() == one.bill()
    twice = Usage(np.append(one.usage.ends, one.usage.ends[5]), np.append(one.usage.wh, 1), 60)
    with pytest.raises(RatingError, match="two intervals for one slot"):
        Month(one.book, one.start, one.end, twice).bill()
    off = Usage(one.usage.ends + np.timedelta64(15, "m"), one.usage.wh, 60)
    with pytest.raises(RatingError, match="do not lie on the slots"):
        Month(one.book, one.start, one.end, off).bill()


@pytest.mark.parametrize("name", ["demo", "guangzhou-residential", "zhejiang-residential"])
def test_accrued_rises_to_the_bill_without_a_jump(name: str) -> None:
    """Each hour adds at most its energy at the highest price, its share of what is fixed, tax, and some roundings."""
    one = month(shipped(name), "2025-03-10", 700)
    accrued = [one.accrued(slots) for slots in range(0, one.slots + 1, 1)]
    assert accrued[0] == 0
    assert accrued[-1] == one.bill().total_micro
    for wh, before, after in zip(one.usage.wh, accrued, accrued[1:], strict=False):
        most = int(wh) * 1_200 * 106 // 100 + 6_000_000 * 106 // 100 // one.slots + 100_000
        assert 0 <= after - before <= most


@SETTINGS
@given(texts(whole=True), st.sampled_from(["2025-03-05", "2025-10-10", "2024-02-02"]), st.integers(0, 900))
def test_accrued_at_the_end_is_the_bill(text: str, day: str, kwh: int) -> None:
    one = month(books.load(text, "random"), day, kwh)
    assert one.accrued(one.slots) == one.bill().total_micro
    assert one.accrued(one.slots + 50) == one.bill().total_micro


def test_periods_follow_the_local_month_and_the_cycle_day() -> None:
    book = shipped("guangzhou-residential")
    assert statement.period_of(book, datetime(2025, 2, 28, 16)) == (
        datetime(2025, 2, 28, 16),
        datetime(2025, 3, 31, 16),
    )
    assert statement.period_of(book, datetime(2025, 2, 28, 15, 59))[1] == datetime(2025, 2, 28, 16)
    assert statement.period_of(book, datetime(2025, 1, 5), 15) == (
        datetime(2024, 12, 14, 16),
        datetime(2025, 1, 14, 16),
    )


def test_an_unchanged_fee_is_one_line_over_a_price_change_and_a_changed_one_bears_its_days() -> None:
    def version(start: str, fee: str, price: str) -> dict[str, object]:
        energy = {"id": "energy", "kind": "energy", "prices": [price]}
        return {"from": start, "component": [energy, {"id": "fee", "kind": "fixed", "amount": fee}]}

    def fees(second: str) -> list[tuple[str, int]]:
        versions = [version("2025-01-01", "31", "1"), version("2025-03-11", second, "2")]
        book = books.load(document({"currency": "XXX", "zone": "Europe/London", "version": versions}), "b")
        bill = month(book, "2025-03-10", 100).bill()
        return [(line.version, line.amount_micro) for line in bill.lines if line.id == "fee"]

    assert fees("31") == [("2025-01-01", 31_000_000)]
    assert fees("62") == [("2025-01-01", 10_000_000), ("2025-03-11", 42_000_000)]
