"""A real year: fifty London homes rated on the flat price and on the published bands, against an exact reference.

The material lies beside the checkout and is never part of it; without it these tests are skipped.
"""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ingest.deliveries import ReadOptions
from ingest.records import Channel, Flag, MeterPoint
from storage import billing
from storage.imports import ImportReport, import_files
from storage.rater import Rater
from storage.records import Account, AccountState, Install, ReadConflict
from storage.store import Store
from storage.writer import Priority
from tariff import book as books
from tariff.model import Book
from tests.exact import london

pytestmark = [pytest.mark.shared, pytest.mark.long]
NOW = datetime(2014, 3, 1)
HALF_HOUR = timedelta(minutes=30)
FULL = 17_520


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        del seconds


def open_store(folder: Path) -> Store:
    return Store.open(folder, clock=FixedClock(), writer="inline", durable=False)


def london_books(shared: Path) -> dict[str, Book]:
    folder = shared / "data" / "tariffs"
    names = ("london-flat-2013", "london-dynamic-2013")
    return {n: books.load(books.shipped_text(n), n, series=lambda file: (folder / file).read_bytes()) for n in names}


@pytest.fixture(scope="module")
def files(shared: Path) -> list[Path]:
    return [shared / "data" / "meters" / f"london_lcl_2013_{half}.csv.gz" for half in "ab"]


@dataclass
class Year:
    store: Store
    reports: list[ImportReport]
    books: dict[str, Book]
    exact: dict[str, dict[int, london.ExactBill]]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory, files: list[Path], shared: Path) -> Iterator[Year]:
    slots = london.homes(files)
    band_of = london.bands(shared / "data" / "tariffs" / "london_dtou_2013_halfhourly.csv")
    exact = {home: london.year_of(slots[home], band_of, 2013) for home in sorted(slots)}
    with open_store(tmp_path_factory.mktemp("london")) as store:
        reports = [import_files(store, files, NOW) for _ in range(2)]
        yield Year(store, reports, london_books(shared), exact)


def test_the_year_is_imported_once_whatever_is_repeated(year: Year):
    first, second = year.reports
    assert (first.rows, first.new, first.refused_count, first.conflict, first.meters) == (847_083, 847_083, 0, 0, 50)
    assert (second.new, second.duplicate) == (0, 847_083)
    assert first.findings == []
    assert sum(gap["intervals"] for gap in first.gaps) == sum(
        len(bill.missing) for bills in year.exact.values() for bill in bills.values()
    )


@pytest.mark.parametrize("name", ["london-flat-2013", "london-dynamic-2013"])
def test_twelve_months_of_fifty_homes_equal_the_reference_to_the_penny(year: Year, name: str):
    for number in range(1, 13):
        bills = {bill.account: bill for bill in billing.compute(year.store, f"2013-{number:02}", year.books, book=name)}
        assert sorted(bills) == [home for home in sorted(year.exact) if number in year.exact[home]]
        for home, bill in bills.items():
            want = year.exact[home][number]
            total = want.flat if name == "london-flat-2013" else want.dynamic
            assert Decimal(bill.total_micro) / 10**6 == total, (home, number)
            assert sum(Decimal(line.quantity) for line in bill.lines) == want.kwh
            assert [(s.start, s.end, s.intervals) for s in bill.missing] == london.spans(want.missing)
            assert bill.ended == (want.ended.replace(tzinfo=None) if want.ended else None)
            assert bill.complete == (not want.missing)


def test_homes_that_end_early_are_named(year: Year):
    bills = {bill.account: bill for bill in billing.compute(year.store, "2013-09", year.books, book="london-flat-2013")}
    assert bills["MAC000063"].ended == datetime(2013, 9, 24)
    assert "MAC000065" not in bills
    assert bills["MAC000095"].ended == datetime(2013, 9, 30, 0, 30)


def test_the_rater_owes_each_home_what_its_bills_say(year: Year):
    names = sorted(year.exact)[:4]
    points = {point.meter: point for point in year.store.read(lambda r: r.find(MeterPoint))}

    def accounts(unit) -> None:
        for home in names:
            unit.put(Account(home, "", "residential", "london-dynamic-2013", "Europe/London", "GBP"))
            unit.put(Install(points[home].meter_id, home, home, "", datetime(2013, 1, 1)))

    year.store.write(Priority.MONEY, accounts)
    rater = Rater(year.store, year.books)
    rater.step(NOW)
    for home in names:
        state = year.store.read(lambda r, home=home: r.get(AccountState, home))
        assert state is not None
        want = sum(bill.dynamic for bill in year.exact[home].values())
        assert Decimal(state.accrued_micro) / 10**6 == want
    for number in range(1, 13):
        bills = [bill for bill in billing.compute(year.store, f"2013-{number:02}", year.books) if bill.account in names]
        assert billing.post(year.store, bills, NOW) == len(bills)
    for home in names:
        state = year.store.read(lambda r, home=home: r.get(AccountState, home))
        assert state is not None and state.accrued_micro == 0
        balance = year.store.read(lambda r, home=home: r.balance(f"customer:{home}"))
        assert Decimal(-balance) / 10**6 == sum(bill.dynamic for bill in year.exact[home].values())


Rows = list[tuple[int, str, str]]  # original row number, stamp, value text


@dataclass
class Result:
    report: ImportReport
    values: dict[datetime, tuple[int, int]]  # slot end -> Wh, flags
    store: Store
    books: dict[str, Book]

    @property
    def total_wh(self) -> int:
        return sum(wh for wh, flags in self.values.values() if not flags & Flag.SUSPECT)

    def codes(self) -> list[str]:
        return [finding.code for finding in self.report.findings]

    def missing(self, month: str) -> int:
        bill = billing.compute(self.store, month, self.books, book="london-flat-2013")[0]
        assert bill.complete == (not bill.missing)
        return sum(span.intervals for span in bill.missing)


@pytest.fixture
def dirty(tmp_path: Path, files: list[Path], shared: Path) -> Iterator[Callable[..., Result]]:
    """Import one complete home after a rule was applied to its rows (or to its text)."""
    stores: list[Store] = []
    tariffs = london_books(shared)

    def run(*texts: str, **options: str) -> Result:
        store = open_store(tmp_path / f"home{len(stores)}")
        stores.append(store)
        paths = []
        for number, text in enumerate(texts):
            paths.append(tmp_path / f"{len(stores)}-{number}.csv")
            paths[-1].write_bytes(text.encode())
        report = import_files(store, paths, NOW, options=ReadOptions(**options))
        table = store.intervals(datetime(1969, 1, 1), datetime(2015, 1, 1), None, int(Channel.IMPORT)).to_pylist()
        return Result(report, {row["end"]: (row["energy_wh"], row["flags"]) for row in table}, store, tariffs)

    yield run
    for store in stores:
        store.close()


@pytest.fixture(scope="module")
def rows(files: list[Path]) -> Rows:
    with gzip.open(files[0], "rt", encoding="utf-8") as lines:
        own = [line.rstrip("\n").split(",") for line in lines if line.startswith("MAC000027,")]
    assert len(own) == FULL
    return [(number, stamp, value) for number, (_, stamp, value) in enumerate(own)]


def text_of(rows: Rows) -> str:
    return "LCLid,tstp,energy(kWh/hh)\n" + "".join(f"MAC000027,{stamp},{value}\n" for _, stamp, value in rows)


def wh(value: str) -> int:
    return int(Decimal(value.strip()).scaleb(3).to_integral_value())


def later(stamp: str, seconds: int) -> str:
    return (datetime.fromisoformat(stamp) + timedelta(seconds=seconds)).isoformat(sep=" ")


def end_of(rows: Rows, number: int) -> datetime:
    return datetime.fromisoformat(rows[number][1]) + HALF_HOUR


def total(rows: Rows) -> int:
    return sum(wh(value) for _, _, value in rows)


def test_g1_five_days_without_data_are_named_and_the_bill_says_so(dirty, rows: Rows):
    holes = [range(700 + 3001 * j, 748 + 3001 * j) for j in range(5)]
    got = dirty(text_of([row for row in rows if not any(row[0] in hole for hole in holes)]))
    assert [(gap["start"], gap["intervals"]) for gap in got.report.gaps] == [
        (datetime.fromisoformat(rows[hole[0]][1]), 48) for hole in holes
    ]
    assert got.missing("2013-01") == 48


def test_g2_single_gaps_are_listed(dirty, rows: Rows):
    gone = [number for number in range(FULL) if number % 883 == 3]
    got = dirty(text_of([row for row in rows if row[0] not in gone]))
    assert [(gap["start"], gap["intervals"]) for gap in got.report.gaps] == [
        (datetime.fromisoformat(rows[number][1]), 1) for number in gone
    ]


def test_u1_repeats_change_nothing_and_are_counted(dirty, rows: Rows):
    twice = [row for row in rows for _ in range(2 if row[0] % 907 == 2 else 1)]
    got = dirty(text_of(twice))
    assert got.report.duplicate == len(twice) - FULL
    assert got.total_wh == total(rows)


def test_u2_a_second_value_is_reported_kept_and_does_not_bill(dirty, rows: Rows):
    extra = [(n, stamp, str(Decimal(value.strip()) + Decimal("0.5"))) for n, stamp, value in rows if n % 1901 == 4]
    got = dirty(text_of(rows + extra))
    assert got.report.conflict == len(extra)
    assert got.total_wh == total(rows)
    kept = got.store.read(lambda r: r.find(ReadConflict, order="end"))
    assert [(one.end, one.kept, one.other) for one in kept] == [
        (end_of(rows, n), wh(rows[n][2]), wh(value)) for n, _, value in extra
    ]


def test_o1_days_in_another_order_give_the_same(dirty, rows: Rows):
    days = [rows[at : at + 48] for at in range(0, FULL, 48)]
    for number in range(len(days) - 1):
        if number % 28 == 5:
            days[number], days[number + 1] = days[number + 1], days[number]
    got = dirty(text_of([row for day in days for row in day]))
    assert got.values == dirty(text_of(rows)).values
    assert got.report.gaps == []


def test_s1_three_stuck_days_are_one_event(dirty, rows: Rows):
    value = next(text for n, _, text in rows[3999:] if wh(text))
    got = dirty(text_of([(n, s, value if 3999 <= n < 4144 else v) for n, s, v in rows]))
    assert got.codes() == ["stuck"]


def test_k1_a_thousandfold_value_is_a_spike_that_nobody_pays(dirty, rows: Rows):
    wrong = [n for n in range(FULL) if n % 2801 == 9]
    got = dirty(text_of([(n, s, str(Decimal(v.strip()) * 1000) if n in wrong else v) for n, s, v in rows]))
    assert got.codes() == ["spike"] * len(wrong)
    assert got.total_wh == total([row for row in rows if row[0] not in wrong])
    assert got.missing("2013-01") == 1


def test_n1_negative_energy_never_lowers_a_bill(dirty, rows: Rows):
    wrong = [n for n in range(FULL) if n % 3803 == 8]
    text = text_of([(n, s, "-" + v.strip() if n in wrong else v) for n, s, v in rows])
    refused = dirty(text)
    assert [(item["line"], item["reason"]) for item in refused.report.refused] == [(n + 2, "negative") for n in wrong]
    assert refused.total_wh == total([row for row in rows if row[0] not in wrong])
    assert dirty(text, negative="export").total_wh == refused.total_wh


def test_t1_null_is_missing_and_counted(dirty, rows: Rows):
    gone = [n for n in range(FULL) if n % 1409 == 6]
    got = dirty(text_of([(n, s, "Null" if n in gone else v) for n, s, v in rows]))
    assert (got.report.missing, got.report.refused_count) == (len(gone), 0)
    assert sum(gap["intervals"] for gap in got.report.gaps) == len(gone)


def test_t2_decimal_commas_are_never_thousands(dirty, rows: Rows):
    text = text_of([(n, s, '"' + v.strip().replace(".", ",") + '"' if n % 1423 == 12 else v) for n, s, v in rows])
    assert dirty(text).total_wh == total(rows)


def test_z1_a_catch_up_block_keeps_its_energy_and_says_uncertain(dirty, rows: Rows):
    block = sum((Decimal(v.strip()) for _, _, v in rows[9600:9697]), Decimal(0))
    changed = [(n, s, "0" if 9600 <= n < 9696 else str(block) if n == 9696 else v) for n, s, v in rows]
    got = dirty(text_of(changed))
    assert got.total_wh == total(rows)
    assert got.codes() == ["catch_up"]
    marked = [end for end, (_, flags) in got.values.items() if flags & Flag.UNCERTAIN]
    assert (min(marked), max(marked), len(marked)) == (end_of(rows, 9600), end_of(rows, 9696), 97)


def test_c1_a_drifting_clock_is_snapped_and_named_once(dirty, rows: Rows):
    got = dirty(text_of([(n, later(s, n // 48), v) for n, s, v in rows]))
    assert got.codes() == ["clock_drift"]
    assert {end: energy for end, (energy, _) in got.values.items()} == {end_of(rows, n): wh(v) for n, _, v in rows}


def test_c2_an_hour_off_for_two_weeks_is_a_hole_and_an_overlap(dirty, rows: Rows):
    got = dirty(text_of([(n, later(s, 3600) if 6000 <= n < 6000 + 14 * 48 else s, v) for n, s, v in rows]))
    assert [(gap["start"], gap["intervals"]) for gap in got.report.gaps] == [(datetime.fromisoformat(rows[6000][1]), 2)]
    assert got.report.conflict + got.report.duplicate == 2
    assert got.codes() == ["clock_hour_off"]


def test_c3_a_lost_clock_is_kept_aside_with_its_trace(dirty, rows: Rows):
    got = dirty(text_of([(n, "1970-01-01" + s[10:] if 6000 <= n < 6048 else s, v) for n, s, v in rows]))
    assert [item["reason"] for item in got.report.refused] == ["clock_lost"] * 48
    assert min(got.values) == end_of(rows, 0)
    assert [gap["intervals"] for gap in got.report.gaps] == [48]


def test_d1_wall_time_with_its_zone_gives_the_same_year(dirty, rows: Rows):
    def wall(stamp: str) -> str:
        at = datetime.fromisoformat(stamp).replace(tzinfo=london.UTC).astimezone(london.LONDON)
        return at.replace(tzinfo=None).isoformat(sep=" ")

    moved = [(n, wall(s), v) for n, s, v in rows]
    per_day = [sum(stamp.startswith(day) for _, stamp, _ in moved) for day in ("2013-03-31", "2013-10-27")]
    assert per_day == [46, 50]
    got = dirty(text_of(moved), zone="Europe/London")
    assert got.values == dirty(text_of(rows)).values


def test_f1_a_file_in_two_pieces_is_the_whole(dirty, rows: Rows):
    text = text_of(rows)
    cut = text.index("\n", len(text) // 2) - 3
    header = text[: text.index("\n") + 1]
    whole = dirty(text).values
    assert dirty(text[:cut], header + text[cut:]).values == whole
    line = text.rindex("\n", 0, cut) + 1
    assert dirty(text[:cut], header + text[line:]).values == whole
    half = dirty(text[:cut])
    assert half.values == {end: row for end, row in whole.items() if end in half.values}


def test_f2_marks_line_ends_spaces_and_blanks_change_nothing(dirty, rows: Rows):
    lines = text_of(rows).splitlines()
    padded = [line + "  " + ("\r\n" if n and n % 1000 == 0 else "") for n, line in enumerate(lines)]
    got = dirty("\ufeff" + "\r\n".join(padded) + "\r\n")
    assert got.values == dirty(text_of(rows)).values


def test_f3_the_same_file_under_another_name_is_nothing_new(dirty, rows: Rows):
    got = dirty(text_of(rows), text_of(rows))
    assert (got.report.new, got.report.duplicate) == (FULL, FULL)
    assert got.total_wh == total(rows)
