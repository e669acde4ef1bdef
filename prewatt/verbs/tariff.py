"""Check a tariff book, and show what it says."""

from typing import Annotated, Any

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "work"
group = typer.Typer(no_args_is_help=True, help=__doc__)

BookArgument = Annotated[str, typer.Argument(metavar="BOOK", help="A file, or the name of a book.")]


@group.command()
def check(book: BookArgument, home: HomeOption = None, output: FormOption = None) -> None:
    """Refuse a wrong book with file, line and a hint (exit 78); warn of what is legal and odd."""
    from prewatt.rules import one_book

    found = one_book(home, book)
    data = {"ok": True, "book": found.name, "hash": found.hash, "warnings": list(found.warnings)}
    emit(Result("tariff check", data))


@group.command()
def show(book: BookArgument, home: HomeOption = None, output: FormOption = None) -> None:
    """Print a book's versions and their components."""
    from prewatt.rules import one_book

    found = one_book(home, book)
    rows: list[dict[str, Any]] = [
        {"version": version.label, "from": version.start.isoformat(), "component": spec.id, "kind": spec.kind}
        for version in found.versions
        for spec in version.components
    ]
    data = {
        "book": found.name,
        "title": found.title,
        "currency": found.currency,
        "zone": found.zone,
        "hash": found.hash,
        "source": dict(found.source),
        "components": rows,
    }
    emit(Result("tariff show", data, rows="components"))


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
