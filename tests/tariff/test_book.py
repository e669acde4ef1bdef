"""A book that is wrong is refused with file, line and a suggestion; one that is right keeps what it says."""

import pytest

from tariff import book as books
from tariff.errors import BookError
from tariff.locate import lines_of

GOOD = """\
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

[[version.component]]
id = "vat"
kind = "percent"
percent = "5"
of = ["energy"]
"""


def refused(old: str, new: str) -> BookError:
    assert GOOD.count(old) == 1
    with pytest.raises(BookError) as caught:
        books.load(GOOD.replace(old, new), "bad", path="books/bad.toml")
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "hint"),
    [
        ('currency = "CNY"', 'curency = "CNY"', 1, "unknown key 'curency'", "did you mean 'currency'?"),
        ('title = "a page"', 'tilte = "a page"', 5, "unknown key 'tilte'", "did you mean 'title'?"),
        ('to = "22:00"', 'too = "22:00"', 14, "unknown key 'too'", "did you mean 'to'?"),
        ('to = "22:00"', 'to = "25:00"', 14, "no time of day", "08:00"),
        ('to = "22:00"', "", 11, "both 'from' and 'to'", ""),
        ('kind = "percent"', 'kind = "procent"', 31, "'procent' is not known", "did you mean 'percent'?"),
        ('percent = "5"', "percent = 5", 32, "decimal number in quotes", ""),
        ('of = ["energy"]', 'of = ["enery"]', 33, "no component 'enery' above it", "did you mean 'energy'?"),
        ('id = "vat"', 'id = "energy"', 30, "twice", ""),
        ('peak = ["0.5", "0.6"]', 'peek = ["0.5", "0.6"]', 21, "no window gives period 'peek'", "'peak'"),
        ('valley = ["0.3", "0.4"]', "", 20, "no price for period 'valley'", ""),
        ('peak = ["0.5", "0.6"]', 'peak = ["0.5"]', 26, "1 prices for [2] tiers", ""),
        ('limits = ["2760"]', 'limits = ["2760", "2760"]', 26, "must rise", ""),
        ('limits = ["2760"]', "limits = [2760]", 26, "in quotes", ""),
        ('allocate = "chronological"', "", 24, "'allocate' is missing", ""),
        ('reset = "year"', 'reset = "annual"', 25, "'annual' is not known", "known: bill, day, month, year"),
        ('zone = "Asia/Shanghai"', 'zone = "Asia/Shangai"', 2, "time zone", ""),
        ('from = "2024-01-01"', 'from = "2024-13-01"', 8, "no date", ""),
        ('from = "2024-01-01"', 'from = "2024-01-01T00:00+08:00"', 8, "leave the offset away", ""),
        ('currency = "CNY"', 'currency = "CNY', 1, "not TOML", ""),
    ],
)
def test_a_wrong_book_is_refused_at_its_line(old: str, new: str, line: int, message: str, hint: str) -> None:
    error = refused(old, new)
    assert error.file == "books/bad.toml"
    assert message in error.message
    assert hint in error.hint
    assert error.line == line
    assert str(error).startswith(f"books/bad.toml:{line}:" if line else "books/bad.toml:")


def test_every_price_of_a_tier_needs_a_ladder() -> None:
    ladder = '[version.component.ladder]\nreset = "year"\nlimits = ["2760"]\nallocate = "chronological"\n'
    assert "need a ladder" in refused(ladder, "").message


def test_versions_must_rise() -> None:
    again = GOOD[GOOD.index("[[version]]") :]
    with pytest.raises(BookError, match="does not start after"):
        books.load(GOOD + again, "bad")


def test_a_book_keeps_what_it_says() -> None:
    book = books.load(GOOD, "good")
    assert (book.name, book.currency, book.decimals, book.rounding) == ("good", "CNY", 2, "half_up")
    assert [spec.id for spec in book.versions[0].components] == ["energy", "vat"]
    assert book.source == {"title": "a page"}


def test_the_hash_follows_the_content_and_not_the_line_ends() -> None:
    assert books.load(GOOD, "a").hash == books.load(GOOD.replace("\n", "\r\n"), "a").hash
    assert books.load(GOOD, "a").hash != books.load(GOOD.replace("0.5", "0.51"), "a").hash


SERIES = """\
currency = "GBP"
zone = "Europe/London"
[[version]]
from = "2013-01-01"
[[version.component]]
id = "energy"
kind = "energy"
series = "bands.csv"
series_stamp = "%d/%m/%Y %H:%M"
series_zone = "UTC"
[version.component.bands]
High = "0.6720"
Low = "0.0399"
"""


def test_a_series_belongs_to_the_hash_and_must_name_known_bands() -> None:
    one = books.load(SERIES, "s", series=lambda name: b"stamp,band\n1/1/2013 0:00,High\n")
    two = books.load(SERIES, "s", series=lambda name: b"stamp,band\n1/1/2013 0:00,Low\n")
    assert one.hash != two.hash
    with pytest.raises(BookError, match=r"band 'Hihg' without a price.*did you mean 'High'"):
        books.load(SERIES, "s", series=lambda name: b"stamp,band\n1/1/2013 0:00,Hihg\n")
    with pytest.raises(BookError, match="line 3: no stamp and value"):
        books.load(SERIES, "s", series=lambda name: b"stamp,band\n1/1/2013 0:00,High\nyesterday,Low\n")
    with pytest.raises(BookError, match="a second value"):
        books.load(SERIES, "s", series=lambda name: b"1/1/2013 0:00,High\n1/1/2013 0:00,Low\n")


def test_shipped_books_load_and_say_where_they_come_from() -> None:
    for name in books.shipped():
        book = books.load(books.shipped_text(name), name)
        assert book.name == name
        assert "title" in book.source, name
        assert {"address", "note"} & set(book.source), name  # an address that nobody knows is not made up
        assert {"date", "note"} & set(book.source), name


def test_lines_are_found_behind_strings_and_brackets() -> None:
    text = """\
a = "x # [not]"
b = [
  "1", # ]
  "2",
]
c = '''
d = 1
'''
[t]
e = 1
[[v]]
[[v.w]]
f = 1
[[v.w]]
f = 2
"""
    lines = lines_of(text)
    assert lines[("a",)] == 1
    assert lines[("b",)] == 2
    assert ("d",) not in lines
    assert lines[("t", "e")] == 10
    assert lines[("v", 0, "w", 1, "f")] == 15
