"""A reconnection that is about to leave goes in; why cold-load pickup keeps it back for some minutes comes out.

After an outage everything behind a transformer draws at once. ``control/breaker.py`` says how many may come back; here
their accounts' attributes are read: ``transformer`` (its name), ``transformer_w`` (its rating) and ``pickup_w`` (what
the account draws at first). Who waits keeps its reconnect clock, and the order that calls a crew names pacing.
"""

from datetime import timedelta

from control import breaker, journal
from control.assemble import World
from control.breaker import Return
from control.records import Action, Command, CommandState
from control.settings import CONNECT_REASON_WRONG
from storage.records import Account
from storage.unit import Reader

WINDOW = timedelta(minutes=5)
WORD = "pacing"


def held_back(reader: Reader, command: Command, world: World) -> str:
    """Why ``command`` must wait, "" = it may leave. What has left once waits for nobody any more."""
    account = reader.get(Account, command.account)
    name = account.attributes.get("transformer", "") if account else ""
    rating = _watts(account, "transformer_w")
    if not name or not rating or command.attempts:
        return ""
    started = [
        row
        for row in reader.find(Command, action=Action.CONNECT, sent_at__gt=world.now - WINDOW)
        if row.command != command.command and _behind(reader, row, name)
    ]
    waiting = [
        row
        for row in journal.live(reader, action=Action.CONNECT, state=CommandState.QUEUED)
        if not row.attempts and (row.command == command.command or _behind(reader, row, name))
    ]
    going = breaker.pace(
        [_return(reader, row, world) for row in waiting],
        rating,
        started=len(started),
        started_w=sum(_load(reader, row, world) for row in started),
    )
    if command.command in going:
        return ""
    return f"{WORD}: {len(started)} came back behind transformer {name} within five minutes"


def _return(reader: Reader, row: Command, world: World) -> Return:
    since = row.clock_started or row.requested
    return Return(row.command, since, _load(reader, row, world), row.reason == CONNECT_REASON_WRONG)


def _behind(reader: Reader, row: Command, name: str) -> bool:
    account = reader.get(Account, row.account)
    return account is not None and account.attributes.get("transformer") == name


def _load(reader: Reader, row: Command, world: World) -> int:
    return _watts(reader.get(Account, row.account), "pickup_w") or world.settings.pickup_w


def _watts(account: Account | None, name: str) -> int:
    text = account.attributes.get(name, "") if account else ""
    return int(text) if text.isascii() and text.isdigit() else 0
