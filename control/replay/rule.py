"""A payments file goes in, whoever pays in a replay comes out: a rule in TOML, or the bank's own CSV with its times.

The rule's keys: ``opening`` (credit at the start), ``topup`` and ``hours_after`` (that much, so many hours after each
disconnection), ``shares`` with ``shares_of`` (alerts when so many percent are left of ``balance_after_payment`` or of
``last_payment``, and at nothing else). Money is in the account's currency, as decimal strings.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from control.amounts import PaymentRefusal, micro
from control.errors import PaymentsError
from control.payments.csv import Columns, accept
from storage.records import Payment

KEYS = ("opening", "topup", "hours_after", "shares", "shares_of")
SHARES_OF = ("balance_after_payment", "last_payment")
MOST_HOURS = 24 * 366
CHANNEL = "replay"
UNKNOWN = datetime(1970, 1, 1)  # when a file of a replay was received: nobody asks


@dataclass(frozen=True, slots=True)
class Paying:
    """Who pays when: by rule, or as the file says; ``shares`` empty: the policy's own."""

    opening_micro: int = 0
    topup_micro: int = 0
    after: timedelta | None = None
    shares: tuple[int, ...] = ()
    shares_of: str = ""
    payments: tuple[Payment, ...] = ()
    balances: Mapping[str, int] = field(default_factory=dict)  # account -> posted at the start, and what it used owed


def read(data: bytes, name: str) -> Paying:
    """Read a rule (``.toml``) or a bank file (anything else); PaymentsError for what cannot be used."""
    if name.endswith(".toml"):
        return _rule(data, name)
    found = accept(data, Columns(totals=False), UNKNOWN, channel=CHANNEL)
    if isinstance(found, PaymentRefusal):
        raise PaymentsError(f"{name}:{found.line or 1}: {found.reason}: {found.detail}")
    return Paying(payments=tuple(sorted(found.payments, key=lambda one: (one.at, one.external_id))))


def _rule(data: bytes, name: str) -> Paying:
    try:
        text = data.decode()
        table = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
        raise PaymentsError(f"{name}: not TOML: {wrong}") from None
    for key in table:
        if key not in KEYS:
            raise PaymentsError(f"{name}:{_line(text, key)}: unknown key {key!r}; one of {', '.join(KEYS)}")

    def money(key: str) -> int:
        value = table.get(key, "0")
        amount = micro(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
        if amount is None or amount < 0:
            raise PaymentsError(f'{name}:{_line(text, key)}: {key} must be an amount such as {key} = "20.00"')
        return amount

    after = _after(table, text, name)
    topup = money("topup")
    if (topup > 0) != (after is not None):
        raise PaymentsError(f"{name}: topup and hours_after go together: give both, or neither")
    shares, of = _shares(table, text, name)
    return Paying(money("opening"), topup, after, shares, of)


def _after(table: Mapping[str, Any], text: str, name: str) -> timedelta | None:
    hours = table.get("hours_after")
    if hours is None:
        return None
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 <= hours <= MOST_HOURS:
        raise PaymentsError(f"{name}:{_line(text, 'hours_after')}: hours_after must be hours from 0 to {MOST_HOURS}")
    return timedelta(minutes=round(hours * 60))


def _shares(table: Mapping[str, Any], text: str, name: str) -> tuple[tuple[int, ...], str]:
    shares = table.get("shares", [])
    good = isinstance(shares, list) and all(type(share) is int and 0 <= share < 100 for share in shares)
    if not good or len(set(shares)) != len(shares):
        where = f"{name}:{_line(text, 'shares')}"
        raise PaymentsError(f"{where}: shares must be different whole percents, such as shares = [30, 10, 0]")
    of = table.get("shares_of", SHARES_OF[0])
    if of not in SHARES_OF:
        raise PaymentsError(f"{name}:{_line(text, 'shares_of')}: shares_of must be one of {', '.join(SHARES_OF)}")
    return tuple(sorted(shares, reverse=True)), of if shares else ""


def _line(text: str, key: str) -> int:
    found = re.search(rf"^\s*{re.escape(key)}\s*=", text, re.MULTILINE)
    return text.count("\n", 0, found.start(0) + len(found[0]) - len(found[0].lstrip())) + 1 if found else 1
