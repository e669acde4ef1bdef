"""The name of a list page goes in, its newest rows as cells come out: commands, orders, outages, payments, notices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from control.fieldbook import Outage
from control.records import Command, Notice, WorkOrder
from prewatt.console.board import frame, snapshot
from prewatt.console.source import Source
from prewatt.console.views import Frame
from storage.records import Account, Payment
from storage.unit import Reader

ROWS = 200


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: an account, a time, money, a rung, or text; ``more`` is a name, a currency or the section of a code."""

    kind: str
    value: Any
    more: str = ""


Row = tuple[Cell, ...]
Names = Mapping[str, Account]


def _account(names: Names, account: str) -> Cell:
    return Cell("account", account, names[account].name if account in names else "")


def _code(section: str, value: str) -> Cell:
    return Cell("text", value, section)


def _command(names: Names, row: Command) -> Row:
    by = ", ".join(row.approvals) or row.requester
    return (
        Cell("time", row.requested),
        _account(names, row.account),
        _code("action", row.action.value),
        _code("command_state", row.state.value),
        _code("reason", row.reason),
        Cell("text", by),
        Cell("text", row.attempts),
        Cell("time", row.verified_at),
    )


def _order(names: Names, row: WorkOrder) -> Row:
    return (
        Cell("time", row.created),
        _account(names, row.account),
        Cell("text", row.meter),
        _code("work_order", row.kind),
        _code("order_state", row.state),
        Cell("time", row.due),
        Cell("text", row.owner or "—"),
        _code("reason", row.detail),
    )


def _outage(names: Names, row: Outage) -> Row:
    del names
    return (
        Cell("time", row.start),
        _code("outage_cause", row.cause),
        Cell("text", row.meter or row.transformer or row.feeder or "—"),
        _code("outage_state", row.state),
        Cell("time", row.ended or row.expected_end),
        Cell("text", row.by),
        Cell("text", row.work),
    )


def _payment(names: Names, row: Payment) -> Row:
    return (
        Cell("time", row.received),
        _account(names, row.account),
        Cell("money", row.amount_micro, row.currency),
        Cell("text", row.channel),
        Cell("text", row.external_id),
        _code("payment_state", row.status),
        _code("reason", row.reason),
    )


def _notice(names: Names, row: Notice) -> Row:
    return (
        Cell("time", row.created),
        _account(names, row.account),
        Cell("rung", row.rung),
        _code("recipient", row.recipient),
        Cell("text", row.channel),
        _code("notice_state", row.state),
        Cell("text", row.text),
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """One list page: its record, its order, its columns and how a row is made."""

    record: type
    order: str
    columns: tuple[str, ...]
    row: Callable[[Names, Any], Row]


LISTS: Mapping[str, Listing] = {
    "commands": Listing(
        Command,
        "-requested",
        ("time", "account", "action", "status", "reason", "by", "attempts", "verified"),
        _command,
    ),
    "orders": Listing(
        WorkOrder, "-created", ("time", "account", "meter", "kind", "status", "due", "owner", "detail"), _order
    ),
    "outages": Listing(Outage, "-start", ("time", "kind", "place", "status", "until", "owner", "detail"), _outage),
    "payments": Listing(
        Payment, "-received", ("time", "account", "amount", "channel", "reference", "status", "detail"), _payment
    ),
    "notices": Listing(
        Notice, "-created", ("time", "account", "rung", "recipient", "channel", "status", "text"), _notice
    ),
}


def rows(source: Source, name: str) -> tuple[Frame, tuple[Row, ...]]:
    """The newest rows of one list."""
    listing = LISTS[name]

    def look(reader: Reader) -> tuple[Row, ...]:
        names = {account.account: account for account in reader.find(Account)}
        found: list[Any] = reader.find(listing.record, order=listing.order, limit=ROWS)
        return tuple(listing.row(names, row) for row in found)

    return frame(source, snapshot(source, [])), source.store.read(look)
