"""Bills priced together are the bills priced one by one, line by line, on every book that allows it."""

import re
from datetime import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tariff import book as books
from tariff import calendar, statement, together
from tariff.errors import RatingError
from tariff.model import Book
from tests.tariff.books import texts

SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
SCALES = (0, 1, 40, 400, 3000)  # Wh an hour, from nothing to the last tier


def check(book: Book, at: datetime, minutes: int, attributes: dict[str, str]) -> None:
    """Some accounts from none to much, with what they took since their ladders began."""
    start, end = statement.period_of(book, calendar.to_utc(at, book.zone))
    begin = statement.ladder_start(book, start)
    step = np.timedelta64(minutes, "m")
    ends = np.arange(np.datetime64(begin, "m") + step, np.datetime64(end, "m") + step, step)
    past = int((ends <= np.datetime64(start, "m")).sum())
    random = np.random.default_rng(5)
    wh = np.stack([random.integers(0, 2 * scale + 1, ends.size) for scale in SCALES])
    names = [f"A{scale}" for scale in SCALES]
    found = together.bills(
        book, names, (start, end), wh[:, past:], wh[:, :past], minutes=minutes, attributes=attributes
    )
    for name, row, bill in zip(names, wh, found, strict=True):
        usage = statement.Usage(ends[:past], row[:past], minutes)
        before = statement.carried(book, start, usage, attributes)
        assert bill == statement.bill(
            book, name, start, end, ends[past:], row[past:], minutes=minutes, attributes=attributes, carried=before
        )


def test_shipped_books() -> None:
    """Each on a summer month; the four that cannot be priced on imports alone are refused in the same words."""
    refused = []
    for name in books.shipped():
        book = books.load(books.shipped_text(name), name)
        if together.may(book, {}):
            try:
                check(book, datetime(2026, 8, 15), 60, {"sanctioned_kw": "5"})
            except RatingError as found:
                refused.append(name)
                start, end = statement.period_of(book, datetime(2026, 8, 15))
                none = np.array([], "datetime64[m]"), np.array([], np.int64)
                with pytest.raises(RatingError, match=re.escape(str(found))):
                    statement.bill(book, "A", start, end, *none, minutes=60)
        else:
            refused.append(name)
    assert refused == ["fujian-industrial-10kv", "gb-dynamic-halfhourly", "gb-price-cap-gas", "london-dynamic-2013"]


@SETTINGS
@given(texts(whole=True), st.sampled_from([30, 60]))
def test_random_books(text: str, minutes: int) -> None:
    check(books.load(text, "random"), datetime(2025, 4, 9), minutes, {"household": "6"})
