"""One result in four forms: every form carries the same facts, and stdout carries nothing else."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from control.records import Credit
from prewatt.errors import BadConfig, ShellError, TryAgain, Usage, translate
from prewatt.output import CHOSEN, Form, Result, chosen, emit, emit_error, plain
from storage.errors import SchemaTooNew, StoreLocked
from storage.records import Install
from tariff.errors import BookError

RESULT = Result(
    "accounts list",
    {
        "accounts": [
            {"account": "A1", "balance": "12.50", "at": datetime(2026, 1, 2, 3, 4, 5, 678000), "holds": []},
            {"account": '表,"2"', "balance": "-0.01", "at": None, "holds": ["protected"]},
        ],
        "total": "12.49",
    },
    rows="accounts",
)


def written(result: Result, form: Form | None) -> str:
    """What ``emit`` writes to a pipe."""
    out = io.StringIO()
    CHOSEN.set(form)
    emit(result, out)
    CHOSEN.set(None)
    return out.getvalue()


def test_json_is_one_object_with_its_schema_first() -> None:
    text = written(RESULT, Form.JSON)
    assert text.count("\n") == 1
    assert text.startswith('{"schema": "prewatt.accounts.list/1"')
    found = json.loads(text)
    assert found["accounts"][0]["at"] == "2026-01-02T03:04:05.678Z"
    assert found["total"] == "12.49"


def test_ndjson_is_one_object_per_row_and_a_summary() -> None:
    lines = [json.loads(line) for line in written(RESULT, Form.NDJSON).splitlines()]
    assert [line.get("account") for line in lines] == ["A1", '表,"2"', None]
    assert lines[-1] == {"schema": "prewatt.accounts.list/1", "event": "summary", "total": "12.49"}
    assert {line["schema"] for line in lines} == {"prewatt.accounts.list/1"}


def test_csv_is_read_back_by_any_reader() -> None:
    rows = list(csv.DictReader(io.StringIO(written(RESULT, Form.CSV), newline="")))
    assert [row["account"] for row in rows] == ["A1", '表,"2"']
    assert rows[1]["holds"] == '["protected"]'
    assert rows[1]["at"] == ""


def test_a_table_shows_rows_and_the_rest() -> None:
    text = written(RESULT, Form.TABLE)
    assert "A1" in text
    assert "12.49" in text
    assert "\x1b[" not in text


def test_a_pipe_gets_ndjson_and_a_terminal_a_table() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert chosen(io.StringIO()) is Form.NDJSON
    assert chosen(Terminal()) is Form.TABLE


def test_a_result_without_rows() -> None:
    result = Result("verify", {"ok": True, "bills": {"checked": 1}})
    assert json.loads(written(result, Form.NDJSON)) == {
        "schema": "prewatt.verify/1",
        "ok": True,
        "bills": {"checked": 1},
    }
    assert written(result, Form.CSV) == 'key,value\r\nok,True\r\nbills,"{""checked"": 1}"\r\n'


def test_no_rows_is_said() -> None:
    assert "no accounts" in written(Result("accounts list", {"accounts": []}, rows="accounts"), Form.TABLE)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (datetime(2026, 1, 1), "2026-01-01T00:00:00Z"),
        (Decimal("1.10"), "1.10"),
        (Path("/a"), "/a"),
        (Credit.LOW2, "low2"),
        ({Credit.OK: (1, 2)}, {"ok": [1, 2]}),
        ({3, 1, 2}, [1, 2, 3]),
        (None, None),
        (True, True),
    ],
)
def test_plain(value: object, want: object) -> None:
    assert plain(value) == want


def test_plain_records() -> None:
    found = plain(Install(1, "M", "A", "S", datetime(2026, 1, 1)))
    assert found["start"] == "2026-01-01T00:00:00Z"
    assert found["end"] is None


def test_errors_are_words_and_under_json_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    error = BadConfig("unknown key 'x'", which="f:1:x", attempt="'y'")
    CHOSEN.set(Form.JSON)
    emit_error(error)
    CHOSEN.set(None)
    told = capsys.readouterr()
    assert told.err == "error: unknown key 'x'\n  in: f:1:x\n  try: 'y'\n"
    assert json.loads(told.out) == {
        "schema": "prewatt.error/1",
        "error": "unknown key 'x'",
        "which": "f:1:x",
        "try": "'y'",
        "exit": 78,
    }
    emit_error(error)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreLocked("/h", 7), TryAgain),
        (SchemaTooNew("newer"), BadConfig),
        (BookError("b.toml", 3, "wrong", "right"), BadConfig),
        (Usage("x"), Usage),
        (FileNotFoundError(2, "No such file or directory", "/x"), ShellError),
    ],
)
def test_library_errors_get_the_exit_code_of_their_kind(error: Exception, kind: type[ShellError]) -> None:
    found = translate(error)
    assert type(found) is kind
    assert found is not None
    assert found.attempt or found.which or isinstance(error, Usage)


def test_what_nobody_foresaw_is_not_translated() -> None:
    assert translate(ZeroDivisionError()) is None


def lazy(rows: Iterator[dict[str, str]]) -> Result:
    """The same shape with rows that come one by one and a sum that is known after them."""
    seen: list[str] = []

    def counted() -> Iterator[dict[str, str]]:
        for row in rows:
            seen.append(row["a"])
            yield row

    return Result("x", {"rows": counted(), "sum": lambda: "".join(seen)}, rows="rows", columns=("a",))


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("count", [0, 1, 3])
def test_rows_that_come_one_by_one_are_written_as_a_list_is(form: Form, count: int) -> None:
    rows = [{"a": str(n)} for n in range(count)]
    whole = Result("x", {"rows": rows, "sum": "".join(row["a"] for row in rows)}, rows="rows", columns=("a",))
    assert written(lazy(iter(rows)), form) == written(whole, form)


@pytest.mark.parametrize("form", [Form.JSON, Form.CSV])
def test_nothing_of_one_object_appears_when_its_rows_fail(form: Form) -> None:
    def failing() -> Iterator[dict[str, str]]:
        yield {"a": "1"}
        raise ShellError("no more")

    out = io.StringIO()
    CHOSEN.set(form)
    with pytest.raises(ShellError):
        emit(lazy(failing()), out)
    CHOSEN.set(None)
    assert out.getvalue() == ""
