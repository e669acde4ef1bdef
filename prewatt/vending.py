"""A book and a payment go in, what it buys comes out: kWh, fixed charges, arrears, emergency credit and change."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prewatt.errors import Usage
from prewatt.listing import money
from prewatt.rules import read_book
from prewatt.tariffs import day, home_config, today
from tariff import calendar as calendars
from tariff import money as exact
from tariff.vend import Debts, Sale, vend

Row = dict[str, Any]
NOON = timedelta(hours=12)


def sold(home: Path | None, name: str, amount: str, options: Mapping[str, Any]) -> Row:
    """What ``amount`` buys on a book; ``options`` as the verb has them, texts as they were typed."""
    book = read_book(home_config(home), name)
    percent = options["arrears_percent"]
    debts = Debts(_micro(options["arrears"], "--arrears"), percent, _micro(options["emergency"], "--emergency"))

    def utc(text: str, option: str) -> datetime:
        date = day(text, option) if text else today()
        return calendars.to_utc(datetime(date.year, date.month, date.day) + NOON, book.zone)

    since = utc(options["since"], "--since") if options["since"] else None
    found = vend(
        book,
        utc(options["at"], "--at"),
        _micro(amount, "--money"),
        bought_wh=_wh(options["bought"], "--bought"),
        first=not options["again"],
        since=since,
        attributes=options["attributes"],
        debts=debts,
        step_wh=max(1, _wh(options["step"], "--step")),
    )
    return {"book": book.name, "book_hash": book.hash, "currency": book.currency, "money": amount} | _told(found)


def _told(sale: Sale) -> Row:
    """The sale as texts; its lines are what each line of the bill has risen by."""
    return {
        "kwh": exact.text(sale.wh, 3),
        "cost": money(sale.cost_micro),
        "fixed": money(sale.fixed_micro),
        "arrears": money(sale.arrears_micro),
        "emergency": money(sale.emergency_micro),
        "change": money(sale.change_micro),
        "lines": [
            {
                "id": part.id or "earlier_periods",
                "period": part.period,
                "tier": part.tier,
                "kwh": exact.text(part.wh, 3) if part.wh else "",
                "price": part.price,
                "amount": money(part.amount_micro),
            }
            for part in sale.parts
        ],
    }


def _micro(text: str, option: str) -> int:
    return _scaled(text, exact.MICRO_SCALE, option)


def _wh(text: str, option: str) -> int:
    return _scaled(text, 3, option)


def _scaled(text: str, scale: int, option: str) -> int:
    try:
        value = exact.scaled(text, scale)
    except ValueError:
        value = -1
    if value < 0:
        raise Usage(f"{option} {text!r} is no number from 0 up with at most {scale} decimals", attempt=f"{option} 500")
    return value
