"""Postings in, balances out: double entry in integers whose legs sum to zero at every commit.

Balances and the running total are kept by the posting table's own trigger, in the transaction of the posting. One
(source, source_id) counts once. The ledger holds payments, bills and daily usage; hourly charges stand in the lake
and in ``AccountState.accrued_micro``.
"""

import sqlite3
from collections.abc import Sequence

from storage.errors import Conflict, LedgerError, Unbalanced
from storage.records import Posting
from storage.statements import insert_new
from storage.tables import Stored

LEG_LIMIT = 1_000
"""Most legs of one (source, source_id)."""

POST_LIMIT = 1_000
"""Most transactions of one call."""


def balanced(postings: Sequence[Posting]) -> tuple[str, str]:
    """The one (source, source_id) of these legs; Unbalanced or LedgerError says what is wrong with them."""
    if not postings:
        raise LedgerError("no postings: a transaction has at least two legs")
    if len(postings) > LEG_LIMIT:
        raise LedgerError(f"{len(postings)} legs in one transaction, {LEG_LIMIT} at most: split it")
    first = postings[0]
    sums: dict[str, int] = {}
    seen: set[str] = set()
    for leg in postings:
        if (leg.source, leg.source_id) != (first.source, first.source_id):
            raise LedgerError(f"legs of two sources in one transaction: {first.source_id!r} and {leg.source_id!r}")
        if leg.ledger_account in seen:
            raise LedgerError(f"{first.source} {first.source_id}: two legs on {leg.ledger_account}: add them up")
        if type(leg.amount_micro) is not int:
            raise LedgerError(f"{first.source} {first.source_id}: amount {leg.amount_micro!r} is not an integer")
        seen.add(leg.ledger_account)
        sums[leg.currency] = sums.get(leg.currency, 0) + leg.amount_micro
    for currency, total in sums.items():
        if total:
            raise Unbalanced(f"{first.source} {first.source_id}: legs in {currency} sum to {total} micro, not 0")
    return first.source, first.source_id


def post(connection: sqlite3.Connection, stored: Stored, postings: Sequence[Posting]) -> bool:
    """Write the legs of one transaction; False when exactly these stand already, Conflict when others do."""
    return post_all(connection, stored, [postings]) == 1


def post_all(connection: sqlite3.Connection, stored: Stored, transactions: Sequence[Sequence[Posting]]) -> int:
    """Write many transactions at once, POST_LIMIT at most; how many of them were new. Refusals as for one."""
    if len(transactions) > POST_LIMIT:
        raise LedgerError(f"{len(transactions)} transactions at once, {POST_LIMIT} at most: post in slices")
    new: dict[tuple[str, str], Sequence[Posting]] = {}
    for postings in transactions:
        name = balanced(postings)
        first = new.setdefault(name, postings)
        if first is not postings and _legs(first) != _legs(postings):
            raise Conflict(f"{name[0]} {name[1]} is posted twice at once with other legs: give each its own id")
    for name, there in _standing(connection, list(new)).items():
        if sorted(there) != _legs(new.pop(name)):
            raise Conflict(f"{name[0]} {name[1]} is posted with other legs: reverse it, then post under a new id")
    sql, names = insert_new(stored)
    rows = [stored.codec.row(leg) for postings in new.values() for leg in postings]
    if names != stored.codec.names:
        at = [stored.codec.names.index(n) for n in names]
        rows = [[row[i] for i in at] for row in rows]
    connection.executemany(sql, rows)
    return len(new)


def _legs(postings: Sequence[Posting]) -> list[tuple[str, int, str]]:
    return sorted((p.ledger_account, p.amount_micro, p.currency) for p in postings)


def _standing(
    connection: sqlite3.Connection, names: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], list[tuple[str, int, str]]]:
    """Legs that stand already under any of these (source, source_id)."""
    found: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
    for source in sorted({s for s, _ in names}):
        ids = [i for s, i in names if s == source]
        size = 1 << (len(ids) - 1).bit_length()
        marks = ",".join("?" * size)
        sql = (
            "SELECT source_id, ledger_account, amount_micro, currency FROM posting"
            f" WHERE source = ? AND source_id IN ({marks})"
        )
        for number, *leg in connection.execute(sql, [source, *ids, *[ids[-1]] * (size - len(ids))]):
            found.setdefault((source, number), []).append(tuple(leg))
    return found


def total(connection: sqlite3.Connection) -> int:
    """The maintained sum over all postings: absolute sums per currency added up, so that two wrongs never cancel."""
    rows = connection.execute("SELECT amount_micro FROM ledger_total").fetchall()
    return sum(abs(int(amount)) for (amount,) in rows)


def assert_zero(connection: sqlite3.Connection) -> None:
    """Unbalanced when the transaction at hand leaves the ledger at anything but zero; runs before every commit."""
    wrong = connection.execute("SELECT currency, amount_micro FROM ledger_total WHERE amount_micro <> 0").fetchall()
    if wrong:
        raise Unbalanced(f"the ledger would not sum to zero after this commit: {wrong}")


def balance(connection: sqlite3.Connection, ledger_account: str, currency: str = "") -> int:
    """Micro-units on one ledger account, 0 when it has no posting; LedgerError when it holds several currencies."""
    sql = "SELECT currency, amount_micro FROM ledger_balance WHERE ledger_account = ?"
    rows = dict(connection.execute(sql, (ledger_account,)).fetchall())
    if currency:
        return int(rows.get(currency, 0))
    if len(rows) > 1:
        raise LedgerError(f"{ledger_account} holds {', '.join(sorted(rows))}: name the currency")
    return int(next(iter(rows.values()), 0))


def balances(connection: sqlite3.Connection, prefix: str) -> dict[str, int]:
    """Balances of the ledger accounts that start with ``prefix``, by name."""
    sql = (
        "SELECT ledger_account, amount_micro FROM ledger_balance"
        " WHERE ledger_account >= ? AND ledger_account < ? ORDER BY ledger_account"
    )
    rows = connection.execute(sql, (prefix, prefix + "\U0010ffff")).fetchall()
    out = {str(name): int(amount) for name, amount in rows}
    if len(out) != len(rows):
        raise LedgerError(f"accounts under {prefix!r} hold several currencies: ask for each")
    return out


def balances_of(connection: sqlite3.Connection, ledger_accounts: Sequence[str]) -> dict[str, int]:
    """Balances of these ledger accounts (at most some thousands), by name; those without a posting are missing."""
    some = ", ".join("?" * len(ledger_accounts))
    sql = f"SELECT ledger_account, amount_micro FROM ledger_balance WHERE ledger_account IN ({some})"
    rows = connection.execute(sql, tuple(ledger_accounts)).fetchall()
    out = {str(name): int(amount) for name, amount in rows}
    if len(out) != len(rows):
        raise LedgerError("some of these accounts hold several currencies: ask for each")
    return out


def check(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with the ledger, derived again from its postings: [] when nothing is."""
    derived = (
        "SELECT ledger_account, currency, sum(amount_micro) FROM posting GROUP BY ledger_account, currency"
        " ORDER BY ledger_account, currency"
    )
    kept = "SELECT ledger_account, currency, amount_micro FROM ledger_balance ORDER BY ledger_account, currency"
    want = {(a, c): v for a, c, v in connection.execute(derived)}
    have = {(a, c): v for a, c, v in connection.execute(kept)}
    faults = [
        f"balance of {a} is {have.get((a, c), 0)} {c} micro, its postings sum to {want.get((a, c), 0)}"
        for a, c in sorted(want.keys() | have.keys())
        if want.get((a, c), 0) != have.get((a, c), 0)
    ]
    legs = "SELECT source, source_id, currency, sum(amount_micro) AS s FROM posting GROUP BY 1, 2, 3 HAVING s <> 0"
    faults += [f"{s} {i}: legs sum to {v} {c} micro" for s, i, c, v in connection.execute(legs)]
    if total(connection):
        faults.append(f"the ledger sums to {total(connection)} micro, not 0")
    return faults
