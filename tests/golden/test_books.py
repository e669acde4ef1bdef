"""Every shipped book gives the bills that its source publishes, or that its published prices make by hand."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tariff import book as books
from tariff import calendar as calendars
from tariff import gas, money, statement, vend
from tariff.difference import held
from tariff.errors import RatingError
from tariff.model import Book
from tariff.records import Bill
from tests.tariff.months import month, shipped, spread

JULY, JANUARY = "2025-07-10", "2025-01-10"

# Totals that a source prints, with tax where the book has it: book, day, kWh of the month, attributes, total.
PUBLISHED: tuple[tuple[str, str, int, dict[str, str], str], ...] = (
    # Guangzhou Daily, 14 May 2026: 600 kWh cost about 370.4 from May to October and 423.4 in the other months.
    ("guangzhou-residential", JULY, 600, {}, "370.40"),
    ("guangzhou-residential", JANUARY, 600, {}, "423.40"),
    # BusinessTech, 4 July 2023: 350 kWh for 733.85 plus VAT is 843.93.
    ("city-power-prepaid", "2023-07-10", 350, {}, "843.93"),
    # Bills of April 2021 with 2 kW: 118 kWh 693, 159 kWh 940.
    ("bangladesh-lt-a-2020", "2021-04-10", 118, {"sanctioned_kw": "2"}, "693.00"),
    ("bangladesh-lt-a-2020", "2021-04-10", 159, {"sanctioned_kw": "2"}, "940.00"),
    # The class of the total prices all units: 80 kWh 100, 130 kWh 215, 230 kWh 520.
    ("tamilnadu-domestic-2012", "2012-06-10", 80, {}, "100.00"),
    ("tamilnadu-domestic-2012", "2012-06-10", 130, {}, "215.00"),
    ("tamilnadu-domestic-2012", "2012-06-10", 230, {}, "520.00"),
    # Kalvi News and infralive, September 2022.
    ("tamilnadu-domestic", "2022-12-10", 100, {}, "0.00"),
    ("tamilnadu-domestic", "2022-12-10", 200, {}, "225.00"),
    ("tamilnadu-domestic", "2022-12-10", 300, {}, "675.00"),
    ("tamilnadu-domestic", "2022-12-10", 400, {}, "1125.00"),
    ("tamilnadu-domestic", "2022-12-10", 500, {}, "1725.00"),
    ("tamilnadu-domestic", "2022-12-10", 800, {}, "4550.00"),
    ("tamilnadu-domestic", "2022-12-10", 900, {}, "5550.00"),
)

# Totals made by hand from published prices.
BY_HAND: tuple[tuple[str, str, int, dict[str, str], str], ...] = (
    # five persons: 360 x 0.589
    ("guangzhou-residential", JULY, 360, {"household": "5"}, "212.04"),
    ("zhejiang-residential-plain", JANUARY, 100, {}, "53.80"),
    ("zhejiang-residential-shared", JANUARY, 100, {}, "55.80"),
    # 31 days x 13.5 = 418.5: 418.5 x 0.32561 = 136.27, 181.5 x 0.40702 = 73.87, 31 x 0.79343 = 24.60
    ("pge-e1", "2026-07-10", 600, {}, "234.74"),
    # 31 days x 11 = 341: 341 x 0.32561 = 111.03, 259 x 0.40702 = 105.42, 24.60
    ("pge-e1", "2027-01-10", 600, {}, "241.05"),
    # 31 x 17.0 = 527: 527 x 0.30214 = 159.23, 73 x 0.40313 = 29.43, 31 x 0.794 = 24.61
    ("sce-d", "2026-07-10", 600, {}, "213.27"),
    # 31 x 18.4 = 570.4: 172.34, 29.6 x 0.40313 = 11.93, 24.61
    ("sce-d", "2027-01-10", 600, {}, "208.88"),
    # 350 x 1.9028 = 665.98, 147 x 2.1562 = 316.96, VAT of 982.94 = 147.44
    ("eskom-homelight-20a", "2024-07-10", 497, {}, "1130.38"),
    # 497 x 2.1611 = 1074.07, VAT 161.11
    ("eskom-homelight-20a", JULY, 497, {}, "1235.18"),
    # 100 x 206.80 + 7.5 %
    ("nigeria-band-a", JULY, 100, {}, "22231.00"),
    # 50 x 3.25 + 50 x 4.05 + 50 x 5.10 + 50 x 6.95 + 50 x 8.20 = 1377.50, + 130
    ("kerala-lt1-domestic", "2024-01-10", 250, {}, "1507.50"),
    # one more: 251 x 6.40 = 1606.40, + 150
    ("kerala-lt1-domestic", "2024-01-10", 251, {}, "1756.40"),
    ("kerala-lt1-domestic", "2024-01-10", 300, {}, "2070.00"),
    # 301 x 7.25 = 2182.25, + 175
    ("kerala-lt1-domestic", "2024-01-10", 301, {}, "2357.25"),
    # 501 x 8.80 = 4408.80, + 260
    ("kerala-lt1-domestic", "2024-01-10", 501, {}, "4668.80"),
    ("kerala-lt1-domestic", "2024-01-10", 40, {}, "170.00"),
    # 300 x 6.40 on three phases: + 205
    ("kerala-lt1-domestic", "2024-01-10", 300, {"phases": "3"}, "2125.00"),
    # 50 kWh on three phases: 231.50 + 84 + 250, VAT of 565.50 = 28.28
    ("bangladesh-lt-a", JULY, 50, {"sanctioned_kw": "2", "phases": "3"}, "593.78"),
    # lifeline: 50 x 4.63 = 231.50, 2 x 42 = 84, 40, VAT of 355.50 = 17.78
    ("bangladesh-lt-a", JULY, 50, {"sanctioned_kw": "2"}, "373.28"),
    # one more: 51 x 5.26 = 268.26, 84, 40, VAT of 392.26 = 19.61
    ("bangladesh-lt-a", JULY, 51, {"sanctioned_kw": "2"}, "411.87"),
    # 75 x 5.26 + 125 x 7.20 + 100 x 7.59 + 100 x 8.02 + 200 x 12.67 + 100 x 14.61 = 6850.50, 84, 40, VAT 348.73
    ("bangladesh-lt-a", JULY, 700, {"sanctioned_kw": "2"}, "7323.23"),
    # the same less 0.5 % of 6850.50 = 34.25: 6940.25 + VAT 347.01
    ("bangladesh-lt-a-prepaid", JULY, 700, {"sanctioned_kw": "2"}, "7287.26"),
    # 1893 x 50 + 1956 x 50 + 2271 x 100 = 419550 and VAT of 8 %
    ("vietnam-residential", JANUARY, 200, {}, "453114.00"),
    ("demo", JULY, 0, {}, "6.36"),
)


def total(bill: Bill) -> str:
    return money.format(bill.total_micro)


@pytest.mark.parametrize(("name", "day", "kwh", "attributes", "want"), PUBLISHED + BY_HAND)
def test_a_month(name: str, day: str, kwh: int, attributes: dict[str, str], want: str) -> None:
    assert total(month(shipped(name), day, kwh).bill(attributes=attributes)) == want


def net(bill: Bill, *ids: str) -> Decimal:
    """Money of the lines ``ids``."""
    return Decimal(sum(line.amount_micro for line in bill.lines if line.id in ids)) / 10**6


@pytest.mark.parametrize(("kwh", "want"), [(350, "733.85"), (374, "791.57"), (800, "1916.76")])
def test_city_power_prints_totals_without_vat(kwh: int, want: str) -> None:
    assert net(month(shipped("city-power-prepaid"), "2023-07-10", kwh).bill(), "energy") == Decimal(want)


@pytest.mark.parametrize(
    ("kwh", "more"), [(50, 4350), (100, 8850), (200, 19250), (300, 32350), (400, 47050), (500, 62150)]
)
def test_vietnam_publishes_what_a_month_costs_more(kwh: int, more: int) -> None:
    book = shipped("vietnam-residential")
    before, after = (net(month(book, day, kwh).bill(), "energy") for day in ("2024-09-10", "2024-11-10"))
    assert after - before == more


def span(book: Book, start: str, end: str, total: int, *, unit: int = 1000, **options: Any) -> Bill:
    """The bill of ``total`` (kWh, unless ``unit`` is 1: Wh or 0.001 m3) in [start, end) on the book's wall clock."""
    minutes = 60
    first, last = (calendars.to_utc(datetime.fromisoformat(text), book.zone) for text in (start, end))
    slots = (last - first) // timedelta(minutes=minutes)
    ends = np.array([first + timedelta(minutes=minutes * (slot + 1)) for slot in range(slots)], "datetime64[ms]")
    wh = spread(total * unit, slots)
    return statement.bill(book, "A", first, last, ends, wh, minutes=minutes, **options)


def test_vietnam_stretches_its_tiers_by_the_days_of_a_bill() -> None:
    """7 January to 29 February 2024 were billed as 57 days: 1.9, so 95 kWh at the first price; VND 218,220 in all."""
    bill = span(shipped("vietnam-residential-by-days"), "2024-01-07", "2024-03-04", 120)
    assert [(line.tier, line.quantity) for line in bill.lines if line.id == "energy"] == [(0, "95"), (1, "25")]
    assert net(bill, "energy") == 95 * 1806 + 25 * 1866 == 218_220


@pytest.mark.parametrize(
    ("name", "month_of", "kwh", "dollars"),
    [
        # China Post, 19 May 2015: 330 kWh are 735 now and 800 in summer, 500 kWh 1296 and 1480.
        ("taipower-residential-2015", 5, 330, 735),
        ("taipower-residential-2015", 5, 500, 1296),
        ("taipower-residential-2015", 6, 330, 800),
        ("taipower-residential-2015", 6, 500, 1480),
        # by hand: 120 x 1.78 + 210 x 2.55 + 98 x 3.80 = 1121.50; 120 x 1.78 + 185 x 2.26 = 631.70
        ("taipower-residential", 7, 428, 1122),
        ("taipower-residential", 1, 305, 632),
    ],
)
def test_taipower_prints_months_in_whole_dollars(name: str, month_of: int, kwh: int, dollars: int) -> None:
    first, last = f"2026-{month_of:02d}-01", f"2026-{month_of + 1:02d}-01"
    assert total(span(shipped(name), first, last, kwh, attributes={"billed_months": "1"})) == f"{dollars}.00"


def test_taipower_bills_two_months_with_twice_the_limits() -> None:
    """240 x 1.89 + 420 x 2.42: twice the 735 that it prints for 330 kWh of one month."""
    assert total(month(shipped("taipower-residential-2015"), "2015-11-10", 660).bill()) == "1470.00"


def test_nigeria_band_a_before_and_after_the_review_of_may_2024() -> None:
    """100 kWh at 225 naira and 7.5 % VAT; at 206.80 from 6 May on."""
    book = shipped("nigeria-band-a")
    assert total(span(book, "2024-04-03", "2024-05-03", 100)) == "24187.50"
    assert total(span(book, "2024-05-06", "2024-06-06", 100)) == "22231.00"


@pytest.mark.parametrize(("start", "pounds"), [("2024-07-01", 1568), ("2024-10-01", 1717)])
def test_ofgem_prints_a_year_of_2700_kwh_of_electricity_and_11500_of_gas(start: str, pounds: int) -> None:
    """The cap of a quarter, held for 365 days; Ofgem prints whole pounds."""
    litres = round(11_500_000 * Decimal("3.6") / (Decimal("1.02264") * Decimal("39.3")))
    year = Decimal(0)
    for name, amount in (("gb-price-cap-electricity", 2_700_000), ("gb-price-cap-gas", litres)):
        whole = shipped(name)
        (quarter,) = [version for version in whole.versions if version.start == datetime.fromisoformat(start)]
        bill = span(held(whole, quarter), start, f"{int(start[:4]) + 1}{start[4:]}", amount, unit=1)
        year += net(bill, "energy", "standing", "vat")
    assert round(year) == pounds


def test_gb_gas_becomes_kwh_before_it_is_priced() -> None:
    """2 m3 x 1.02264 x 39.3 / 3.6 = 22.328 kWh; 100 m3 are 1116.382 kWh at 6.24 pence, of which VAT 1/21."""
    assert gas.to_wh(2000, correction="1.02264", calorific_mj="39.3") == 22_328
    one = month(shipped("gb-price-cap-gas"), "2024-11-10", 100)
    lines = {line.id: line for line in one.bill().lines}
    assert (lines["energy"].quantity, money.format(lines["energy"].amount_micro)) == ("1116.382", "69.66")
    assert money.format(lines["standing"].amount_micro) == "9.50"
    assert lines["vat"].amount_micro == 0
    assert money.format(lines["vat"].included_micro) == "3.77"  # 79.16 x 5 / 105


def test_kenya_power_prints_what_500_shillings_buy() -> None:
    """32.3 kWh for the first 500 of a month, 31.3 for the second; the page prints one decimal and rounds as it goes."""
    book, at = shipped("kenya-domestic-prepaid"), datetime(2018, 1, 15)
    first = vend.vend(book, at, 500_000_000)
    second = vend.vend(book, at, 500_000_000, bought_wh=32_300, first=False)
    assert first.wh == pytest.approx(32_300, abs=50)
    assert second.wh == pytest.approx(31_300, abs=50)


def test_kenya_by_hand() -> None:
    """32.3 kWh: 80.75, 184.43, 5.49, 1.62 (1.615), 5.81, 0.97, 150, 4.04, VAT of 420.67 = 67.31."""
    one = month(shipped("kenya-domestic-prepaid"), "2018-01-10", 0)
    one.usage.wh[0] = 32_300
    found = {line.id: money.format(line.amount_micro) for line in one.bill().lines}
    assert found == {
        "energy": "80.75",
        "fuel": "184.43",
        "forex": "5.49",
        "warma": "1.62",
        "inflation": "5.81",
        "erc": "0.97",
        "fixed": "150.00",
        "rural_electrification": "4.04",
        "vat": "67.31",
    }


# Two factories in Xiamen, August 2025: kWh sharp, peak, flat, valley; kvarh; kVA; what they paid.
FACTORIES = [
    ((32719, 86671, 101769, 42436), 52110 + 9570, "1130", "199368.96"),
    ((27531, 81516, 104580, 77487), 36472 + 8051, "1260", "207711.15"),
]
HOURS = {"sharp": 11, "peak": 10, "flat": 8, "valley": 0}


@pytest.mark.parametrize(("kwh", "kvarh", "kva", "paid"), FACTORIES)
def test_fujian_two_factories(kwh: tuple[int, ...], kvarh: int, kva: str, paid: str) -> None:
    """To the fen: the printed bills round the parts of the energy price one by one, which are not published."""
    one = month(shipped("fujian-industrial-10kv"), "2025-08-10", 0)
    for hour, energy in zip(HOURS.values(), kwh, strict=True):
        one.usage.wh[[hour, hour + 24]] = energy * 500  # at most 100 MWh an hour
    reactive = np.zeros_like(one.usage.wh)
    reactive[0] = kvarh * 1000
    bill = one.bill(attributes={"contracted_kva": kva}, reactive_varh=reactive)
    assert abs(Decimal(total(bill)) - Decimal(paid)) <= Decimal("0.01")
    assert [line.price for line in bill.lines if line.id == "power_factor"] == ["-0.75"]


@pytest.mark.parametrize(
    ("hour", "price"),
    [(0, "0.34861174"), (8, "0.584169"), (10, "0.801031"), (11, "0.883289"), (17, "0.883289"), (21, "0.801031")],
)
def test_fujian_prints_eight_decimals(hour: int, price: str) -> None:
    """A GWh in one hour of 1 August 2025 shows each printed price to its last digit: energy and funds together."""
    one = month(shipped("fujian-industrial-10kv"), "2025-08-10", 0)
    one.usage.wh[hour] = 100_000_000
    bill = one.bill(attributes={"contracted_kva": "0"}, reactive_varh=np.zeros_like(one.usage.wh))
    assert net(bill, "energy", "funds") == round(Decimal(price) * 100_000, 2)
    (line,) = [line for line in bill.lines if line.id == "energy"]
    assert Decimal(line.price) + Decimal("0.02764") == Decimal(price)


def test_fujian_has_no_sharp_hours_outside_summer() -> None:
    one = month(shipped("fujian-industrial-10kv"), "2025-11-10", 0)
    one.usage.wh[11] = 1_000_000
    bill = one.bill(attributes={"contracted_kva": "0"}, reactive_varh=np.zeros_like(one.usage.wh))
    assert [line.period for line in bill.lines if line.id == "energy"] == ["peak"]


def test_pge_e_tou_c_credits_the_baseline_whenever_it_was_used() -> None:
    """July 2026, 20 kWh from 16 to 21 and 480 at other times: 418.5 kWh are within the baseline of 31 days."""
    one = month(shipped("pge-e-tou-c"), "2026-07-10", 0)
    one.usage.wh[16:20] = 5000
    one.usage.wh[100:124] = 0
    one.usage.wh[0:16] = 30_000
    bill = one.bill()
    found = {(line.id, line.period): money.format(line.amount_micro) for line in bill.lines if line.amount_micro}
    assert found == {
        ("energy", "summer_peak"): "10.45",
        ("energy", "summer_off"): "191.71",
        ("baseline_credit", "*"): "-34.07",
        ("base_services", ""): "24.60",
    }


def test_pge_e_tou_c_is_what_the_rate_database_writes_as_two_tiers() -> None:
    """URDB has no credit, but a first tier of 0.318 within the baseline: 418.5 x 0.318 and 61.5 x 0.3994 off peak."""
    one = month(shipped("pge-e-tou-c"), "2026-07-10", 0)
    one.usage.wh[0:16] = 30_000
    assert net(one.bill(), "energy", "baseline_credit") == Decimal("133.08") + Decimal("24.56")


def test_gb_half_hours_below_zero_pay_the_customer() -> None:
    """30 November days: every half hour 20 pence, those of one night -10.08 pence."""

    def price(slot: int) -> str:
        return "-0.1008" if 4 <= slot < 12 else "0.20"

    start = datetime(2024, 11, 1)
    rows = "".join(f"{start + timedelta(minutes=30 * slot):%Y-%m-%dT%H:%M},{price(slot)}\n" for slot in range(1440))
    book = shipped("gb-dynamic-halfhourly", **{"gb_dynamic_halfhourly.csv": rows.encode()})
    one = month(book, "2024-11-10", 0, minutes=30)
    one.usage.wh[4:12] = 3000  # an electric car through a windy night: 24 kWh
    bill = one.bill()
    assert net(bill, "energy") == Decimal("-2.42")
    assert net(bill, "standing") == Decimal("14.08")
    assert total(bill) == "12.24"  # 11.66 and 5 % of it


def test_a_series_that_is_not_there_is_named() -> None:
    with pytest.raises(RatingError, match=r"gb_dynamic_halfhourly\.csv"):
        month(shipped("gb-dynamic-halfhourly"), "2024-11-10", 1, minutes=30).bill()


def test_every_book_has_a_source_and_a_number_here() -> None:
    """A shipped book without a golden number is a price list that nobody has checked."""
    told = Path(__file__).read_text(encoding="utf-8")
    elsewhere = {"zhejiang-residential", "london-flat-2013", "london-dynamic-2013"}  # test_statement, test_london
    for name in books.shipped():
        book = books.load(books.shipped_text(name), name)
        assert book.source["title"], name
        assert book.source.get("date") or book.source.get("note"), name
        assert f'"{name}"' in told or name in elsewhere, name
