"""What a reading verb asks of the home goes in; rows from one snapshot beside a running daemon come out."""

from datetime import datetime
from pathlib import Path
from typing import Any

from control import assemble, outages
from control.assemble import World
from control.records import Case, Command, WorkOrder
from prewatt import listing
from prewatt.config import Config, load
from prewatt.errors import Usage
from prewatt.home import find
from prewatt.listing import outage_row
from prewatt.rules import series_of
from prewatt.strict import suggest
from prewatt.wiring import Shell, reading, settings
from storage import asof
from storage.keptbooks import KeptBooks
from storage.records import Account, Event, Payment
from storage.unit import Reader

Row = dict[str, Any]
LAST = 10


def config_of(option: Path | None) -> Config:
    """The configuration of the home that the command line names."""
    return load(find(option).must_exist())


def world(shell: Shell) -> World:
    """What cases need beside the store, as a person looks at it now."""
    from ingest.drivers import drivers

    known = drivers()
    return World(
        now=shell.clock.now(),
        clock_ok=None,
        books={name: book.hash for name, book in shell.books.items()},
        policies=shell.policies,
        settings=settings(shell.config),
        switchable=lambda point: point.model in known and known[point.model].switchable,
    )


def account_rows(option: Path | None, *, account: str = "", klass: str = "") -> list[Row]:
    """Accounts as lists show them; Usage for one that is not there."""
    with reading(config_of(option)) as shell:
        return shell.store.read(lambda reader: rows_of(reader, shell, account=account, klass=klass))


def rows_of(reader: Reader, shell: Shell, *, account: str = "", klass: str = "") -> list[Row]:
    """The same on a snapshot at hand."""
    conditions: dict[str, Any] = {"klass": klass} if klass else {}
    if account:
        known(reader, account)
        conditions["account"] = account
    accounts = reader.find(Account, order="account", **conditions)
    cases = _cases(reader, shell, [row.account for row in accounts] if conditions else None)
    return [listing.account_row(row, cases.get(row.account), shell.policies) for row in accounts]


def _cases(reader: Reader, shell: Shell, names: list[str] | None) -> dict[str, Case]:
    return assemble.cases(reader, names, world(shell))


def known(reader: Reader, account: str) -> Account:
    """The account, or a refusal that names the nearest."""
    found = reader.get(Account, account)
    if found is None:
        names = [row.account for row in reader.find(Account, order="account", limit=5000)]
        raise Usage(f"no account {account!r}", attempt=suggest(account, names) if len(names) < 20 else "accounts list")
    return found


def balance_of(option: Path | None, account: str, at: datetime | None) -> Row:
    """What one account has left, or had at ``at`` by all that is known now."""
    with reading(config_of(option)) as shell:
        if at is None:
            (row,) = shell.store.read(lambda reader: rows_of(reader, shell, account=account))
            keys = ("account", "balance", "accrued", "available", "currency", "credit", "read")
            return {key: row.get(key) for key in keys}
        shell.store.read(lambda reader: known(reader, account))
        found = asof.balance(shell.store, KeptBooks(shell.store, shell.books, series_of(shell.config)), account, at)
    assert found is not None  # it is known
    return listing.balance_row(found)


def account_detail(option: Path | None, account: str) -> Row:
    """Everything a hotline is asked about one account."""
    with reading(config_of(option)) as shell:
        return shell.store.read(lambda reader: _detail(reader, shell, account))


def _detail(reader: Reader, shell: Shell, account: str) -> Row:
    from control.journal import live

    master = known(reader, account)
    case = _cases(reader, shell, [account]).get(account)
    row = listing.account_row(master, case, shell.policies)
    row |= {"zone": master.zone, "lang": master.lang, "phone": master.phone, "mode": master.mode}
    row["attributes"] = dict(master.attributes)
    row["holds"] = (
        [{"kind": h.kind, "start": h.start, "end": h.end, "reason": h.reason} for h in case.holds] if case else []
    )
    row["commands"] = [listing.command_row(command) for command in live(reader, account=account)]
    payments = reader.find(Payment, account=account, order="-at", limit=LAST)
    row["payments"] = [listing.payment_row(payment) for payment in payments]
    orders = reader.find(WorkOrder, account=account, state__in=["open", "assigned"], order="created")
    row["work_orders"] = [{"order": o.order, "kind": o.kind, "state": o.state, "due": o.due} for o in orders]
    now = shell.clock.now()
    row["outages"] = [outage_row(one, now) for one in outages.of_account(reader, account, now)]
    events = reader.find(Event, account=account, order="-seq", limit=LAST)
    row["events"] = [{"at": e.at, "code": e.code, **e.params} for e in events]
    return row


def command_rows(option: Path | None, *, command: str = "", account: str = "", everything: bool = False) -> list[Row]:
    """Commands, the live ones unless ``everything`` is asked for; one with its journal."""
    from control.journal import LIVE_STATES

    conditions: dict[str, Any] = {"account": account} if account else {}
    if command:
        conditions = {"command": command}
    elif not everything:
        conditions["state__in"] = LIVE_STATES
    with reading(config_of(option)) as shell:
        found = shell.store.read(lambda reader: reader.find(Command, order=("requested", "command"), **conditions))
    if command and not found:
        raise Usage(f"no command {command!r}", attempt="prewatt commands list --all")
    return [listing.command_row(row) for row in found]


def command_journal(option: Path | None, command: str) -> list[Row]:
    """The steps of one command's life."""
    from control.records import CommandEvent

    with reading(config_of(option)) as shell:
        steps = shell.store.read(lambda reader: reader.find(CommandEvent, command=command, order="seq"))
    return [{"at": s.at, "event": s.event, "before": s.before, "after": s.after, "detail": s.detail} for s in steps]


def payment_rows(option: Path | None, *, status: str = "", account: str = "", limit: int = 100) -> list[Row]:
    """The newest payments."""
    given = {"status": status, "account": account}
    conditions: dict[str, Any] = {key: value for key, value in given.items() if value}
    with reading(config_of(option)) as shell:
        found = shell.store.read(lambda reader: reader.find(Payment, order="-received", limit=limit, **conditions))
    return [listing.payment_row(payment) for payment in found]
