"""What is due to be told goes in, notice rows come out in the decision's own transaction; sending is a second step.

The rows are the outbox: once per account, epoch, rung and recipient, whatever crashes or is repeated. A message may
leave twice after a crash (its id is the same), it is never lost. Delivery receipts are stored: they guard the cut.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from control import alerts, settings, text
from control.alerts import AlertDue
from control.assemble import World
from control.canonical import content_id
from control.ports import Channel, ChannelError, Delivery
from control.records import Case, Hold, Notice
from control.settings import Settings
from control.shadow import CHANNEL, STATE
from ingest.ports import Clock
from storage.records import Account, AccountState
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

LADDER = frozenset({"warning", "over_tier", "over_tier_soon", "stop", "final"})
"""Codes that a payment makes void: they are not sent once their epoch is over."""
ALARM, ALL_CLEAR = "alarm", "all_clear"
"""The channel that is the meter's own alarm, and the code that turns it off."""
KEEP, KEEP_OFF = "keep_power", "keep_power_off"
VOID = frozenset({"epoch_over", "too_old", "outdated"})
"""Why a notice is not sent at all: over no other channel either."""
RETRY_FIRST_S, RETRY_LIMIT_S = 30, 3600
RECEIPT_EVERY_S = 60


def queue(unit: Unit, case: Case, dues: Sequence[AlertDue], world: World) -> list[Notice]:
    """Write the notices of ``dues`` that were never written in this epoch; those without an address fail visibly."""
    made = []
    for due in dues:
        found = _write(unit, case.account, case.epoch, due, world, shadow=bool(case.shadow))
        if found is not None:
            made.append(found)
    return made


def tell(unit: Unit, case: Case, code: str, cause: str, world: World) -> Notice | None:
    """Write one notice to the customer about ``cause`` (a command, a payment), once."""
    params = alerts.params(case, world.policies[case.klass], code)
    due = AlertDue(f"{code}.{cause}", "customer", code, params)
    return _write(unit, case.account, case.epoch, due, world)


def all_clear(unit: Unit, case: Case, world: World) -> Notice | None:
    """Money came and a new epoch begins after ``case``: the meter's own alarm goes off, if this epoch set it off."""
    told = unit.find(Notice, account=case.account, epoch=case.epoch, recipient="meter", channel=ALARM)
    if not any(row.code in LADDER for row in told):
        return None
    params = alerts.params(case, world.policies[case.klass], ALL_CLEAR)
    return _write(unit, case.account, case.epoch + 1, AlertDue(ALL_CLEAR, "meter", ALL_CLEAR, params), world)


def announce(unit: Unit, account: str, due: AlertDue, world: World) -> Notice | None:
    """Write one notice that has nothing to do with credit (an outage), once in all epochs."""
    return _write(unit, account, 0, due, world)


def _write(unit: Unit, account: str, epoch: int, due: AlertDue, world: World, *, shadow: bool = False) -> Notice | None:
    key = content_id("ns" if shadow else "n", account, epoch, due.rung, due.recipient)
    holder = unit.get(Account, account)
    if holder is None or unit.get(Notice, key) is not None:
        return None
    channel = world.settings.routes.get(due.recipient, "")
    address = address_of(holder, due.recipient, channel)
    if (not address or not channel) and due.recipient != "customer":
        return None
    made = Notice(
        notice=key,
        account=account,
        epoch=epoch,
        rung=due.rung,
        recipient=due.recipient,
        channel=channel,
        address=address,
        lang=holder.lang,
        code=due.code,
        params=dict(due.params),
        created=world.now,
        not_before=due.not_before,
        next_at=due.not_before,
        state="queued" if address and channel else "failed",
        text=text.render(due.code, due.params, holder.lang),
        error="" if address else "no_address",
    )
    if shadow:  # on record for decisions in shadow; no channel ever sees it
        made = replace(made, channel=CHANNEL, state=STATE, next_at=None, delivered_at=world.now, error="")
    unit.put(made)
    unit.event("notice", world.now, account, notice=key, rung=due.rung, recipient=due.recipient, says=due.code)
    return made


def address_of(account: Account, recipient: str, channel: str) -> str:
    """Where to reach a recipient over a channel: mail over smtp, else a phone; a meter's display or alarm."""
    if recipient == "customer":
        return account.email if channel == "smtp" else account.phone
    if recipient == "collector":
        return account.collector
    if recipient == "meter":
        return account.account if channel == ALARM else account.attributes.get("display", "")
    return account.attributes.get(recipient, "")


class Sender:
    """Carries queued notices through their channels and asks for receipts."""

    def __init__(self, store: Store, clock: Clock, channels: Mapping[str, Channel], limits: Settings) -> None:
        """``channels`` by the names that routes use."""
        self._store = store
        self._clock = clock
        self._channels = channels
        self._limits = limits
        self._quiet: tuple[int | None, datetime, datetime] = (None, datetime.min, datetime.min)  # then none is due

    async def run_once(self) -> int:
        """Send what is due and ask for receipts that are out; how many notices were touched.

        Where nothing was due and nothing has been committed since, nothing is read before the next one's time.
        """
        now, stamp = settings.to_ms(self._clock.now()), self._store.commits
        known, since, until = self._quiet
        if stamp is not None and stamp == known and since <= now < until:
            return 0
        queued, sent, soonest = self._store.read(
            lambda reader: (self._due(reader, "queued", now), self._due(reader, "sent", now), _soonest(reader))
        )
        self._quiet = (None if queued or sent else stamp, now, soonest)
        turn = asyncio.Semaphore(self._limits.notice_concurrency)

        by_account: dict[str, list[Notice]] = {}
        for row in sorted((*queued, *sent), key=lambda row: (row.created, row.notice)):
            by_account.setdefault(row.account, []).append(row)

        async def one(rows: list[Notice]) -> None:
            """One customer's messages leave in the order in which they were written."""
            async with turn:
                for row in rows:
                    await (self._send(row) if row.state == "queued" else self._ask(row))

        await asyncio.gather(*[one(rows) for rows in by_account.values()])
        return len(queued) + len(sent)

    def _due(self, reader: Reader, state: str, now: datetime) -> list[Notice]:
        """Notices in ``state`` whose time has come, oldest first."""
        most = self._limits.notice_batch
        fresh = reader.find(Notice, state=state, next_at__null=True, order="created", limit=most)
        again = reader.find(Notice, state=state, next_at__le=now, order="next_at", limit=most)
        return [row for row in (*fresh, *again) if row.not_before is None or row.not_before <= now][:most]

    async def receipt(self, message_id: str, delivery: Delivery) -> bool:
        """Take a receipt that a channel's peer reported by itself; False when nobody waits for it."""
        rows = self._store.read(lambda reader: reader.find(Notice, message_id=message_id, state="sent"))
        for row in rows:
            await self._commit(partial(self._delivered, row=row, delivery=delivery))
        return bool(rows)

    async def _send(self, row: Notice) -> None:
        now = settings.to_ms(self._clock.now())
        stale = self._store.read(lambda reader: self._stale(reader, row, now))
        channel = self._channels.get(row.channel)
        if stale or channel is None:
            await self._commit(partial(self._failed, row=row, reason=stale or "no_channel", permanent=True))
            return
        try:
            async with asyncio.timeout(self._limits.notice_s):
                message_id = await channel.send(row, now)
                delivery = await channel.receipt(message_id, now)
        except ChannelError as error:
            await self._commit(partial(self._failed, row=row, reason=error.reason, permanent=error.permanent))
            return
        except Exception as error:
            reason = f"channel_{type(error).__name__}"
            await self._commit(partial(self._failed, row=row, reason=reason, permanent=False))
            return
        again = now + timedelta(seconds=RECEIPT_EVERY_S)
        left = replace(row, state="sent", message_id=message_id, sent_at=now, next_at=again, error="")
        left = replace(left, attempts=row.attempts + 1)
        await self._commit(partial(self._left, row=left, delivery=delivery))

    async def _ask(self, row: Notice) -> None:
        now = settings.to_ms(self._clock.now())
        channel = self._channels.get(row.channel)
        if channel is None:
            return
        try:
            async with asyncio.timeout(self._limits.notice_s):
                delivery = await channel.receipt(row.message_id, now)
        except Exception:
            delivery = Delivery("pending")
        await self._commit(partial(self._delivered, row=row, delivery=delivery))

    async def _commit(self, work: Callable[[Unit], None]) -> None:
        await self._store.commit(Priority.COMMAND, work)

    def _left(self, unit: Unit, row: Notice, delivery: Delivery) -> None:
        unit.put(row)
        self._delivered(unit, row, delivery)

    def _delivered(self, unit: Unit, row: Notice, delivery: Delivery) -> None:
        """Store what the receipt says; one that stays out is asked for ever more rarely, then given up."""
        now = settings.to_ms(self._clock.now())
        if delivery.state == "delivered":
            unit.put(replace(row, state="delivered", delivered_at=delivery.at or now, next_at=None, error=""))
        elif delivery.state == "failed":
            self._failed(unit, row, reason="not_delivered", permanent=True)
        elif row.sent_at is not None and now - row.sent_at > timedelta(seconds=self._limits.notice_age_s):
            unit.put(replace(row, state="failed", next_at=None, error="no_receipt"))
        elif row.sent_at is not None:
            pause = max(RECEIPT_EVERY_S, int((now - row.sent_at).total_seconds()) // 2)
            unit.put(replace(row, next_at=now + timedelta(seconds=min(pause, RETRY_LIMIT_S))))

    def _failed(self, unit: Unit, row: Notice, *, reason: str, permanent: bool) -> None:
        """Try again later, over the fallback channel, or give up where a person can see it."""
        now = settings.to_ms(self._clock.now())
        tries = row.attempts + 1
        other = self._limits.fallback.get(row.channel, "")
        over = permanent or tries >= self._limits.notice_tries
        if not over:
            pause = min(RETRY_FIRST_S * 2 ** (tries - 1), RETRY_LIMIT_S)
            again = now + timedelta(seconds=pause)
            unit.put(replace(row, state="queued", attempts=tries, next_at=again, error=reason))
            return
        holder = unit.get(Account, row.account)
        address = address_of(holder, row.recipient, other) if holder and other else ""
        if address and reason not in VOID:
            unit.put(
                replace(row, state="queued", channel=other, address=address, attempts=0, next_at=None, error=reason)
            )
            return
        unit.put(replace(row, state="failed", attempts=tries, next_at=None, error=reason))
        unit.event("notice_failed", now, row.account, notice=row.notice, rung=row.rung, reason=reason)

    def _stale(self, reader: Reader, row: Notice, now: datetime) -> str:
        """Why a notice should not be sent any more, "" = it should."""
        state = reader.get(AccountState, row.account)
        if row.code in LADDER and state is not None and state.epoch != row.epoch:
            return "epoch_over"
        if outdated(reader, row, now):
            return "outdated"
        return "too_old" if now - row.created > timedelta(seconds=self._limits.notice_age_s) else ""


def protected(reader: Reader, account: str, now: datetime) -> bool:
    """Whether a hold that protects the account is in force."""
    holds = reader.find(Hold, account=account, kind__in=list(alerts.MAKES_FIELD_ORDER))
    return any(row.start <= now and (row.end is None or row.end > now) for row in holds)


def outdated(reader: Reader, row: Notice, now: datetime) -> bool:
    """Whether an order to a meter was overtaken while it waited: a later one that arrived must stand."""
    if row.code in (KEEP, KEEP_OFF):
        return protected(reader, row.account, now) != (row.code == KEEP)
    if row.code != ALL_CLEAR:
        return False
    told = reader.find(Notice, account=row.account, epoch=row.epoch, recipient=row.recipient, channel=row.channel)
    return any(other.code in LADDER for other in told)


def _soonest(reader: Reader) -> datetime:
    """A time before which no notice that waits now can be due."""
    waiting = ["queued", "sent"]
    timed = reader.find(Notice, state__in=waiting, next_at__null=False, order="next_at", limit=1)
    later = reader.find(Notice, state__in=waiting, next_at__null=True, order="not_before", limit=1)
    times = [row.next_at for row in timed] + [row.not_before for row in later]
    return min((at or datetime.min for at in times), default=datetime.max)
