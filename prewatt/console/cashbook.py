"""The store goes in, the payments page comes out: what fits no account, channels and their counts, days, the newest.

A channel that is not reconciled in its time is a moratorium (guard G3): while one is, nobody is cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from control import assemble, signals, tallies
from control.assemble import World
from control.signals import Signal, Tally
from prewatt.console.board import frame, snapshot
from prewatt.console.lists import LISTS, ROWS, Row
from prewatt.console.source import Source
from prewatt.console.usage import hour_floor
from prewatt.console.viewer import MESSAGE_LIMIT, Console
from prewatt.console.views import Frame
from storage.records import Account, Payment
from storage.unit import Reader

INBOX = ("unmatched", "failed", "pending")
DAYS = 14
MOST_OF_A_DAY = 20_000  # payments of the bars' days that are added up


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """One payment channel: when it was last reconciled, whether that still counts, and its last count beside ours."""

    channel: str
    live: bool
    fresh: bool
    at: datetime | None
    tally: Tally | None


@dataclass(frozen=True, slots=True)
class DayBar:
    """What one channel brought on one day (UTC): payments, micro-units by currency, its share of the longest bar."""

    day: datetime
    channel: str
    currency: str
    count: int
    amount_micro: int
    percent: int


@dataclass(frozen=True, slots=True)
class Cashbook:
    """The whole page; ``newest`` are cells with the payment that they are of."""

    frame: Frame
    inbox: tuple[Payment, ...]
    channels: tuple[ChannelLine, ...]
    days: tuple[DayBar, ...]
    newest: tuple[tuple[Row, Payment], ...]

    @property
    def moratorium(self) -> bool:
        """Whether some channel holds every disconnection back."""
        return any(not line.fresh for line in self.channels)


async def page(console: Console, request: Request) -> Response:
    """The payments page."""
    book = await console.watch.once(("payments",), lambda: cashbook(console.source))
    columns = LISTS["payments"].columns
    message = request.query_params.get("message", "")[:MESSAGE_LIMIT]
    return console.draw(
        request, "payments.html", book.frame, "payments", b=book, columns=columns, message=message, most=ROWS
    )


def cashbook(source: Source) -> Cashbook:
    """Read the page from one snapshot."""
    world = source.world()
    return source.store.read(lambda reader: _look(reader, source, world))


def _look(reader: Reader, source: Source, world: World) -> Cashbook:
    listing = LISTS["payments"]
    newest = reader.find(Payment, order=listing.order, limit=ROWS)
    names = {row.account for row in newest}
    accounts = {row.account: row for row in reader.find(Account, account__in=sorted(names))}
    return Cashbook(
        frame=frame(source, snapshot(source, [])),
        inbox=tuple(reader.find(Payment, status__in=list(INBOX), order="-received", limit=ROWS)),
        channels=tuple(_channels(reader, world)),
        days=_days(reader, world.now),
        newest=tuple((listing.row(accounts, row), row) for row in newest),
    )


def _channels(reader: Reader, world: World) -> list[ChannelLine]:
    """Channels that guard G3 asks for, each judged by that guard's own rule."""
    facts = {row.name: row for row in reader.find(Signal)}
    wanted = dict(world.settings.payment_channels)
    wanted |= {name: live for name, live in world.settings.used_channels.items() if signals.PAYMENTS + name in facts}
    return [_channel(reader, facts, world, name, live) for name, live in sorted(wanted.items())]


def _channel(reader: Reader, facts: Mapping[str, Signal], world: World, name: str, live: bool) -> ChannelLine:
    alone = replace(world.settings, payment_channels={name: live}, used_channels={})
    fact = facts.get(signals.PAYMENTS + name)
    newest = reader.find(Tally, channel=name, order="-seq", limit=1)
    at = fact.at if fact is not None and fact.value == "ok" else None
    if at is None and (agreed := tallies.last_agreed(reader, name)) is not None:
        at = agreed.until
    fresh = assemble.reconciled(facts, alone, world.now) is True
    return ChannelLine(name, live, fresh, at, newest[0] if newest else None)


def _days(reader: Reader, now: datetime) -> tuple[DayBar, ...]:
    """Posted money of the last two weeks by day, channel and currency, the newest day first."""
    today = hour_floor(now).replace(hour=0)
    since = today - timedelta(days=DAYS - 1)
    rows = reader.find(Payment, at__ge=since, status="posted", order="-at", limit=MOST_OF_A_DAY)
    sums: dict[tuple[datetime, str, str], list[int]] = {}
    for row in rows:
        day = row.at.replace(hour=0, minute=0, second=0, microsecond=0)
        found = sums.setdefault((day, row.channel, row.currency), [0, 0])
        found[0] += 1
        found[1] += row.amount_micro
    return _bars(sums)


def _bars(sums: Mapping[tuple[datetime, str, str], Sequence[int]]) -> tuple[DayBar, ...]:
    tops: dict[str, int] = {}
    for (_, _, currency), (_, micro) in sums.items():
        tops[currency] = max(tops.get(currency, 1), micro)
    ordered = sorted(sums.items(), key=lambda item: (-item[0][0].timestamp(), item[0][1:]))
    return tuple(
        DayBar(day, channel, currency, count, micro, 100 * micro // tops[currency])
        for (day, channel, currency), (count, micro) in ordered
    )
