"""What each account is charged by goes in; since when, and whether anybody confirmed the change to it, comes out.

A wrong tariff makes people poor and its own forecasts foresee it: after three days a bug has sealed its witness. So a
forecast counts for guard G6 and for the breaker only if it was sealed on prices that somebody vouches for. Once a day,
before the forecasts are sealed, everybody's book, priced attributes and the rating code itself are compared with what
they were. From the first change on (``doubt_from``) an account's new forecasts do not count; those sealed before it
still do, so whoever would have run out on the old prices may still be cut. Two persons confirm a change after they saw
what it does to last month's bills (``prewatt prices``); from then on forecasts made since it count too.

Interleavings: *crash between marking and sealing*: the mark is committed first, so no forecast on doubtful prices is
ever found without its doubt. *A change between showing and confirming*: only accounts that changed before the showing
are confirmed. *The bug is taken back*: that is a change too, and what was sealed between the two never counts. *Another
change within a month of the last*: the doubt keeps its beginning, so nothing sealed on the way is taken for good.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from control import incidents
from control.records import PriceBasis, SealedForecast
from storage.codec import from_ms, to_ms
from storage.records import Account, AccountState
from storage.unit import Reader, Unit

MONTH = timedelta(days=31)
NOT_PRICED = (
    "relay_limit_w", "display", "second", "collector", "transformer", "transformer_w", "pickup_w",
    "debt_share_percent", "debt_cap_week_micro",
)  # fmt: skip
"""Attributes that control reads and no price depends on."""


# a forecast f of an account whose prices p changed counts if it was sealed before the doubt, or since a confirmed basis
TRUSTED = (
    "(p.doubt_from IS NULL OR f.sealed_at < p.doubt_from OR (p.confirmed_at IS NOT NULL AND f.sealed_at >= p.since))"
)


@dataclass(frozen=True, slots=True)
class Change:
    """Accounts that went from one book (hash) to another and wait for two persons; ``until``: the last of them."""

    before: str
    after: str
    accounts: int
    since: datetime
    until: datetime


@lru_cache(maxsize=1)
def rating_code() -> str:
    """Fingerprint of the code that turns energy into money: another release is another basis."""
    digest = hashlib.sha256()
    for path in sorted(_sources(files("tariff")), key=lambda one: one.name):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources(folder: Traversable) -> Iterator[Traversable]:
    for path in folder.iterdir():
        if path.is_dir():
            yield from _sources(path)
        elif path.name.endswith(".py"):
            yield path


def mark(unit: Unit, now: datetime, code: str) -> int:
    """Compare everybody's basis with what it was; how many changed. Comes before the day's forecasts are sealed."""
    own, account, state = (unit.tables.of(kind).spec.name for kind in (PriceBasis, Account, AccountState))
    removed = "".join(f", '$.{name}'" for name in NOT_PRICED)
    present = f"json_remove(a.attributes{removed})"
    given = {"code": code, "now": to_ms(now), "month": to_ms(now - MONTH)}
    unit.connection.execute(
        f'INSERT INTO "{own}" (account, book_hash, attributes, code, since, doubt_from, "before", confirmed_at)'
        f" SELECT a.account, s.book_hash, {present}, :code, :now, NULL, '', NULL"
        f' FROM "{account}" a JOIN "{state}" s ON s.account = a.account'
        f" WHERE s.book_hash <> '' AND NOT EXISTS (SELECT 1 FROM \"{own}\" p WHERE p.account = a.account)",
        given,
    )
    waits = "doubt_from IS NOT NULL AND confirmed_at IS NULL"
    changed = unit.connection.execute(
        f'UPDATE "{own}" AS p SET doubt_from = CASE WHEN {waits} OR (doubt_from IS NOT NULL AND since > :month)'
        f' THEN doubt_from ELSE :now END, "before" = CASE WHEN {waits} THEN "before" ELSE p.book_hash END,'
        f" book_hash = s.book_hash, attributes = {present}, code = :code, since = :now, confirmed_at = NULL"
        f' FROM "{account}" a JOIN "{state}" s ON s.account = a.account WHERE p.account = a.account'
        f" AND s.book_hash <> '' AND (p.book_hash <> s.book_hash OR p.code <> :code OR p.attributes <> {present})",
        given,
    ).rowcount
    if changed:
        incidents.file(unit, "prices_unconfirmed", now, cause=f"{now:%Y-%m-%d}", detail=f"{changed} accounts")
    return int(changed)


def doubts(reader: Reader, names: Sequence[str]) -> dict[str, PriceBasis]:
    """The basis of those of ``names`` whose prices ever changed."""
    return {row.account: row for row in reader.find(PriceBasis, account__in=list(names), doubt_from__null=False)}


def sealed(reader: Reader, names: Sequence[str], latest: datetime) -> dict[str, SealedForecast]:
    """Each one's newest forecast, sealed by ``latest``, that counts; for accounts whose prices changed."""
    stored, own = reader.tables.of(SealedForecast), reader.tables.of(PriceBasis).spec.name
    columns = ", ".join(f'f."{name}"' for name in stored.codec.names)
    sql = (
        f'SELECT {columns}, max(f.sealed_at) FROM "{stored.spec.name}" f JOIN "{own}" p ON p.account = f.account'
        f" WHERE f.account IN ({', '.join('?' * len(names))}) AND f.sealed_at <= ? AND {TRUSTED} GROUP BY f.account"
    )
    load = stored.codec.load
    rows = (load(row[:-1]) for row in reader.connection.execute(sql, (*names, to_ms(latest))))
    return {row.account: row for row in rows}


def foreseen(reader: Reader, now: datetime, latest: datetime) -> dict[str, datetime | None]:
    """When the newest forecast that counts saw each account run out, for those whose prices changed of late."""
    stored, own = (reader.tables.of(kind).spec.name for kind in (SealedForecast, PriceBasis))
    found: dict[str, datetime | None] = {}
    late = "p.doubt_from IS NOT NULL AND (p.confirmed_at IS NULL OR p.since > ?)"
    for (account,) in reader.connection.execute(f'SELECT account FROM "{own}" p WHERE {late}', (to_ms(now - MONTH),)):
        found[account] = None
    sql = (
        f'SELECT f.account, max(f.sealed_at), f.exhausts_at FROM "{stored}" f JOIN "{own}" p ON p.account = f.account'
        f" WHERE {late} AND f.sealed_at <= ? AND {TRUSTED} GROUP BY f.account"
    )
    for account, _, exhausts in reader.connection.execute(sql, (to_ms(now - MONTH), to_ms(latest))) if found else ():
        found[account] = None if exhausts is None else from_ms(exhausts)
    return found


def open_changes(reader: Reader) -> list[Change]:
    """Changes that wait for two persons, the largest first."""
    own = reader.tables.of(PriceBasis).spec.name
    sql = (
        f'SELECT "before", book_hash, count(*), min(doubt_from), max(since) FROM "{own}"'
        ' WHERE doubt_from IS NOT NULL AND confirmed_at IS NULL GROUP BY "before", book_hash ORDER BY 3 DESC, 1, 2'
    )
    rows = reader.connection.execute(sql)
    return [Change(before, after, count, from_ms(low), from_ms(high)) for before, after, count, low, high in rows]


def changed_accounts(reader: Reader, change: Change) -> list[str]:
    """Who waits for the confirmation of ``change``, in order."""
    rows = reader.find(
        PriceBasis, before=change.before, book_hash=change.after, doubt_from__null=False, confirmed_at__null=True
    )
    return sorted(row.account for row in rows)


def confirm(unit: Unit, change: Change, now: datetime, persons: Sequence[str]) -> int:
    """Two persons vouch for ``change`` as they saw it; how many accounts' forecasts count again."""
    own = unit.tables.of(PriceBasis).spec.name
    done = unit.connection.execute(
        f'UPDATE "{own}" SET confirmed_at = ? WHERE "before" = ? AND book_hash = ? AND since <= ?'
        " AND doubt_from IS NOT NULL AND confirmed_at IS NULL",
        (to_ms(now), change.before, change.after, to_ms(change.until)),
    ).rowcount
    body = {"before": change.before, "after": change.after, "accounts": int(done), "persons": list(persons)}
    unit.audit(persons[0], "prices.confirm", change.after, body, now)
    return int(done)
