"""A store, rules, links and channels go in; the hourly cycle and the quick loop around it come out.

The cycle: collect -> rate -> decide -> dispatch -> notify -> publish. The quick loop sends what is queued, wakes up on
a payment, reads unknown relays back, calls crews, and never waits for the cycle. All times come from the Clock.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from control import (
    anomalies,
    assemble,
    carry,
    handheld,
    keeppower,
    lookups,
    notices,
    outagedesk,
    passes,
    reconcile,
    sealing,
    settings,
    settle,
    signals,
    tallies,
    watchfile,
)
from control import visits as visiting
from control.amounts import ChannelReport
from control.assemble import World
from control.dispatch import Dispatcher
from control.foresight import Foresight
from control.hostclock import HostClock
from control.jobs import Every
from control.lookback import LookBack
from control.outcomes import Told
from control.passes import DecideReport
from control.policy import Policy
from control.ports import Channel, Delivery
from control.settings import Settings
from control.settle import PaymentResult
from control.signals import Signal
from control.standing import Raised
from control.tallies import TallyResult
from ingest import drivers as installed
from ingest import rawpoll
from ingest.model import Driver
from ingest.poller import CycleReport, Poller
from ingest.ports import Clock, Link
from ingest.records import HandheldMessage, HandheldReply, MeterPoint, Poll
from storage import catalog, rawlog
from storage.gaps import Gaps
from storage.inbox import ReadInbox
from storage.rater import Rater, RateReport
from storage.rawlog import RawLog
from storage.records import Payment
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority
from tariff.model import Book

T = TypeVar("T")
VISITS_KEPT = 64  # visits committed together while collecting
LEAST_S = 0.5  # between two turns that nobody asked for


class Engine:
    """One per home. ``policies`` by customer class, ``books`` by name, ``links`` by gateway, ``channels`` by name."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        books: Mapping[str, Book],
        policies: Mapping[str, Policy],
        links: Mapping[str, Link],
        channels: Mapping[str, Channel],
        *,
        settings: Settings | None = None,
        drivers: Mapping[str, Driver] | None = None,
    ) -> None:
        """Nothing runs before the first call; everything that was committed before a crash is taken up again."""
        self.store, self.clock, self.links = store, clock, links
        self.books, self.policies = dict(books), dict(policies)
        self.settings = settings or Settings()
        self.inbox = ReadInbox(store)
        self.rater = Rater(store, books)
        self._drivers = drivers if drivers is not None else installed.drivers()
        self._poller = Poller(
            clock, links, (), self.inbox, Gaps(store), seen=self._seen, drivers=self._drivers, offload=self._offload
        )
        self._visits: list[tuple[Poll, str]] = []
        self.rawlog = RawLog(store)
        self._raised = Raised()
        self._foresight = Foresight(store, self._raised)
        self._outlooks = self._foresight.outlooks
        self._host = HostClock(self.settings)
        self._sender = notices.Sender(store, clock, channels, self.settings)
        self.dispatcher = Dispatcher(store, clock, links, self.world, self._tell)
        self._back = LookBack(store, self.dispatcher, lambda: self.links, lambda: self.world())
        self._wake = asyncio.Event()
        self.dispatcher.wake = self._wake.set
        self._published: datetime | None = None
        self._rating = asyncio.Lock()
        self.jobs: Mapping[str, Every] = {}

    # ---- what the parts see

    def now(self) -> datetime:
        """The time, as the store keeps it."""
        return settings.to_ms(self.clock.now())

    def world(self) -> World:
        """The world as of now, for one decision or one transaction."""
        return World(
            now=self.now(),
            clock_ok=self._host.look(self.clock.now(), self.clock.monotonic()),
            books={name: book.hash for name, book in self.books.items()},
            policies=self.policies,
            settings=self.settings,
            switchable=self._switchable,
            outlooks=self._outlooks,
        )

    def _switchable(self, point: MeterPoint) -> bool:
        driver = self._drivers.get(point.model)
        return driver is not None and driver.switchable

    def wake(self) -> None:
        """Let the quick loop look now."""
        self._wake.set()

    def use(self, books: Mapping[str, Book], policies: Mapping[str, Policy]) -> None:
        """Take other rules from the next step on."""
        self.books, self.policies = dict(books), dict(policies)
        self.rater.set_books(books)

    # ---- the cycle

    async def collect(self, now: datetime | None = None, *, whole: bool = False) -> CycleReport:
        """Poll who is due, commit reads, visits and relay evidence; ``whole`` waits for slow gateways too."""
        self._poller.links = self.links
        self._poller.points, self._accounts = await self._offload(lambda: self.store.read(lookups.metered))
        report = await self._poller.cycle(now or self.now(), whole=whole)
        await self._keep_visits()
        await self.rawlog.flush(self.now())
        return report

    _accounts: Mapping[str, str] = {}

    async def _seen(self, point: MeterPoint, poll: Poll) -> None:
        poll = replace(poll, at=settings.to_ms(poll.at))
        self._visits.append((poll, self._accounts.get(point.meter, "")))
        if self.settings.raw_days and point.model in self._drivers:
            rawpoll.keep(self.rawlog, point, poll, self._drivers[point.model])
        if len(self._visits) >= VISITS_KEPT:
            await self._keep_visits()

    async def _keep_visits(self) -> None:
        kept, self._visits = self._visits, []
        if kept:
            await self._commit(Priority.INBOX, lambda unit: visiting.keep_all(unit, kept, self.settings))

    async def rate(self) -> RateReport:
        """Turn unrated reads into money, then look ahead: hours left, and once a day the sealed forecast."""
        async with self._rating:
            now = self.now()
            report = await self._offload(lambda: self.rater.step(now))
        await self.forecast()
        await anomalies.watch(self, report.findings, self._offload)
        return report

    async def forecast(self) -> None:
        """Work out how long everybody's money lasts; the first time of each day it is sealed."""
        world = self.world()
        whole = sealing.due(self.store, world)
        cases = await self._offload(lambda: self._foresight.look(world, self.books, whole=whole))
        if whole:
            await sealing.seal(self.store, world, cases, self._outlooks)

    async def decide(self, accounts: list[str] | None = None, *, requester: str = "engine") -> DecideReport:
        """Decide on everybody (or ``accounts``) and read back the unknown; another approves what ``requester`` asks."""
        report = await passes.decide_all(self.store, self.world(), accounts, self._raised, requester=requester)
        await self._back.accounts(report.read_back)
        return report

    async def dispatch(self) -> int:
        """Send what is queued and resolve what is unknown, as far as it comes now."""
        return await self.dispatcher.run_once()

    async def notify(self) -> int:
        """Send the notices that are due."""
        return await self._sender.run_once()

    async def publish(self) -> None:
        """Seal the inbox into the lake and put a fresh catalog in its place."""
        now = self.now()

        def work() -> None:
            self.store.lake.seal(now)
            self.store.lake.compact(now)
            rawlog.expire(self.store, now, days=self.settings.raw_days, most_mib=self.settings.raw_mib)
            if self.settings.catalog:
                catalog.publish(self.store, now)

        await self._offload(work)
        self._published = now

    async def reconcile(self) -> DecideReport:
        """Look again at everybody whose supply is not simply on; call crews where a clock has run out."""
        await self._back.strays()
        suspects = await self._offload(lambda: self.store.read(reconcile.suspects))
        report = await self.decide(suspects)
        await self._commit(Priority.COMMAND, lambda unit: self._crews(unit))
        self.wake()
        return report

    def _crews(self, unit: Unit) -> None:
        world = self.world()
        reconcile.overdue(unit, world)
        reconcile.unseen(unit, world)
        reconcile.silence(unit, world)
        outagedesk.sweep(unit, world)
        keeppower.sweep(unit, world)
        watchfile.copy(unit, self.store.home, world.now)
        unit.put(Signal(signals.HEARTBEAT, "ok", world.now))

    async def cycle(self) -> DecideReport:
        """One whole hour's work, in order, to its end."""
        await self.collect(whole=True)
        await self.rate()
        report = await self.decide()
        await self.notify()
        await self.dispatch()
        await self.reconcile()
        await self.dispatch()
        await self.notify()
        if self._published is None or self.now() - self._published >= timedelta(seconds=self.settings.publish_s):
            await self.publish()
        return report

    # ---- what comes from outside

    async def pay(self, payment: Payment) -> PaymentResult:
        """Take one payment; when this returns, money, superseded disconnect and reconnect are on the disk."""

        def work(unit: Unit) -> PaymentResult:
            world = self.world()
            result = settle.settle(unit, payment, world)
            if unit.get(Signal, signals.PAYMENTS + payment.channel) is None:  # in use: to be reconciled from now on
                unit.put(Signal(signals.PAYMENTS + payment.channel, "used", world.now, "payment"))
            return result

        result = await self._commit(Priority.MONEY, work)
        self._foresight.paid(payment.account)
        self.wake()
        return result

    async def handheld(self, message: HandheldMessage) -> HandheldReply:
        """Take one handheld message; the reply comes only after its commit, with bill and balance for a confirm."""
        return await handheld.take(self, message)

    async def approve(self, command: str, by: str) -> bool:
        """One person's approval of a requested disconnection; it leaves when every guard holds."""
        found = await self._commit(Priority.COMMAND, lambda unit: passes.approve(unit, command, by, self.world()))
        if found is not None:
            await self.decide([found.account])
            self.wake()
        return found is not None

    async def cancel(self, command: str, by: str, reason: str) -> bool:
        """Stop a command that has not left."""
        return await self._commit(
            Priority.COMMAND, lambda unit: carry.cancel(unit, command, self.world(), by=by, reason=reason)
        )

    async def wrong_disconnection(self, account: str, by: str, reason: str, *, siblings: bool = False) -> list[str]:
        """Undo a wrong disconnection at emergency priority; returns the reconnect commands."""
        made = await self._commit(
            Priority.MONEY,
            lambda unit: reconcile.wrong(unit, account, self.world(), by=by, reason=reason, siblings=siblings),
        )
        self.wake()
        return made

    async def signal(self, name: str, value: str, by: str) -> None:
        """State a fact of the world: a reconciled payment channel, the override feed, the kill switch."""

        def work(unit: Unit) -> None:
            unit.put(Signal(name, value, self.now(), by))
            unit.audit(by, "signal", name, {"value": value}, self.now())

        await self._commit(Priority.COMMAND, work)

    async def reconciled(self, channel: str, by: str = "channel") -> None:
        """Somebody who compared a payment channel's list with ours vouches that nothing is missing."""
        await self._commit(Priority.COMMAND, lambda unit: tallies.assert_reconciled(unit, channel, self.world(), by=by))

    async def tally(self, report: ChannelReport) -> TallyResult:
        """Compare a payment channel's count with ours; equal counts reconcile it."""
        return await self._commit(Priority.MONEY, lambda unit: tallies.compare(unit, report, self.world()))

    async def release(self, persons: list[str], requester: str = "engine") -> bool:
        """Two persons release the breaker for today."""
        return await self._commit(Priority.COMMAND, lambda unit: passes.release(unit, persons, requester, self.world()))

    async def receipt(self, message_id: str, delivery: Delivery) -> bool:
        """A channel's peer reports what became of a message."""
        return await self._sender.receipt(message_id, delivery)

    # ---- the loop

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop``, then drain: no new disconnections, finish what is under way, commit."""
        self.jobs = jobs = {
            "cycle": Every(self.settings.cycle_s, self.cycle_work, after_s=self.settings.cycle_after_s),
            "sweep": Every(self.settings.sweep_s, self.reconcile),
            "notify": Every(self.settings.notify_s, self.notify),
            "publish": Every(self.settings.publish_s, self.publish),
        }
        stopper = asyncio.ensure_future(stop.wait())
        stopper.add_done_callback(lambda _: self._wake.set())  # so that a pause waits for one thing only
        try:
            while not stop.is_set():
                self.dispatcher.check()
                self.dispatcher.launch()
                now = self.now()
                for job in jobs.values():
                    job.turn(now)
                await self._pause(min(job.next_at(now) for job in jobs.values()))
        except BaseException:  # broken or killed: nothing more is committed, rows stay as they are
            self.dispatcher.abort()
            for job in jobs.values():
                job.abort()
            raise
        finally:
            stopper.cancel()
        await self._drain(jobs)

    async def cycle_work(self) -> None:
        """The part of the cycle that the loop does not do by itself."""
        await self.collect()
        await self.rate()
        await self.decide()
        self.wake()

    def turns(self) -> dict[str, datetime]:
        """When the last finished turn of each job was started; a job that has not finished one is missing."""
        return {name: job.ended for name, job in self.jobs.items() if job.ended is not None}

    async def _pause(self, until: datetime) -> None:
        """Until somebody wakes us, a job or a command is due, or the turn is over."""
        wait_s = (min(until, self.dispatcher.next_at) - self.now()).total_seconds()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(max(wait_s, LEAST_S), self.settings.idle_s)):
                await self._wake.wait()
        self._wake.clear()

    async def _drain(self, jobs: Mapping[str, Every]) -> None:
        self.dispatcher.draining = True
        for job in jobs.values():
            await job.cancel()
        try:
            async with asyncio.timeout(self.settings.drain_s):
                await self.dispatcher.settled()
        except TimeoutError:
            self.dispatcher.abort()
        await self._poller.close()
        await self._keep_visits()

    # ---- inside

    def _tell(self, unit: Unit, told: Told, world: World) -> None:
        """The notice that an outcome asks for, in the outcome's own transaction."""
        if told.notice:
            case = assemble.case(unit, told.command.account, world)
            if case is not None:
                notices.tell(unit, case, told.notice, told.command.command, world)

    async def _commit(self, priority: Priority, work: Callable[[Unit], T]) -> T:
        return await self.store.commit(priority, work)

    async def _offload(self, work: Callable[[], T]) -> T:
        """Run long work beside the loop; at once where time is virtual."""
        return await asyncio.to_thread(work) if self.settings.offload else work()
