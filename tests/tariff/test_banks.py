"""Net metering and the credit bank: numbers by hand, over bills, expiry, and what is made again from the reads."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tariff import money, statement
from tariff.errors import BookError, RatingError
from tariff.model import Book
from tariff.statement import Usage
from tests.tariff.making import ENERGY, amounts, dated, made
from tests.tariff.months import Month, busy, month

Carried = dict[str, int]
MONTHS = ("2025-01-10", "2025-02-10", "2025-03-10", "2025-04-10")


def metered(**keys: Any) -> Book:
    return made(ENERGY, {"id": "nm", "kind": "net_metering", "of": "energy", "by": "total", **keys})


def chain(book: Book, energies: list[tuple[int, int]]) -> list[dict[str, str]]:
    """Bills of months after each other, each with what the one before left; energies are (import, export) in kWh."""
    found: list[dict[str, str]] = []
    before: Carried = {}
    for day, (bought, sold) in zip(MONTHS, energies, strict=False):
        one = month(book, day, bought)
        export = month(book, day, sold).usage.wh
        found.append(amounts(one, carried=before, export_wh=export))
        usage = Usage(one.usage.ends, one.usage.wh, 60, export)
        before = statement.after(book, (one.start, one.end), usage, None, before)
    return found


def test_kwh_that_are_left_over_pay_for_the_next_bill() -> None:
    """100 bought and 150 sold leave 50; then 120 bought and 20 sold cost 50 kWh; then nothing is left."""
    bills = chain(metered(expires_months=12), [(100, 150), (120, 20), (10, 0)])
    assert bills == [
        {"energy": "10.00", "nm": "-10.00"},
        {"energy": "12.00", "nm": "-7.00"},
        {"energy": "1.00"},
    ]


def test_kwh_expire_after_months() -> None:
    """Of use in one later bill: January's 50 kWh are gone in March."""
    assert chain(metered(expires_months=1), [(0, 50), (0, 0), (100, 0)])[2] == {"energy": "10.00"}
    assert chain(metered(expires_months=2), [(0, 50), (0, 0), (100, 0)])[2] == {"energy": "10.00", "nm": "-5.00"}


def test_kwh_expire_on_a_day_and_may_be_paid_out() -> None:
    bills = chain(metered(expires_on="03-01", payout="0.03"), [(0, 50), (10, 0), (100, 0)])
    assert bills[1] == {"energy": "1.00", "nm": "-2.20"}  # 10 kWh taken back, the other 40 at 0.03
    assert bills[2] == {"energy": "10.00"}


def test_the_oldest_kwh_are_used_first() -> None:
    """January leaves 50 and February 30; March takes 60: all of January's, 10 of February's; April still has 20."""
    bills = chain(metered(expires_months=2), [(0, 50), (0, 30), (60, 0), (100, 0)])
    assert bills[3] == {"energy": "10.00", "nm": "-2.00"}


def test_credit_walks_from_the_highest_tier_down() -> None:
    ladder = {"reset": "bill", "limits": ["40"]}
    energy = {"id": "energy", "kind": "energy", "prices": ["0.10", "0.30"], "ladder": ladder}
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "total", "expires_months": 12}
    (bill,) = chain(made(energy, meter), [(100, 70)])
    assert bill == {"energy": "22.00", "nm": "-19.00"}  # 60 at 0.30 and 10 at 0.10 come back, 30 at 0.10 stay


def test_each_window_is_netted_with_its_own_export() -> None:
    version = {"default_period": "off", "window": [{"period": "peak", "from": "12:00", "to": "24:00"}]}
    energy = {"id": "energy", "kind": "energy", "prices": {"peak": ["0.40"], "off": ["0.10"]}}
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "period", "expires_months": 12}
    one = month(made(energy, meter, version=version), "2025-03-10", 0)
    one.usage.wh[0], one.usage.wh[12] = 10_000, 10_000
    export = np.zeros_like(one.usage.wh)
    export[1] = 50_000  # off peak: 40 kWh are banked there, the peak is paid
    assert amounts(one, export_wh=export) == {"energy": "5.00", "nm": "-1.00"}
    total = made(energy, {**meter, "by": "total"}, version=version)
    with pytest.raises(RatingError, match="does not say whose kWh"):
        Month(total, one.start, one.end, one.usage).bill(export_wh=export)


def test_credit_never_exceeds_what_was_bought() -> None:
    (bill,) = chain(metered(expires_months=12), [(33, 1000)])
    assert bill == {"energy": "3.30", "nm": "-3.30"}


BANK = {"id": "bank", "kind": "credit_bank", "of": ["energy", "sold"]}
SOLD = {"id": "sold", "kind": "energy", "quantity": "export", "prices": ["0.05"], "credit": True}
FEE = {"id": "fee", "kind": "fixed", "amount": "6"}


def test_money_that_export_earned_pays_for_later_energy_and_not_for_the_fee() -> None:
    """January: 1 for energy, -10 for export, 9 are banked; February uses 8 of them, March the last one."""
    book = made(ENERGY, SOLD, {**BANK, "expires_months": 12}, FEE)
    bills = chain(book, [(10, 200), (80, 0), (80, 0)])
    assert [bill["bank"] for bill in bills] == ["9.00", "-8.00", "-1.00"]
    assert [sum(money.parse(amount) for amount in bill.values()) for bill in bills] == [
        6_000_000,
        6_000_000,
        13_000_000,
    ]


def test_banked_money_is_paid_out_in_part_when_it_expires() -> None:
    book = made(ENERGY, SOLD, {**BANK, "expires_on": "02-01", "payout_percent": "50"})
    bills = chain(book, [(10, 200), (80, 0)])
    assert bills[0]["bank"] == "4.50"  # 9.00 banked and half of it paid out at once
    assert bills[1] == {"energy": "8.00", "bank": "0.00"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**BANK}, "say when what is banked expires"),
        ({**BANK, "expires_months": 3, "expires_on": "04-01"}, "say when what is banked expires"),
        ({**BANK, "expires_on": "02-30"}, "no day of every year"),
        ({**BANK, "of": ["enrgy"], "expires_months": 3}, "did you mean 'energy'"),
        ({**BANK, "expires_months": 3, "payout_percent": "120"}, "between 0 and 100"),
        ({"id": "nm", "kind": "net_metering", "of": "energy", "expires_months": 1}, "'by' is missing"),
        (
            {"id": "nm", "kind": "net_metering", "of": "sould", "by": "total", "expires_months": 1},
            "did you mean 'sold'",
        ),
    ],
)
def test_a_bank_that_cannot_be_kept_is_refused(row: dict[str, Any], says: str) -> None:
    with pytest.raises(BookError, match=says):
        made(ENERGY, SOLD, row)


def test_what_is_banked_is_made_again_from_the_intervals_alone() -> None:
    """The bill of April from a year of intervals is the one that a chain of bills gives."""
    book = metered(expires_on="12-01")
    energies = [(100, 150), (40, 90), (60, 10), (300, 0)]
    chained = chain(book, energies)[3]
    parts = [
        (month(book, day, bought), month(book, day, sold)) for day, (bought, sold) in zip(MONTHS, energies, strict=True)
    ]
    usage = Usage(
        np.concatenate([one.usage.ends for one, _ in parts]),
        np.concatenate([one.usage.wh for one, _ in parts]),
        60,
        np.concatenate([other.usage.wh for _, other in parts]),
    )
    april = parts[3][0]
    assert statement.ladder_start(book, april.start) == datetime(2024, 3, 1)
    carried = statement.carried(book, april.start, usage)
    assert amounts(april, carried=carried, export_wh=np.zeros_like(april.usage.wh)) == chained
    assert chained["nm"] == "-5.00"  # 50 of January and 50 of February, less 50 in March


def test_a_bank_accrues_from_hour_to_hour() -> None:
    book = metered(expires_months=12)
    one = month(book, "2025-03-10", 0)
    one.usage.wh[:] = 1000
    export = np.zeros_like(one.usage.wh)
    export[0:100] = 2000
    after = [one.accrued(slots, export_wh=export) for slots in (50, 100, 200, 201, 744)]
    assert after == [0, 0, 0, 100_000, 54_400_000]
    assert one.bill(export_wh=export).total_micro == 54_400_000


def test_a_credit_of_banked_kwh_is_in_the_tax_of_the_bill() -> None:
    tax = {"id": "vat", "kind": "percent", "percent": "10", "of": ["energy", "nm"]}
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "total", "expires_months": 12}
    (bill,) = chain(made(ENERGY, meter, tax), [(100, 40)])
    assert bill == {"energy": "10.00", "nm": "-4.00", "vat": "0.60"}


def test_a_month_before_the_book_begins_counts_for_nothing() -> None:
    book = metered(expires_months=60)
    assert statement.ladder_start(book, datetime(2020, 3, 1)) == datetime(2020, 1, 1)
    assert statement.ladder_start(book, datetime(2020, 1, 1) + timedelta(0)) == datetime(2020, 1, 1)


def off_and_on(*rows: dict[str, Any]) -> Book:
    """The components in January, none of them in February and March, and again from April on."""
    return dated(("2020-01-01", [ENERGY, *rows]), ("2025-02-01", [ENERGY]), ("2025-04-01", [ENERGY, *rows]))


@pytest.mark.parametrize(
    ("expires", "april"),
    [
        ({"expires_months": 12}, {"energy": "10.00", "nm": "-5.00"}),  # January's 50 kWh have waited
        ({"expires_months": 2}, {"energy": "10.00", "nm": "-1.50"}),  # they ended in March: paid out at 0.03
        ({"expires_on": "03-15"}, {"energy": "10.00", "nm": "-1.50"}),
        ({"expires_on": "04-15"}, {"energy": "10.00", "nm": "-5.00"}),
        ({"expires_on": "04-01"}, {"energy": "10.00", "nm": "-1.50"}),  # the end of March's bill
    ],
)
def test_a_bank_waits_while_its_component_is_off(expires: dict[str, Any], april: dict[str, str]) -> None:
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "total", "payout": "0.03", **expires}
    bills = chain(off_and_on(meter), [(0, 50), (10, 0), (10, 0), (100, 0)])
    assert bills[1:] == [{"energy": "1.00"}, {"energy": "1.00"}, april]


def test_banked_money_waits_too() -> None:
    sold = {"id": "sold", "kind": "energy", "quantity": "export", "credit": True, "prices": ["0.20"]}
    bank = {"id": "bank", "kind": "credit_bank", "of": ["energy", "sold"], "expires_months": 12}
    book = dated(("2020-01-01", [ENERGY, sold, bank]), ("2025-02-01", [ENERGY]), ("2025-03-01", [ENERGY, sold, bank]))
    bills = chain(book, [(0, 50), (10, 0), (60, 0)])
    assert [bill.get("bank") for bill in bills] == ["10.00", None, "-6.00"]


def test_a_ratchet_sees_the_months_before_its_component_was_off() -> None:
    """January's kW still count in April; those of February and March were never billed as demand."""
    power = {"id": "power", "kind": "demand", "price": "1", "ratchet_percent": "100", "ratchet_months": 6}
    uses = {1: 80, 2: 90, 3: 90, 4: 10}
    book, before = off_and_on(power), Carried()
    for month_number, kwh in uses.items():
        one = busy(book, (f"2025-{month_number:02d}-05T10:00", kwh))
        bill = amounts(one, carried=before)
        before = statement.after(book, (one.start, one.end), one.usage, None, before)
        assert bill.get("power") == {1: "80.00", 4: "80.00"}.get(month_number)


def test_export_takes_back_kwh_of_several_prices_at_their_mean() -> None:
    """Days of a class ladder: 10 kWh at 0.10 and 30 kWh at 0.20, of which 20 come back at 0.175."""
    classes = [{"up_to": "20", "prices": ["0.10"]}, {"prices": ["0.20"]}]
    energy = {"id": "energy", "kind": "energy", "ladder": {"mode": "by_total", "reset": "day", "classes": classes}}
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "total", "expires_months": 12}
    one = busy(made(energy, meter), ("2025-01-05T10:00", 10), ("2025-01-06T10:00", 30))
    sent = busy(one.book, ("2025-01-07T10:00", 20)).usage.wh
    assert amounts(one, export_wh=sent) == {"energy": "7.00", "nm": "-3.50"}
    assert [line.price for line in one.bill(export_wh=sent).lines] == ["", ""]


def test_classes_that_name_other_periods_are_not_netted_by_period() -> None:
    classes = [{"up_to": "20", "prices": {"peak": ["0.10"], "*": ["0.05"]}}, {"prices": ["0.20"]}]
    ladder = {"mode": "by_total", "reset": "month", "allocate": "chronological", "classes": classes}
    energy = {"id": "energy", "kind": "energy", "ladder": ladder}
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "period", "expires_months": 12}
    window = {"window": [{"period": "peak", "from": "08:00", "to": "20:00"}], "default_period": "off"}
    with pytest.raises(BookError, match="the classes of 'energy' have prices of different periods"):
        made(energy, meter, version=window)


def test_netting_knows_no_averages() -> None:
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "total", "expires_months": 12}
    rows = [ENERGY, meter]
    with pytest.raises(BookError, match="'nm' nets the hours of each version"):
        dated(("2020-01-01", rows), ("2025-02-01", rows), price_change="average_per_day")
