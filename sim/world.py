"""One town on virtual time: the real engine, links and store on a virtual network, with people, faults and crashes.

Only the clock and the transport are swapped. Everything that decides is the product's own: ``THROUGH`` lists the
functions of the control layer that a run must pass through, and a test asserts that it does.
"""

import asyncio
import contextvars
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from control import cuts, windows
from control.engine import Engine
from control.fences import Fences
from control.policy import Policy, template
from control.ports import Channel
from control.records import Hold
from control.settings import Settings
from control.settle import PaymentResult
from control.tables import TABLES
from control.violations import Violation
from ingest.records import RelayState
from sim import faults as faulty
from sim import wiring
from sim.auditor import Auditor
from sim.customers import mix
from sim.faults import FaultPlan
from sim.field import devices, displays, metals
from sim.loop import DeviceClock, VirtualClock, VirtualLoop
from sim.meters import SimMeter
from sim.network import NetworkFaults, SimNetwork
from sim.observer import Observer
from sim.people import Crew, Down, Operator, Payers
from sim.sms import SimSms
from sim.town import Town
from storage.inbox import ReadInbox
from storage.records import Account, AccountState, Payment, TableSpec
from storage.store import Store
from storage.unit import Reader
from storage.writer import Priority
from tariff import book as books

OWNER: contextvars.ContextVar[str] = contextvars.ContextVar("owner", default="world")
IDLE_S, NOTIFY_S, PUBLISH_S = 120.0, 60.0, 5 * 86_400
RESTART_S = 45
STEP_S, STEP_AFTER_H = 600, 5
CHANNEL = "wallet"
RECONCILE_S = SWEEP_S = 600
THROUGH = (
    "control.settle.settle",
    "control.decide.decide",
    "control.guards.evaluate",
    "control.commands.step",
    "control.sending.send",
    "control.evidence.seen",
    "control.notices.queue",
    "control.reconcile.overdue",
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: the policies' template, the transport, the engine, and whether crews go where they are called.

    ``transport``: "wire" carries bytes between the real links and device servers, "direct" answers at the links' own
    port (``sim.direct``), for towns of thousands. ``tables`` are those that another engine needs beside the product's.
    ``warm_up_days`` pass without faults before the counted ones: a sealed forecast needs three of them to allow a cut.
    """

    template: str = "minigrid"
    transport: str = "wire"
    engine: type[Engine] = Engine
    crews: bool = True
    tables: tuple[TableSpec, ...] = ()
    warm_up_days: int = 4


CAST = Cast()


class World:
    """The town, its devices and people, and the engine that is booted, crashed and booted again."""

    def __init__(self, town: Town, plan: FaultPlan, cast: Cast = CAST, *, home: Path | None = None) -> None:
        """Everything random comes from the town's seed; ``home`` is a temporary folder unless given."""
        self.town, self.plan, self.cast = town, plan, cast
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, town.start)
        self.home = home or Path(tempfile.mkdtemp(prefix="prewatt-sim-"))
        self._own_home = home is None
        self.meters: dict[str, SimMeter] = metals(town)
        self.network = SimNetwork(self.loop, random.Random(town.seed), NetworkFaults())
        self.devices = devices(town, self.meters, DeviceClock(self.clock))
        for gateway in town.gateways:
            if gateway.name in self.devices:
                self.network.devices[gateway.host, gateway.port] = self.devices[gateway.name]
        self.policies: dict[str, Policy] = dict(template(cast.template))
        self.books = {
            name: books.load(books.shipped_text(name), name) for name in books.shipped() if "dynamic" not in name
        }
        self.channel: Channel = SimSms()
        self.store: Store | None = None
        self.engine: Engine | None = None
        self.counts: Counter[str] = Counter()
        self.faults_on = False
        self.drives = 0
        self._accounts = {site.account.account: site.account for site in town.sites}
        accounts = {site.point.meter: site.account.account for site in town.sites}
        self.observer = Observer(self.meters, accounts)
        self.auditor = Auditor(town, self.meters, self.policies)
        self.never_cut: list[Violation] = []
        self._ready: dict[str, datetime] = {}
        self._tasks: dict[str, set[asyncio.Task[Any]]] = {"world": set(), "engine": set()}
        self._running: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self.loop.set_task_factory(self._factory)  # type: ignore[arg-type]

    def _factory(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **more: Any
    ) -> asyncio.Task[Any]:
        """Remember whose task it is, so that a crash takes the engine's and no other."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **more)
        mine = self._tasks[OWNER.get()]
        mine.add(task)
        task.add_done_callback(mine.discard)
        return task

    # ---- the engine's life

    def boot(self) -> None:
        """Open the store and start the engine, as a daemon would."""
        self.store = Store.open(
            self.home, (*TABLES, *self.cast.tables), clock=self.clock, writer="inline", durable=False
        )
        settings = Settings(
            offload=False, idle_s=IDLE_S, notify_s=NOTIFY_S, publish_s=PUBLISH_S, catalog=False, sweep_s=SWEEP_S,
            payment_channels={CHANNEL: True},
        )  # fmt: skip
        links = wiring.links(
            self.town, self.cast.transport, self.network,
            meters=self.meters, fences=Fences(self.store), clock=self.clock,
        )  # fmt: skip
        self.engine = self.cast.engine(
            self.store, self.clock, self.books, self.policies, links, {"file": self.channel}, settings=settings
        )
        self._stop = asyncio.Event()
        self._running = self._as_engine(self._run(self.engine, self._stop))

    def _as_engine(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        token = OWNER.set("engine")
        try:
            return self.loop.create_task(work)
        finally:
            OWNER.reset(token)

    async def _run(self, engine: Engine, stop: asyncio.Event) -> None:
        await engine.run(stop)

    async def crash(self) -> None:
        """The process dies between two commits: no drain, no goodbye; what was not committed is gone."""
        store, self.store, self.engine = self.store, None, None
        self.counts["crash"] += 1
        if store is not None:
            store.close()
        dying = list(self._tasks["engine"])
        for task in dying:
            task.cancel()
        await asyncio.gather(*dying, return_exceptions=True)

    async def shut(self) -> None:
        """Stop in order: drain, close."""
        self._stop.set()
        running = [task for task in self._tasks["engine"] if not task.done()]
        done, _ = await asyncio.wait(running, timeout=600) if running else (set(), set())
        for task in done:
            if not task.cancelled() and task.exception() is not None:
                raise task.exception() or RuntimeError("engine failed")

    def failure(self) -> BaseException | None:
        """What broke the running engine, if anything did."""
        task = self._running
        if task is None or not task.done() or task.cancelled() or self.engine is None:
            return None
        return task.exception()

    def close(self) -> None:
        """Give everything back."""
        if self.store is not None:
            self.store.close()
        if self._own_home:
            shutil.rmtree(self.home, ignore_errors=True)

    # ---- before the first hour

    async def found(self) -> None:
        """Write master data, what each display said when it was hung, and take everybody's opening payment."""
        store = self._open()

        def rows(unit: Any) -> None:
            for site in self.town.sites:
                unit.add(site.account)
                unit.add(site.point)
                unit.add(site.install)
                if site.protected:
                    owner = "municipal list of important users"
                    unit.add(
                        Hold(f"h-{site.account.account}", site.account.account, "protected", owner, self.town.start)
                    )

        store.write(Priority.BATCH, rows)
        await ReadInbox(store).accept("hung", "1", displays(self.town, self.meters), self.town.start)
        for site in self.town.sites:
            await self.pay(self._opening(site.account, site.opening_micro))

    def _opening(self, account: Account, amount_micro: int) -> Payment:
        now = self.clock.now()
        return Payment(
            "counter", f"opening-{account.account}", account.account, amount_micro, account.currency, now, now
        )

    # ---- what people and the observer use

    def _open(self) -> Store:
        if self.store is None:
            raise Down
        return self.store

    async def pay(self, payment: Payment) -> PaymentResult:
        """Offer a payment to the engine; ``Down`` while it does not run."""
        if self.engine is None:
            raise Down
        result = await self.engine.pay(payment)
        self.counts[f"payment_{result.status}"] += 1
        account = self._accounts[payment.account]
        if result.status == "posted":
            self.auditor.took(payment.account, payment.external_id, payment.amount_micro)
        if (
            result.status == "posted"
            and result.available_micro >= self.policies[account.klass].connection_balance_micro
        ):
            self.observer.paid(payment.account, self.clock.true_now())
        return result

    def below(self) -> dict[str, bool]:
        """Which accounts are below their disconnection balance by what is committed; empty while the engine is down."""
        if self.store is None:
            return {}

        def look(reader: Any) -> dict[str, bool]:
            table = reader.tables.of(AccountState).spec.name
            owed = dict(reader.connection.execute(f'SELECT account, accrued_micro FROM "{table}"'))
            balances = reader.balances("customer:")
            found = {}
            for site in self.town.sites:
                name = site.account.account
                line = self.policies[site.account.klass].disconnection_balance_micro
                found[name] = balances.get(f"customer:{name}", 0) - owed.get(name, 0) < line
            return found

        return self.store.read(look)

    def is_below(self, account: str) -> bool:
        """``below`` of one account."""
        if self.store is None:
            return False
        line = self.policies[self._accounts[account].klass].disconnection_balance_micro

        def look(reader: Reader) -> bool:
            state = reader.get(AccountState, account) or AccountState(account)
            return reader.balance(f"customer:{account}") - state.accrued_micro < line

        return self.store.read(look)

    # ---- the world's own tasks

    def start(self) -> None:
        """Start people, the observer and the relay faults; network faults and crashes follow ``faults_on``."""
        payers = Payers(self.town, self.meters, clock=self.clock, store=lambda: self.store, pay=self.pay)
        crew = Crew(self.town, self.meters, clock=self.clock, store=lambda: self.store)
        operator = Operator(clock=self.clock, engine=lambda: self.engine, store=lambda: self.store)
        for work in (payers.run(), operator.run(), self._reconciles(), self._hours()):
            self.loop.create_task(work)
        if self.cast.crews:
            self.loop.create_task(crew.run())
        for number, gateway in enumerate(self.town.gateways):
            self.loop.create_task(self._outages(number, gateway.host))
        self.loop.create_task(self._crashes())
        for meter, metal in self.meters.items():
            metal.jams = self._jams
            metal.changed = partial(self.observer.look_at, meter, self.is_below)

    def set_faults(self, on: bool) -> None:
        """Switch every fault on or off."""
        self.faults_on = on
        wire, plan = self.network.faults, self.plan
        if on and plan.clock_step:
            self.loop.create_task(self._clock_step())
        wire.lost_request = plan.lost_request if on else 0.0
        wire.lost_answer = plan.lost_answer if on else 0.0
        wire.duplicate = plan.duplicate if on else 0.0
        wire.late = plan.late if on else 0.0
        if not on:
            self.clock.step_s = 0
            for host in sorted(wire.down):
                self.network.set_down(host, False)

    def _jams(self, state: RelayState) -> bool:
        """Whether this drive jams the relay; counts every drive of the town."""
        del state
        self.drives += 1
        if not self.faults_on or not faulty.stuck_at(self.town.seed, self.drives, self.plan.stuck_relay):
            return False
        self.counts["stuck_relay"] += 1
        return True

    async def _reconciles(self) -> None:
        """The wallet's list is compared with ours every ten minutes."""
        while True:
            if self.engine is not None:
                await self.engine.reconciled(CHANNEL)
            await self.clock.sleep(RECONCILE_S)

    async def _hours(self) -> None:
        while True:
            await self.clock.sleep(3600)
            for meter in self.meters.values():
                meter.advance(self.clock.true_now())
            below = self.below()
            self.observer.hour(below)
            self._look_for_never_cut(below)

    def _look_for_never_cut(self, below: Mapping[str, bool]) -> None:
        """L4: whoever meets every guard for a whole window is cut, asked about, or held by the breaker.

        Of a class that nobody may cut now nobody meets them: those need not be looked at.
        """
        if self.store is None or self.engine is None:
            return
        seen, zones = self.engine.world(), {site.account.zone for site in self.town.sites}
        may = {
            (policy.klass, zone): policy.remote and not windows.shut(policy, seen.now, zone)
            for policy in self.policies.values()
            for zone in zones
        }
        accounts = (site.account for site in self.town.sites)
        poor = [one.account for one in accounts if below.get(one.account) and may[one.klass, one.zone]]
        self.never_cut += self.store.read(lambda reader: cuts.l4_never_cut(reader, seen, self._ready, accounts=poor))

    async def _outages(self, number: int, host: str) -> None:
        day = 0
        while self.plan.link_down:
            begin, length = faulty.outage(self.town.seed, number, day, self.plan.link_down)
            await self.clock.sleep(60 * begin)
            if self.faults_on:
                self.network.set_down(host, True)
            await self.clock.sleep(60 * length)
            self.network.set_down(host, False)
            await self.clock.sleep(60 * (faulty.DAY_MIN - begin - length))
            day += 1

    async def _crashes(self) -> None:
        number = 0
        while self.plan.crash_h:
            spread = mix(self.town.seed, number, 109) % (self.plan.crash_h * 3600)
            await self.clock.sleep(
                self.plan.crash_h * 1800 + spread // 1 + (mix(self.town.seed, number, 113) % 1000) / 1000
            )
            number += 1
            if self.faults_on and self.engine is not None:
                await self.crash()
                await self.clock.sleep(RESTART_S)
                self.boot()

    async def _clock_step(self) -> None:
        """The host's clock is set ten minutes ahead, and back after an hour."""
        await self.clock.sleep(STEP_AFTER_H * 3600)
        if self.faults_on and self.engine is not None:
            self.counts["clock_step"] += 1
            self.clock.step_s = STEP_S
            await self.clock.sleep(3600)
            self.clock.step_s = 0
