"""A snapshot and accounts go in; their sealed forecasts, their notices, money and meters come out, by account."""

from collections.abc import Collection
from datetime import datetime, timedelta

from control import pricebasis
from control.records import Notice, SealedForecast
from ingest.records import MeterPoint
from storage import ledger
from storage.records import AccountState, Install
from storage.unit import Reader

SEALED_AGO = timedelta(hours=72)  # G6
SEALED_WITHIN = timedelta(days=31)
SEALED_DAILY = timedelta(hours=26)  # between two seals
LASTING = ("over_tier", "over_tier_soon")  # codes of notices that may stand for longer than a credit epoch


def sealed(reader: Reader, names: list[str], now: datetime, doubts: Collection[str] = ()) -> dict[str, SealedForecast]:
    """Each account's newest forecast of those that may count for G6; most were sealed in the last day that may.

    ``doubts`` are those of ``names`` whose prices changed: not every forecast of theirs counts.
    """
    doubtful = sorted(doubts)
    found = pricebasis.sealed(reader, doubtful, now - SEALED_AGO) if doubtful else {}
    latest, left = now - SEALED_AGO, [name for name in names if name not in doubts]
    for earliest in (latest - SEALED_DAILY, now - SEALED_WITHIN):
        if not left:
            break
        rows = reader.find(
            SealedForecast,
            account__in=left,
            sealed_at__le=latest,
            sealed_at__gt=earliest,
            order=("account", "sealed_at"),
        )
        found |= {row.account: row for row in rows}
        latest, left = earliest, [name for name in left if name not in found]
    return found


def told(reader: Reader, names: list[str]) -> list[Notice]:
    """Notices that may count: those of each account's present epoch, and those of a tier, in order of their writing."""
    stored, state = reader.tables.of(Notice), reader.tables.of(AccountState).spec.name
    columns = ", ".join(f'n."{name}"' for name in stored.codec.names)
    sql = (
        f'SELECT {columns} FROM "{stored.spec.name}" n LEFT JOIN "{state}" s ON s.account = n.account'
        f" WHERE n.account IN ({', '.join('?' * len(names))})"
        f" AND (n.epoch = coalesce(s.epoch, 0) OR n.code IN ({', '.join('?' * len(LASTING))}))"
        " ORDER BY n.created, n.notice"
    )
    load = stored.codec.load
    return [load(row) for row in reader.connection.execute(sql, (*names, *LASTING))]


def balances(reader: Reader, names: list[str]) -> dict[str, int]:
    """What stands on each account in the ledger, in micro-units; without a posting it is missing."""
    found = ledger.balances_of(reader.connection, [f"customer:{name}" for name in names])
    return {name.removeprefix("customer:"): amount for name, amount in found.items()}


def metered(reader: Reader) -> tuple[list[MeterPoint], dict[str, str]]:
    """Every meter, and the account at which each stands."""
    table = reader.tables.of(Install).spec.name
    stands = reader.connection.execute(f'SELECT meter, account FROM "{table}" WHERE "end" IS NULL ORDER BY "start"')
    return reader.find(MeterPoint, order="meter_id"), dict(stands.fetchall())
