"""The bank's file: the whole file or nothing, with the line that is wrong."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.amounts import PaymentFile, PaymentRefusal
from control.payments.csv import Columns, accept

NOW = datetime(2024, 5, 2, 1, 0)
GOOD = """id,account,amount,currency,paid_at
B1,A1,10.00,CNY,2024-05-01T08:00:00Z
B2,A2,0.5,CNY,2024-05-01 16:30:00
TOTAL,2,10.50,,
"""


def take(text: str, **columns: object) -> PaymentFile:
    found = accept(text.encode(), Columns(**columns), NOW)  # type: ignore[arg-type]
    assert isinstance(found, PaymentFile), found
    return found


def test_a_whole_file_is_taken_with_its_zone() -> None:
    found = take(GOOD, zone="Asia/Shanghai")
    assert [(p.external_id, p.account, p.amount_micro, p.at) for p in found.payments] == [
        ("B1", "A1", 10_000_000, datetime(2024, 5, 1, 8)),
        ("B2", "A2", 500_000, datetime(2024, 5, 1, 8, 30)),
    ]
    assert found.total_micro == 10_500_000
    assert found.digest == take(GOOD, zone="UTC").digest


def test_columns_and_words_of_a_bank_are_mapped() -> None:
    text = "ref;kto;betrag;wann;art\nX;A1;5;2024-05-01;GUT\nY;A1;-5;2024-05-02;STORNO\nSUMME;2;0;;\n"
    words = {"GUT": "posted", "STORNO": "reversed"}
    found = take(
        text,
        id="ref",
        account="kto",
        amount="betrag",
        at="wann",
        status="art",
        delimiter=";",
        default_currency="EUR",
        totals_word="SUMME",
        words=words,
    )
    assert [(p.status, p.amount_micro, p.currency) for p in found.payments] == [
        ("posted", 5_000_000, "EUR"),
        ("reversed", 5_000_000, "EUR"),
    ]
    assert found.total_micro == 0


@pytest.mark.parametrize(
    ("old", "new", "want", "line"),
    [
        ("10.50,,", "10.51,,", "bad_totals", 4),
        ("TOTAL,2", "TOTAL,3", "bad_totals", 4),
        ("TOTAL,2,10.50,,\n", "", "no_totals", 0),
        ("TOTAL,2,10.50,,\n", "TOTAL,2,10.50,,\nB3,A1,1,CNY,2024-05-01\n", "bad_row", 5),
        ("B2,A2", "B1,A2", "repeated_id", 3),
        ("0.5,", "x,", "bad_amount", 3),
        ("0.5,", "-0.5,", "bad_amount", 3),
        ("B2,A2,0.5", "B2,A2", "bad_row", 3),
        ("B2,A2", "B2,", "empty_cell", 3),
        ("2024-05-01 16:30:00", "1/5/24", "bad_time", 3),
        ("id,account", "id,konto", "bad_header", 1),
        ("id,account,amount", "id,id,amount", "bad_header", 1),
        ("B1,A1", '"B1,A1', "not_csv", 4),
    ],
)
def test_one_bad_line_refuses_the_file(old: str, new: str, want: str, line: int) -> None:
    assert old in GOOD
    found = accept(GOOD.replace(old, new).encode(), Columns(), NOW)
    assert isinstance(found, PaymentRefusal)
    assert (found.reason, found.line) == (want, line)


def test_a_cut_file_is_never_taken() -> None:
    for size in range(len(GOOD) - 1):
        assert isinstance(accept(GOOD[:size].encode(), Columns(), NOW), PaymentRefusal)


@given(st.binary(max_size=300))
def test_hostile_bytes_never_raise(data: bytes) -> None:
    assert isinstance(accept(data, Columns(), NOW), PaymentRefusal)
