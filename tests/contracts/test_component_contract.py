"""What every kind of price component must hold, whoever wrote it: strict, frozen, accruing to its bill, splittable."""

from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tariff import components, statement
from tariff.errors import BookError
from tariff.model import Book
from tests.tariff.making import ENERGY, made
from tests.tariff.months import Month, month

KINDS = components.kinds()
CLASSES = [{"up_to": "90", "prices": ["0.10"]}, {"prices": ["0.25"]}]
SAMPLES: dict[str, list[dict[str, Any]]] = {
    "energy": [
        {"prices": ["0.30", "0.40"], "ladder": {"reset": "month", "limits": ["40"]}},
        {"prices": ["0.30"], "quantity": "export", "credit": True},
        {"ladder": {"mode": "by_total", "reset": "bill", "classes": CLASSES}},
    ],
    "fixed": [
        {"amount": "9.99"},
        {"amount": "-0.11", "per": "day"},
        {"by_total": [{"up_to": "90", "amount": "5"}, {"amount": "9"}], "per": "kva"},
    ],
    "percent": [{"percent": "13"}, {"percent": "-2.5", "of": ["energy"]}, {"percent": "21", "included": True}],
    "minimum": [{"amount": "25"}, {"amount": "3", "per": "kva", "of": ["energy"]}],
    "demand": [
        {"price": "4"},
        {"prices": ["1", "3"], "limits": ["0.5"], "ratchet_percent": "80", "ratchet_months": 2},
    ],
    "pf_adjust": [{"standard": "0.85"}],
    "kvarh": [{"price": "0.02", "free_percent": "33"}],
    "free_kwh": [{"kwh": "15", "of": "energy"}],
    "net_metering": [{"of": "energy", "by": "total", "expires_months": 3}],
    "credit_bank": [{"of": ["energy", "sold"], "expires_on": "02-01"}],
}
SOLD = {"id": "sold", "kind": "energy", "quantity": "export", "prices": ["0.15"], "credit": True}
CASES = [(kind, row) for kind, rows in SAMPLES.items() for row in rows]
every = pytest.mark.parametrize("module", KINDS.values(), ids=KINDS.keys())
samples = pytest.mark.parametrize(
    ("kind", "row"), CASES, ids=[f"{kind}-{place}" for place, (kind, _) in enumerate(CASES)]
)


def book_of(kind: str, row: dict[str, Any]) -> Book:
    """A book with an import and an export component, and one of ``kind`` under them."""
    return made(ENERGY, SOLD, {"id": "it", "kind": kind, **row}, attributes={"kva": "2.5"})


def load(book: Book, minutes: int = 60) -> tuple[Month, dict[str, Any]]:
    """A month in which everything happens: import, export and reactive energy, uneven."""
    one = month(book, "2025-01-10", 120, minutes=minutes)
    varh = month(book, "2025-01-10", 90, minutes=minutes).usage.wh
    export = month(book, "2025-01-10", 60, minutes=minutes).usage.wh
    return one, {"export_wh": export[::-1].copy(), "reactive_varh": varh}


@every
def test_it_has_samples_here(module: ModuleType) -> None:
    assert module.KIND in SAMPLES, "give a new kind its rows in SAMPLES"


@every
def test_it_says_what_it_is_and_keeps_its_name(module: ModuleType) -> None:
    assert module.__name__.rpartition(".")[2] == module.KIND
    assert len((module.__doc__ or "").split("\n")[0]) > 20
    assert callable(module.parse)
    assert module.KIND == "energy" or callable(module.price)


@samples
def test_its_spec_is_frozen_and_equal_where_it_prices_alike(kind: str, row: dict[str, Any]) -> None:
    spec, again = (book_of(kind, row).versions[0].components[-1] for _ in range(2))
    assert is_dataclass(spec)
    assert spec == again
    assert hash(spec) == hash(again)
    assert (spec.id, spec.kind) == ("it", kind)
    with pytest.raises((FrozenInstanceError, AttributeError)):
        setattr(spec, fields(spec)[0].name, "other")  # type: ignore[arg-type]


@samples
def test_an_unknown_key_is_refused_with_line_and_hint(kind: str, row: dict[str, Any]) -> None:
    key = next(iter(row))
    with pytest.raises(BookError) as refused:
        book_of(kind, {**row, f"{key}x": "1"})
    assert refused.value.line > 0
    assert f"'{key}x'" in refused.value.message
    assert refused.value.hint


@samples
def test_a_key_that_is_missing_is_refused(kind: str, row: dict[str, Any]) -> None:
    with pytest.raises(BookError):
        book_of(kind, {})


@samples
def test_it_accrues_to_its_bill(kind: str, row: dict[str, Any]) -> None:
    one, options = load(book_of(kind, row))
    total = one.bill(**options).total_micro
    marks = [one.accrued(slots, **options) for slots in (0, 24, 240, 480, one.slots - 1, one.slots)]
    assert marks[0] == 0
    assert marks[-1] == total
    assert abs(marks[-1] - marks[-2]) <= 300_000, "nothing falls on the last hour"


@samples
def test_the_order_of_intervals_changes_nothing(kind: str, row: dict[str, Any]) -> None:
    one, options = load(book_of(kind, row))
    order = np.random.default_rng(7).permutation(one.slots)
    usage = one.usage
    mixed = statement.bill(
        one.book,
        "A1",
        one.start,
        one.end,
        usage.ends[order],
        usage.wh[order],
        minutes=60,
        **{name: values[order] for name, values in options.items()},
    )
    assert mixed == one.bill(**options)


@samples
def test_lines_add_up_and_name_their_component(kind: str, row: dict[str, Any]) -> None:
    one, options = load(book_of(kind, row))
    bill = one.bill(**options)
    assert sum(line.amount_micro for line in bill.lines) == bill.total_micro
    assert any(line.id == "it" for line in bill.lines)
    assert all(line.unit and line.quantity for line in bill.lines)


@samples
def test_no_energy_is_no_error(kind: str, row: dict[str, Any]) -> None:
    book = book_of(kind, row)
    one = month(book, "2025-01-10", 0)
    zero = np.zeros_like(one.usage.wh)
    total = one.bill(export_wh=zero, reactive_varh=zero).total_micro
    assert total == one.accrued(one.slots, export_wh=zero, reactive_varh=zero)


@samples
@pytest.mark.parametrize("minutes", [15, 30])
def test_shorter_intervals_price_the_same_energy(kind: str, row: dict[str, Any], minutes: int) -> None:
    """The same power all month: every length of interval gives the same bill."""
    book = book_of(kind, row)
    totals = set()
    for length in (minutes, 60):
        one = month(book, "2025-01-10", 0, minutes=length)
        one.usage.wh[:] = 240 * length // 60
        totals.add(one.bill(export_wh=one.usage.wh // 2, reactive_varh=one.usage.wh // 4).total_micro)
    assert len(totals) == 1


@samples
def test_what_it_leaves_is_what_the_next_bill_is_made_with(kind: str, row: dict[str, Any]) -> None:
    """February with what January left is February from the intervals of both."""
    book = book_of(kind, row)
    one, options = load(book)
    usage = statement.Usage(one.usage.ends, one.usage.wh, 60, **options)
    left = statement.after(book, (one.start, one.end), usage, None, {})
    next_ = month(book, "2025-02-10", 70)
    found = statement.carried(book, next_.start, usage)
    assert {name: value for name, value in found.items() if ":" in name} == left
    needed = getattr(KINDS[kind], "lookback", None)
    assert bool(left) <= bool(needed)
    assert statement.ladder_start(book, next_.start) <= next_.start - timedelta(days=31 if left else 0)


def test_kinds_do_not_share_lines() -> None:
    """Two components of one kind keep apart what they leave to later bills."""
    rows = [{"id": name, "kind": "demand", "price": "1", "ratchet_percent": "50", "ratchet_months": 2} for name in "ab"]
    rows[1]["periods"] = ["night"]
    night = {"default_period": "day", "window": [{"period": "night", "from": "00:00", "to": "06:00"}]}
    book = made(ENERGY, *rows, version=night)
    one = month(book, "2025-01-10", 0)
    one.usage.wh[3], one.usage.wh[12] = 2000, 9000
    left = statement.after(book, (one.start, one.end), one.usage, None, {})
    assert left == {"a:2025-01": 9_000_000, "b:2025-01": 2_000_000}
