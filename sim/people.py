"""People of a town: payers who act on a warning or in the dark, and a crew that carries out work orders by hand.

They see only what people see: notices that were delivered to them, their own light, orders that the engine gave out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from control import commands, fences, workorders
from control.engine import Engine
from control.records import Action, Command, CommandState, Notice, WorkOrder
from control.settle import PaymentResult
from control.signals import BREAKER, Signal
from ingest.ports import Clock
from ingest.records import RelayState
from sim.customers import mix
from sim.meters import SimMeter
from sim.town import Site, Town
from storage.codec import to_ms
from storage.records import Payment
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

LOOK_S = 600
RETRY_S = 60
ATTEMPTS = 24 * 60
REPEATS_PERCENT = 12  # a channel that delivers the same payment twice
SERVED = 100  # accounts for each crew
CREW_KINDS = ("reconnect", "relay_fault")


class Down(Exception):
    """The engine does not run at the moment: what was offered must be offered again."""


Pay = Callable[[Payment], Awaitable[PaymentResult]]


class Payers:
    """Everybody who pays; ``store`` is asked for at each look because the engine may have been restarted."""

    def __init__(
        self, town: Town, meters: Mapping[str, SimMeter], *, clock: Clock, store: Callable[[], Store | None], pay: Pay
    ) -> None:
        """``pay`` offers one payment to the engine and raises ``Down`` while that is not there."""
        self._town = town
        self._meters = meters
        self._clock = clock
        self._store = store
        self._pay = pay
        self._planned: set[str] = set()
        self._told = town.start
        self._tasks: set[asyncio.Task[None]] = set()
        self.offered = 0

    async def run(self) -> None:
        """Look every ten minutes; never ends by itself."""
        while True:
            await self._clock.sleep(LOOK_S)
            warned = self._warned()
            for site in self._town.sites:
                account = site.account.account
                dark = self._meters[site.point.meter].relay is not RelayState.CLOSED
                if account not in self._planned and (dark or (site.payer.on_warning and account in warned)):
                    self._planned.add(account)
                    task = asyncio.ensure_future(self._later(site))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    def _warned(self) -> set[str]:
        store = self._store()
        if store is None:
            return set()
        since, self._told = self._told, self._clock.now()
        return store.read(lambda reader: _told(reader, since))

    async def _later(self, site: Site) -> None:
        await self._clock.sleep(site.payer.delay_min * 60)
        self.offered += 1
        number = self.offered
        now = self._clock.now()
        payment = Payment(
            channel="wallet",
            external_id=f"sim-{self._town.seed}-{site.number}-{number}",
            account=site.account.account,
            amount_micro=site.payer.amount_micro,
            currency=site.account.currency,
            at=now,
            received=now,
        )
        times = 2 if mix(self._town.seed, number, 83) % 100 < REPEATS_PERCENT else 1
        for _ in range(times):
            await self._offer(payment)
        self._planned.discard(site.account.account)

    async def _offer(self, payment: Payment) -> None:
        for _ in range(ATTEMPTS):
            try:
                await self._pay(payment)
                return
            except Down:
                await self._clock.sleep(RETRY_S)


def _told(reader: Reader, since: datetime) -> set[str]:
    """Customers who were told of something else than their return since then."""
    table = reader.tables.of(Notice).spec.name
    sql = f"SELECT DISTINCT account FROM \"{table}\" WHERE delivered_at > ? AND recipient = 'customer' AND code <> ?"
    return {row[0] for row in reader.connection.execute(sql, (to_ms(since), "reconnected"))}


class Operator:
    """Two persons at the desk: they approve what waits, and release a breaker that an honest herd tripped."""

    def __init__(self, *, clock: Clock, engine: Callable[[], Engine | None], store: Callable[[], Store | None]) -> None:
        """Both are asked for at each look because the engine may have been restarted."""
        self._clock = clock
        self._engine = engine
        self._store = store

    async def run(self) -> None:
        """Look every ten minutes; never ends by itself."""
        while True:
            await self._clock.sleep(LOOK_S)
            store, engine = self._store(), self._engine()
            if store is None or engine is None:
                continue
            if self._tripped(store):
                await engine.release(["operator-1", "operator-2"])
            waiting = store.read(lambda r: r.find(Command, state=CommandState.REQUESTED, needs_approval=True))
            for command in waiting:
                for person in ("operator-1", "operator-2"):
                    if person not in command.approvals:
                        await engine.approve(command.command, person)

    def _tripped(self, store: Store) -> bool:
        known = store.read(lambda r: r.get(Signal, BREAKER))
        return known is not None and known.value == "open"


def local_order(unit: Unit, order: WorkOrder, now: datetime) -> bool:
    """Whether a crew may switch this meter on by hand: for a reconnect that is live or failed, in its time, on record.

    The fence is raised on the gateway's side before the hand moves, as a link raises it before bytes leave, so that no
    older order that still lies somewhere can open the relay behind the crew.
    """
    last = unit.find(Command, meter=order.meter, order="-fence", limit=1)
    if not last or last[0].action is not Action.CONNECT or now >= last[0].valid_until:
        return False  # the youngest order was to switch off: whoever sent the crew has changed their mind
    failed = last[0].state is CommandState.FAILED
    if not failed and last[0].state not in commands.LIVE:
        return False
    fence = fences.following(unit, order.meter) if failed else last[0].fence
    if fence < fences.last(unit, fences.GATEWAY + order.meter):
        return False
    fences.lift(unit, fences.GATEWAY + order.meter, fence)
    body = {"order": order.order, "command": last[0].command, "fence": str(fence)}
    unit.audit("crew", "relay.local_reconnect", order.meter, body, now)
    return True


class Crew:
    """Crews who take reconnection orders, oldest first: travel, mend the relay, switch on, close the order.

    One alone would let the second of two orders wait for more than the reconnect clock's hard limit.
    """

    def __init__(
        self, town: Town, meters: Mapping[str, SimMeter], *, clock: Clock, store: Callable[[], Store | None]
    ) -> None:
        """Travel takes 12 to 30 minutes; a crew for each ``SERVED`` accounts is on the road, two at least."""
        self._town = town
        self._meters = meters
        self._clock = clock
        self._store = store
        self._taken: set[str] = set()
        self.visits: list[tuple[datetime, str]] = []

    async def run(self) -> None:
        """Look every minute; never ends by itself."""
        await asyncio.gather(*(self._one() for _ in range(max(2, -(-len(self._town.sites) // SERVED)))))

    async def _one(self) -> None:
        """One crew's life."""
        seen: tuple[Store | None, int | None] = (None, None)
        while True:
            await self._clock.sleep(60)
            store = self._store()
            stamp = (store, store.commits if store is not None else None)
            if stamp == seen:
                continue
            seen = stamp
            for order in self._open():
                if order.order in self._taken or not self._waits(order):
                    continue
                self._taken.add(order.order)
                await self._clock.sleep(60 * (12 + mix(self._town.seed, len(self.visits), 89) % 19))
                self._mend(order)
                self._taken.discard(order.order)
                seen = (None, None)

    def _open(self) -> list[WorkOrder]:
        store = self._store()
        if store is None:
            return []
        states = list(workorders.OPEN_STATES)
        return store.read(lambda r: r.find(WorkOrder, kind__in=list(CREW_KINDS), state__in=states, order="created"))

    def _waits(self, order: WorkOrder) -> bool:
        """Whether an order is open still, and for a meter: a gateway's link comes back by itself."""
        store = self._store()
        current = store.read(lambda r: r.get(WorkOrder, order.order)) if store is not None else None
        return current is not None and current.state in workorders.OPEN_STATES and order.meter in self._meters

    def _mend(self, order: WorkOrder) -> None:
        store = self._store()
        if store is None or not self._waits(order):
            return
        now, meter = self._clock.now(), self._meters[order.meter]
        meter.faults -= {"stuck_relay", "lying_relay"}
        if meter.relay is not RelayState.CLOSED and store.write(
            Priority.COMMAND, lambda unit: local_order(unit, order, now)
        ):
            meter.switch(RelayState.CLOSED, now, "crew")
        self.visits.append((now, order.order))
        store.write(Priority.COMMAND, lambda unit: workorders.close(unit, order.order, now, by="crew"))
