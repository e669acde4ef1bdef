"""Check tariff books, show what they say, price energy on them, compare them, and import rates of others."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import CHOSEN, Form, Result, chosen, emit, say

PANEL = "work"
group = typer.Typer(no_args_is_help=True, help=__doc__)

BookArgument = Annotated[str, typer.Argument(metavar="BOOK", help="A file, or the name of a book.")]
BooksArgument = Annotated[list[str], typer.Argument(metavar="BOOK...", help="Files, or names of books.")]
AttributeOption = Annotated[
    list[str] | None, typer.Option("--attribute", metavar="NAME=VALUE", help="What the account has, e.g. household=5.")
]
ProfileOption = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        exists=True,
        dir_okay=False,
        help="CSV of a day's shape (00:00,weight in equal steps) or of the period's slots (2026-01-01T00:00,kWh).",
    ),
]
KvarhOption = Annotated[str, typer.Option("--kvarh", metavar="N", help="Reactive energy, for power factors.")]


def _told(data: dict[str, Any], *said_below: str) -> dict[str, Any]:
    """The data without what a table says in other words; whole for every other form."""
    if chosen(sys.stdout) is not Form.TABLE:
        return data
    return {key: value for key, value in data.items() if key not in said_below}


@group.command()
def check(book: BooksArgument, home: HomeOption = None, output: FormOption = None) -> None:
    """Refuse wrong books with file, line and a hint (exit 78); warn of what is legal and odd (exit 0).

    Warnings: limits that do not rise with an adder, tier prices that fall, windows that never hold, overlap or leave
    a gap, holiday lists older than their version, versions without a component that their neighbours have, series
    with holes, prices without a source.
    """
    from prewatt.tariffs import checked

    data = checked(home, book)
    columns = ("file", "line", "level", "code", "text", "hint")
    emit(Result("tariff check", _told(data, "books", "warnings"), rows="findings", columns=columns))
    for one in data["findings"]:
        if one["level"] == "error":
            say(f"error: {one['file']}:{one['line']}: {one['text']}" + (f"\n  try: {one['hint']}" * bool(one["hint"])))
    if not data["ok"]:
        raise typer.Exit(78)


@group.command()
def show(
    book: BookArgument,
    at: Annotated[str, typer.Option("--at", metavar="DATE", help="Only the version in force on this day.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Print a book's versions: windows as day strips, components in words, where it was published, and its hash."""
    from prewatt.tariffs import show_notes, shown

    data = shown(home, book, at)
    columns = ("version", "component", "kind", "says")
    emit(
        Result(
            "tariff show", _told(data, "versions", "source"), rows="components", columns=columns, notes=show_notes(data)
        )
    )


@group.command()
def price(
    book: BookArgument,
    kwh: Annotated[str, typer.Option("--kwh", metavar="N", help="Energy of the period.")] = "",
    m3: Annotated[str, typer.Option("--m3", metavar="N", help="Gas of the period, on a book of gas.")] = "",
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="First day; default: this month's.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="Day after the last one.")] = "",
    profile: ProfileOption = None,
    attribute: AttributeOption = None,
    used: Annotated[
        str, typer.Option("--used", metavar="N", help="kWh before, in the month or year of a ladder.")
    ] = "0",
    kvarh: KvarhOption = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Price energy on a book and say of each line why: kWh, price, tier, hours, rule. Posts nothing."""
    from prewatt.tariffs import attributes_of, priced

    options = {"attributes": attributes_of(attribute or ()), "profile": profile, "used": used, "kvarh": kvarh}
    data = priced(home, book, (first, last), options | {"kwh": kwh, "m3": m3})
    columns = ("id", "tier", "quantity", "unit", "price", "amount", "why")
    emit(Result("tariff price", data, rows="lines", columns=columns))


@group.command()
def vend(
    book: BookArgument,
    money: Annotated[str, typer.Option("--money", metavar="N", help="The payment.")],
    at: Annotated[str, typer.Option("--at", metavar="DATE", help="Day of the purchase; default: today.")] = "",
    bought: Annotated[str, typer.Option("--bought", metavar="N", help="kWh bought before in the same period.")] = "0",
    again: Annotated[bool, typer.Option("--again", help="Not the period's first purchase: no fixed charges.")] = False,
    since: Annotated[
        str,
        typer.Option("--since", metavar="DATE", help="The purchase before: periods since bear fixed charges."),
    ] = "",
    arrears: Annotated[str, typer.Option("--arrears", metavar="N", help="What is owed from before.")] = "0",
    percent: Annotated[
        int, typer.Option("--arrears-percent", min=0, max=100, help="Of the payment, at most, for arrears.")
    ] = 0,
    emergency: Annotated[str, typer.Option("--emergency", metavar="N", help="Emergency credit to be paid back.")] = "0",
    step: Annotated[str, typer.Option("--step", metavar="N", help="kWh are sold in whole steps of this.")] = "0.001",
    attribute: AttributeOption = None,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Say what a payment buys: kWh, the exact inverse of the bill, line by line; fixed charges, arrears, change."""
    from prewatt.tariffs import attributes_of
    from prewatt.vending import sold

    options = {"at": at, "bought": bought, "again": again, "since": since, "arrears": arrears, "emergency": emergency}
    options |= {"arrears_percent": percent, "step": step, "attributes": attributes_of(attribute or ())}
    data = sold(home, book, money, options)
    emit(Result("tariff vend", data, rows="lines", columns=("id", "period", "tier", "kwh", "price", "amount")))


@group.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A book; A@DATE is its version in force then.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Another, or another version.")],
    kwh: Annotated[str, typer.Option("--kwh", metavar="N", help="Energy of each month of the reference year.")] = "300",
    year: Annotated[int, typer.Option("--year", help="The reference year; default: this one.")] = 0,
    profile: ProfileOption = None,
    attribute: AttributeOption = None,
    kvarh: KvarhOption = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Print the keys that differ between two books or versions, and what a year of the same energy costs on each."""
    from prewatt.tariffs import attributes_of, differed

    options = {"attributes": attributes_of(attribute or ()), "profile": profile, "year": year, "kvarh": kvarh}
    data = differed(home, (before, after), kwh, options)
    notes = tuple(f"{one['month']}  {one['before']}  {one['after']}  {one['difference']}" for one in data["months"])
    emit(Result("tariff diff", _told(data, "months"), rows="changes", columns=("key", "before", "after"), notes=notes))


@group.command("import-urdb")
def import_urdb(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="JSON of the rate API.")],
    zone: Annotated[str, typer.Option("--zone", help="Time zone of the utility: URDB has none.")],
    allocate: Annotated[
        str,
        typer.Option("--allocate", help="Tiers by time of use: chronological, pro_rata or per_period. No default."),
    ] = "",
    label: Annotated[str, typer.Option("--label", help="Which rate of the file, if it has several.")] = "",
    to: Annotated[Path | None, typer.Option("--to", metavar="BOOK", help="Write the book here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a book that is there.")] = False,
    output: FormOption = None,
) -> None:
    """Make a book of a rate of the OpenEI Utility Rate Database, and name every field that it does not say."""
    from prewatt.tariffs import imported

    options = {"zone": zone, "allocate": allocate, "label": label, "to": to, "force": force}
    data = imported(file, options)
    notes = () if to else tuple(data["text"].splitlines())
    emit(Result("tariff import-urdb", _told(data, "text"), rows="unmapped", columns=("field", "why"), notes=notes))


@group.command()
def schema(output: FormOption = None) -> None:
    """Print the JSON schema of a book: what each table may hold. It checks form; `tariff check` also checks sense."""
    import json

    from tariff.schema import book_schema

    if CHOSEN.get() in (Form.JSON, Form.NDJSON):
        emit(Result("tariff schema", {"document": book_schema()}))
    else:
        typer.echo(json.dumps(book_schema(), ensure_ascii=False, indent=2))


@group.command("list")
def list_books(home: HomeOption = None, output: FormOption = None) -> None:
    """List the books that are shipped and those of the home."""
    from prewatt.rules import all_books

    rows = [
        {
            "book": name,
            "title": b.title,
            "currency": b.currency,
            "zone": b.zone,
            "versions": len(b.versions),
            "hash": b.hash,
        }
        for name, b in sorted(all_books(home).items())
    ]
    columns = ("book", "title", "currency", "zone", "versions")
    emit(Result("tariff list", {"books": rows}, rows="books", columns=columns))
