"""Print and post the bills of a period."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prewatt.options import DryRun, HomeOption, Period
from prewatt.output import CHOSEN, Form, Result, emit, say

if TYPE_CHECKING:
    from prewatt.invoicing import Sheet

PANEL = "run"


class BillForm(StrEnum):
    """How bills are written; html is one page with the why of every line."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"
    HTML = "html"


def _choose(form: BillForm | None) -> BillForm | None:
    CHOSEN.set(Form(form.value) if form is not None and form is not BillForm.HTML else None)
    return form


def command(
    period: Period,
    book: Annotated[str, typer.Option("--book", help="Price with this book instead, and post nothing.")] = "",
    account: Annotated[str, typer.Option("--account", help="Only this account.")] = "",
    dry_run: DryRun = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write files into this folder too.")] = None,
    sheets: Annotated[
        list[str], typer.Option("--as", metavar="FORM", help="With --out: html (default), csv, json, xlsx, parquet.")
    ] = [],  # noqa: B006
    lang: Annotated[str, typer.Option("--lang", help="en or zh; default: each customer's own.")] = "",
    bom: Annotated[bool, typer.Option("--bom", help="Begin CSV files with a mark that spreadsheets want.")] = False,
    home: HomeOption = None,
    output: Annotated[
        BillForm | None,
        typer.Option(
            "-o",
            "--output",
            callback=_choose,
            is_eager=True,
            help="Default: table on a terminal, ndjson on a pipe; html: one page to print.",
        ),
    ] = None,
) -> None:
    """Print the bills of a month of the book's zone and post them; what is posted already stays as it is."""
    from prewatt.billrun import computing, standing
    from prewatt.doing import do
    from prewatt.invoicing import document, shown, written

    forms = _sheets(sheets, lang)
    only = bool(book) or dry_run
    told = {} if only else do(home, "bill", period=period, account=account, rows=False)
    found = shown(home, period, book, account, draft=only) if out is not None or output is BillForm.HTML else []
    extra = {}
    if out is not None:
        extra = {"out": str(out), "files": written(found, out, period, forms, lang=lang, bom=bom)}
    if output is BillForm.HTML:
        sys.stdout.write(document(found, lang))
        say(f"{len(found)} bills")
        count = len(found)
    else:
        columns = ("account", "book", "from", "to", "total", "currency", "complete", "ended")
        with computing(home, period, book, account) if only else standing(home, period, account, told) as made:
            answer, tally = made
            emit(Result("bill", answer | extra, rows="bills", columns=columns))
        count = tally.bills
    if not count:
        raise typer.Exit(1)


def _sheets(given: list[str], lang: str) -> list["Sheet"]:
    from prewatt.errors import Usage
    from prewatt.invoicing import Sheet
    from prewatt.strict import suggest

    known = [sheet.value for sheet in Sheet]
    for name in given:
        if name not in known:
            raise Usage(f"no form {name!r} of a file", attempt=f"--as {suggest(name, known)}")
    if lang not in ("", "en", "zh"):
        raise Usage(f"no language {lang!r}", attempt="--lang en, or --lang zh")
    return [Sheet(name) for name in given] or [Sheet.HTML]
