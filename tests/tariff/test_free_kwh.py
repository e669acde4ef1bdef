"""Free allowances: of what, at which price, and where a price or the allowance itself changes inside a bill."""

from typing import Any

import pytest

from tariff import book as books
from tariff.errors import BookError
from tests.tariff.making import amounts, dated
from tests.tariff.months import busy

Row = dict[str, Any]
FREE: Row = {"id": "free", "kind": "free_kwh", "kwh": "31", "of": "energy"}


def energy(price: str) -> Row:
    return {"id": "energy", "kind": "energy", "prices": [price]}


def test_a_price_that_changes_inside_the_bill_leaves_one_allowance() -> None:
    """100 kWh at 0.10 and 100 at 0.20: the first 31 are free once, at the older price."""
    book = dated(("2020-01-01", [energy("0.10"), FREE]), ("2025-03-11", [energy("0.20"), FREE]))
    one = busy(book, ("2025-03-05", 100), ("2025-03-20", 100))
    assert amounts(one) == {"energy": "30.00", "free": "-3.10"}
    few = busy(book, ("2025-03-05", 20), ("2025-03-20", 100))
    assert amounts(few)["free"] == "-4.20"  # 20 at 0.10, 11 at 0.20


def test_an_allowance_that_changes_holds_for_its_share_of_the_days() -> None:
    """10 of 31 days at 31 kWh are 10 kWh; 21 days at 62 are 42."""
    more = {**FREE, "kwh": "62"}
    book = dated(("2020-01-01", [energy("0.10"), FREE]), ("2025-03-11", [energy("0.20"), more]))
    one = busy(book, ("2025-03-05", 100), ("2025-03-20", 100))
    assert amounts(one)["free"] == "-9.40"  # 1.00 + 8.40
    gone = dated(("2020-01-01", [energy("0.10"), FREE]), ("2025-03-11", [energy("0.10")]))
    assert amounts(busy(gone, ("2025-03-05", 100)))["free"] == "-1.00"


HEAD = 'currency = "XXX"\nzone = "UTC"\n[[version]]\nfrom = "2020-01-01"\n'
SERIES = '[[version.component]]\nid = "energy"\nkind = "energy"\nseries = "prices.csv"\n'
FEE = '[[version.component]]\nid = "fee"\nkind = "fixed"\namount = "1"\n'
ALLOWANCE = '[[version.component]]\nid = "free"\nkind = "free_kwh"\nkwh = "10"\n'


@pytest.mark.parametrize(
    ("component", "of", "says"),
    [(SERIES, "energy", "'energy' has a price for each slot"), (FEE, "fee", "'fee' is no energy")],
)
def test_what_has_no_price_to_give_back_is_refused_with_its_line(component: str, of: str, says: str) -> None:
    text = f'{HEAD}{component}{ALLOWANCE}of = "{of}"\n'
    with pytest.raises(BookError, match=says) as caught:
        books.load(text, "free")
    assert text.splitlines()[caught.value.line - 1] in ("[[version.component]]", f'of = "{of}"')
    assert caught.value.line > text.splitlines().index('kind = "free_kwh"') - 2


def test_a_series_with_a_price_of_its_own_for_the_allowance_is_priced() -> None:
    text = f'{HEAD}{SERIES}{ALLOWANCE}of = "energy"\nprice = "0.12"\n'
    rows = b"".join(b"2025-03-%02dT%02d:%02d:00Z,0.50\n" % (5, hour, part) for hour in range(24) for part in (0, 30))
    book = books.load(text, "free", series=lambda _: b"stamp,price\n" + rows)
    one = busy(book, ("2025-03-05", 4), minutes=30)
    assert amounts(one) == {"energy": "2.00", "free": "-0.48"}
