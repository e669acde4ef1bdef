"""Names of books and files go in, what the tariff verbs say of them comes out: checks, words, prices, differences."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prewatt.config import Config, check, load
from prewatt.errors import BadConfig, ShellError, Usage
from prewatt.home import find
from prewatt.rules import book_text, read_book

if TYPE_CHECKING:
    from tariff.estimate import Profile
    from tariff.model import Book, Version

Row = dict[str, Any]


def home_config(option: Path | None) -> Config:
    """The configuration of the home, or an empty one: the tariff verbs work without a home too."""
    home = find(option)
    return load(home) if home.config.is_file() or option else check("", home)


def today() -> date:
    """The date, for what depends on it: which version is in force, which holidays are behind us."""
    return datetime.now(UTC).date()


# ---- check
def checked(home: Path | None, names: Sequence[str]) -> Row:
    """Each book's errors and warnings with file and line; ``ok`` if none has an error."""
    config = home_config(home)
    rows = [_checked(config, name) for name in names]
    data: Row = {"ok": all(row["ok"] for row in rows), "books": rows}
    if len(rows) == 1:
        data |= {"book": rows[0]["book"], "hash": rows[0]["hash"], "warnings": rows[0]["warnings"]}
    return data | {"findings": [one for row in rows for one in (*row["errors"], *row["warnings"])]}


def _checked(config: Config, name: str) -> Row:
    from tariff.errors import BookError
    from tariff.locate import lines_of
    from tariff.oddities import oddities

    text, path = book_text(config, name)
    file = str(path) if path is not None else f"{name}.toml"
    try:
        book = read_book(config, name)
    except BookError as error:
        found = _finding(error.file, error.line, "error", "book", error.message, error.hint)
        return {"book": name, "file": file, "ok": False, "hash": "", "errors": [found], "warnings": []}
    warnings = [
        _finding(file, one.line, "warning", one.code, one.text) for one in oddities(book, lines_of(text), today())
    ]
    return {"book": book.name, "file": file, "ok": True, "hash": book.hash, "errors": [], "warnings": warnings}


def _finding(file: str, line: int, level: str, code: str, text: str, hint: str = "") -> Row:
    return {"file": file, "line": line, "level": level, "code": code, "text": text, "hint": hint}


# ---- show
def shown(home: Path | None, name: str, at: str) -> Row:
    """A book in words; ``at`` (a date) keeps the version in force then."""
    from tariff import explain, wording

    book = read_book(home_config(home), name)
    versions = [_version_at(book, at)] if at else list(book.versions)
    year = date.fromisoformat(at).year if at else today().year
    rows = [
        {
            "version": version.label,
            "from": version.start.isoformat(),
            "component": spec.id,
            "kind": spec.kind,
            "says": wording.component(spec, book.currency) + wording.condition(version, spec),
        }
        for version in versions
        for spec in version.components
    ]
    return {
        "book": book.name,
        "title": book.title,
        "currency": book.currency,
        "zone": book.zone,
        "decimals": book.decimals,
        "rounding": book.rounding,
        "round_lines": book.round_lines,
        "hash": book.hash,
        "source": dict(book.source),
        "attributes": dict(book.attributes),
        "versions": [
            {
                "version": version.label,
                "from": version.start.isoformat(),
                "source": dict(version.source) or dict(book.source),
                "windows": [
                    {"period": window.period, "holds": explain.describe(window, version)} for window in version.windows
                ],
                "default_period": version.default_period,
                "holidays": list(version.holidays),
                "letters": dict(wording.legend(version)) if version.windows else {},
                "days": [asdict(strip) for strip in wording.strips(version, max(year, version.start.year))],
            }
            for version in versions
        ],
        "components": rows,
    }


def show_notes(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The day strips and sources of a shown book, as lines under its table."""
    lines: list[str] = []
    for version in data["versions"]:
        lines += ["", f"version {version['version']}"]
        for day in version["days"]:
            lines.append(f"  {day['strip']}  {day['days']}")
        if version["letters"]:
            lines.append("  " + ", ".join(f"{letter} {period}" for letter, period in version["letters"].items()))
        lines += [f"  {key}: {value}" for key, value in version["source"].items()]
    return tuple(lines)


def _version_at(book: "Book", at: str) -> "Version":
    from tariff.difference import version_at

    when = datetime.combine(day(at, "--at"), datetime.min.time())
    if when.date() < book.versions[0].start.date():
        raise Usage(f"book {book.name!r} begins with {book.versions[0].label}", which=f"--at {at}")
    return version_at(book, when.replace(hour=23, minute=59))


# ---- price
def priced(home: Path | None, name: str, span: tuple[str, str], options: Mapping[str, Any]) -> Row:
    """The bill of ``kwh`` (or ``m3`` of gas) between two days of the book's zone, by default the current month."""
    from tariff import estimate, money
    from tariff.calendar import to_local

    book = read_book(home_config(home), name)
    start, end = _span(book, *span)
    amount = _amount(book, options["kwh"], options["m3"])
    bill = estimate.bill(
        book,
        (start, end),
        amount,
        attributes=options["attributes"],
        profile=_profile(options["profile"]),
        used_wh=_wh(options["used"], "--used"),
        reactive_varh=_wh(options["kvarh"], "--kvarh") if options["kvarh"] else None,
    )
    lines = [
        {
            "id": line.id,
            "version": line.version,
            "period": line.period,
            "tier": line.tier,
            "quantity": line.quantity,
            "unit": line.unit,
            "price": line.price,
            "amount": money.format(line.amount_micro),
            "why": estimate.why(book, line),
        }
        for line in bill.lines
    ]
    return {
        "book": book.name,
        "book_hash": book.hash,
        "currency": book.currency,
        "from": to_local(start, book.zone).date().isoformat(),
        "to": to_local(end, book.zone).date().isoformat(),
        _counted(book): money.text(amount, 3),
        "attributes": {**book.attributes, **options["attributes"]},
        "lines": lines,
        "total": money.format(bill.total_micro),
        f"per_{_counted(book)}": money.text(money.divide(bill.total_micro * 1000, amount), 6) if amount else "",
        "sources": [dict(version.source) or dict(book.source) for version in _used(book, bill.lines)],
    }


def _counted(book: "Book") -> str:
    """What the book's meters count: kwh, or m3 of gas."""
    from tariff.gas import is_gas

    return "m3" if is_gas(book) else "kwh"


def _counts(book: "Book", what: str) -> None:
    if _counted(book) != what.lower():
        raise Usage(f"the meters of book {book.name!r} count {_counted(book)}, not {what}", which=book.name)


def _amount(book: "Book", kwh: str, m3: str) -> int:
    """Wh, or 0.001 m3 of a gas book, from the option that fits the book."""
    if bool(kwh) == bool(m3):
        raise Usage("say how much, once", attempt="--kwh 300, or --m3 100 on a book of gas")
    _counts(book, "m3" if m3 else "kWh")
    return _wh(m3, "--m3") if m3 else _wh(kwh, "--kwh")


def _used(book: "Book", lines: Sequence[Any]) -> list["Version"]:
    labels = {line.version for line in lines}
    return [version for version in book.versions if version.label in labels]


def _span(book: "Book", first: str, last: str) -> tuple[datetime, datetime]:
    """[first, last) as UTC; the billing period that holds ``first`` (or today) where the end is not given."""
    from tariff.calendar import to_utc
    from tariff.statement import period_of

    start = to_utc(datetime.combine(day(first, "--from"), datetime.min.time()), book.zone) if first else None
    if not last:
        whole = period_of(book, start or datetime.now(UTC).replace(tzinfo=None))
        return (start or whole[0], whole[1])
    end = to_utc(datetime.combine(day(last, "--to"), datetime.min.time()), book.zone)
    begin = start or period_of(book, end)[0]
    if end <= begin:
        raise Usage("--to must be after --from", attempt="--from 2026-01-01 --to 2026-02-01")
    return begin, end


def day(text: str, option: str) -> date:
    """A calendar day from a command line."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Usage(f"{option} {text!r} is no date", attempt="2026-01-31") from None


def _wh(text: str, option: str) -> int:
    from tariff import money

    if not money.is_decimal(text) or text.startswith("-") or money.scale_of(text) > 3:
        raise Usage(f"{option} {text!r} is no number of 0 or more with at most 3 decimals", attempt=f"{option} 300")
    return money.scaled(text, 3)


def _profile(path: Path | None) -> "Profile":
    from tariff.estimate import FLAT, read_profile

    if path is None:
        return FLAT
    try:
        return read_profile(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ShellError(str(error), which=str(path), attempt="rows such as 00:00,1 in equal steps of a day") from None


def attributes_of(pairs: Sequence[str]) -> dict[str, str]:
    """``name=value`` words as a table."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Usage(f"--attribute {pair!r} is no name=value", attempt="--attribute household=5")
        found[name] = value
    return found


# ---- diff
def differed(home: Path | None, names: tuple[str, str], kwh: str, options: Mapping[str, Any]) -> Row:
    """The keys that differ between two books or versions (NAME@DATE), and a reference year's bills on both."""
    from tariff import money
    from tariff.difference import changes, year_by_rows

    dated = any("@" in name for name in names)
    sides = [_side(home, name, dated=dated) for name in names]
    month_wh, year = _wh(kwh, "--kwh"), options["year"] or today().year
    profile = _profile(options["profile"])
    varh = _wh(options["kvarh"], "--kvarh") if options["kvarh"] else None
    for book, _ in sides:
        _counts(book, "kWh")
    step = lcm(*(book.cycle_months for book, _ in sides))
    totals = [
        year_by_rows(book, year, month_wh, step, attributes=options["attributes"], profile=profile, reactive_varh=varh)
        for book, _ in sides
    ]
    months = [
        {
            "month": f"{year}-{1 + row * step:02d}",
            "before": money.format(before),
            "after": money.format(after),
            "difference": money.format(after - before),
        }
        for row, (before, after) in enumerate(zip(*totals, strict=True))
    ]
    before, after = (sum(side) for side in totals)
    (old, old_table), (new, new_table) = sides
    return {
        "before": {"book": names[0], "hash": old.hash, "currency": old.currency, "total": money.format(before)},
        "after": {"book": names[1], "hash": new.hash, "currency": new.currency, "total": money.format(after)},
        "changes": [asdict(change) for change in changes(old_table, new_table)],
        "kwh_a_month": money.text(month_wh, 3),
        "months": months,
        "difference": money.format(after - before) if old.currency == new.currency else "",
    }


def _side(home: Path | None, name: str, *, dated: bool) -> "tuple[Book, Mapping[str, Any]]":
    """A book and its table; of ``dated`` sides the version in force at NAME@DATE (the last one without a date)."""
    from tariff.difference import held

    config = home_config(home)
    plain, _, at = name.partition("@")
    book = read_book(config, plain)
    table = tomllib.loads(book_text(config, plain)[0])
    if not dated:
        return book, table
    version = _version_at(book, at) if at else book.versions[-1]
    own = {**table["version"][book.versions.index(version)], "from": ""}
    return held(book, version), {**table, "version": [own]}


# ---- import
def imported(path: Path, options: Mapping[str, Any]) -> Row:
    """The book of a URDB answer, checked, and the fields that it does not say; written to ``to`` if given."""
    from tariff.book import load as load_book
    from tariff.errors import BookError, TariffError
    from tariff.locate import lines_of
    from tariff.oddities import oddities
    from tariff.urdb import convert, rates

    try:
        item = rates(path.read_text(encoding="utf-8"), options["label"])
        made = convert(item, zone=options["zone"], allocate=options["allocate"])
        book = load_book(made.text, made.name)
    except BookError as error:
        raise ShellError(f"the book made of it is refused: {error}", which=str(path)) from None
    except TariffError as error:
        raise BadConfig(str(error), which=str(path), attempt=getattr(error, "hint", "")) from None
    to: Path | None = options["to"]
    if to is not None:
        if to.exists() and not options["force"]:
            raise ShellError(f"{to} is there already", attempt="--force, or another --to")
        to.write_text(made.text, encoding="utf-8")
    found = oddities(book, lines_of(made.text), today())
    return {
        "book": made.name,
        "title": book.title,
        "hash": book.hash,
        "file": str(to) if to else "",
        "unmapped": [asdict(one) for one in made.unmapped],
        "warnings": [asdict(one) for one in found],
        "text": made.text,
    }
