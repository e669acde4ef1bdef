"""Each warning of a book that is legal and odd, at its line; and none on the books that are shipped."""

from datetime import date

import pytest

from tariff import book as books
from tariff.locate import lines_of
from tariff.oddities import Oddity, oddities

TODAY = date(2026, 6, 1)
PLAIN = """\
currency = "CNY"
zone = "Asia/Shanghai"

[source]
title = "a page"

[[version]]
from = "2024-01-01"
default_period = "valley"

[[version.window]]
period = "peak"
from = "08:00"
to = "22:00"

[[version.component]]
id = "energy"
kind = "energy"

[version.component.prices]
peak = ["0.5", "0.6"]
valley = ["0.3", "0.4"]

[version.component.ladder]
reset = "year"
limits = ["2760"]
allocate = "chronological"
"""
SECOND = """
[[version.window]]
period = "{period}"
from = "{begin}"
to = "{end}"
"""
HEAD = '[[version.component]]\nid = "energy"'


def found(text: str, **series: bytes) -> tuple[Oddity, ...]:
    book = books.load(text, "odd", series=series.__getitem__ if series else None)
    return oddities(book, lines_of(text), TODAY)


def changed(old: str, new: str) -> tuple[Oddity, ...]:
    assert PLAIN.count(old) == 1
    return found(PLAIN.replace(old, new))


def test_a_plain_book_is_not_odd() -> None:
    assert found(PLAIN) == ()


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "words"),
    [
        (
            'peak = ["0.5", "0.6"]',
            'peak = ["0.6", "0.5"]',
            "price_falls",
            20,
            "of peak falls from 0.6 to 0.5 at tier 2",
        ),
        ('title = "a page"', "", "no_source", 7, "where it was published"),
        ('from = "08:00"\nto = "22:00"', "", "default_never", 9, "'valley' never holds"),
        (
            'allocate = "chronological"',
            'allocate = "chronological"\n[[version.component.ladder.limits_by_months]]\nmonths = [1]\nlimits = ["9"]',
            "",
            0,
            "",
        ),
        (
            "[[version.window]]",
            'holidays = ["2024-10-01"]\nholiday_as = 7\n[[version.window]]',
            "holidays_old",
            11,
            "2026",
        ),
        ("[[version.window]]", 'holidays = ["2026-10-01"]\n[[version.window]]', "holidays_unused", 11, "neither"),
        ("[[version.window]]", "holiday_as = 7\n[[version.window]]", "holidays_none", 7, "none is listed"),
        ('period = "peak"', 'period = "peak"\nholidays = false', "holidays_none", 7, "none is listed"),
    ],
)
def test_one_oddity(old: str, new: str, code: str, line: int, words: str) -> None:
    told = changed(old, new)
    if not code:
        assert told == ()
        return
    (one,) = told
    assert (one.code, one.line) == (code, line)
    assert words in one.text


def test_a_window_under_another_never_holds() -> None:
    inside = SECOND.format(period="valley", begin="09:00", end="10:00")
    (one,) = changed(HEAD, inside + HEAD)
    assert (one.code, one.line) == ("window_never", 17)
    assert "window 2 (valley) never holds" in one.text


def test_windows_that_overlap_by_a_part_are_told_and_nested_ones_are_not() -> None:
    inner = SECOND.format(period="valley", begin="09:00", end="10:00")
    nested = PLAIN.replace("[[version.window]]", inner + "[[version.window]]")
    assert found(nested) == ()
    across = PLAIN.replace(HEAD, SECOND.format(period="valley", begin="21:00", end="23:00") + HEAD)
    (one,) = found(across)
    assert (one.code, one.line) == ("window_overlap", 17)


def test_hours_without_a_window_and_without_a_default_are_a_gap() -> None:
    text = PLAIN.replace('default_period = "valley"\n', "").replace("valley =", '"*" =')
    (one,) = found(text)
    assert one.code == "window_gap"
    assert "00:00-08:00" in one.text


def test_limits_that_an_adder_turns_round() -> None:
    ladder = 'limits = ["100", "200"]\nadders = [{attribute = "household", kwh = ["150", "0"]}]'
    text = (
        PLAIN.replace('limits = ["2760"]', ladder).replace('"0.6"]', '"0.6", "0.7"]').replace('"0.4"]', '"0.4", "0.5"]')
    )
    (one,) = found(text)
    assert one.code == "limits_fall"
    assert "'household'" in one.text


def test_months_without_limits() -> None:
    rows = '[[version.component.ladder.limits_by_months]]\nmonths = [1, 2, 3]\nlimits = ["2760"]\n'
    text = PLAIN.replace('limits = ["2760"]\n', "") + rows
    (one,) = found(text)
    assert (one.code, one.line) == ("limits_gap", 27)
    assert "months 4, 5, 6" in one.text


def test_class_prices_that_fall() -> None:
    head = PLAIN[: PLAIN.index("default_period")] + '[[version.component]]\nid = "energy"\nkind = "energy"\n'
    ladder = '[version.component.ladder]\nmode = "volume"\nreset = "month"\nlimits = ["100"]\n'
    text = head + 'prices = ["2", "1"]\n' + ladder
    (one,) = found(text)
    assert one.code == "price_falls"


def test_a_credit_may_fall_and_must_not_rise() -> None:
    assert changed('kind = "energy"', 'kind = "energy"\ncredit = true')[0].code == "price_falls"
    falling = PLAIN.replace('["0.5", "0.6"]', '["0.6", "0.5"]').replace('["0.3", "0.4"]', '["0.4", "0.3"]')
    assert found(falling.replace('kind = "energy"', 'kind = "energy"\ncredit = true')) == ()


def test_a_component_that_comes_and_goes() -> None:
    fee = '\n[[version.component]]\nid = "fee"\nkind = "fixed"\namount = "1"\n'
    body = PLAIN[PLAIN.index("[[version]]") :]
    versions = [body.replace("2024-01-01", day) for day in ("2024-01-01", "2025-01-01", "2026-01-01")]
    text = PLAIN[: PLAIN.index("[[version]]")] + versions[0] + fee + versions[1] + versions[2] + fee
    (one,) = found(text)
    assert one.code == "version_gap"
    assert "version 2025-01-01: component 'fee' is missing" in one.text
    assert text.splitlines()[one.line - 1] == "[[version]]"


SERIES = """\
currency = "GBP"
zone = "UTC"
source = {title = "t"}
[[version]]
from = "2013-01-01"
[[version.component]]
id = "energy"
kind = "energy"
series = "p.csv"
"""


def test_a_series_that_is_missing_or_has_holes() -> None:
    (one,) = found(SERIES)
    assert (one.code, one.line) == ("series_missing", 9)
    rows = b"2025-01-01T00:00,1\n2025-01-01T00:30,1\n2025-01-01T02:00,1\n"
    (one,) = found(SERIES, **{"p.csv": rows})
    assert one.code == "series_hole"
    assert "60 minutes from 2025-01-01T01:00Z" in one.text
    many = b"".join(b"2025-01-%02dT00:00,1\n" % day for day in range(1, 8))
    assert found(SERIES, **{"p.csv": many})[-1].text.endswith("and 3 more holes in the series")


def test_shipped_books_are_not_odd_but_for_their_series() -> None:
    for name in books.shipped():
        text = books.shipped_text(name)
        told = oddities(books.load(text, name), lines_of(text), TODAY)
        assert {one.code for one in told} <= {"series_missing"}, name
