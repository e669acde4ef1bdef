"""Three simple designs of switching go in as engines of a simulated town: what prewatt's own is measured against.

They read the same meters over the same links, rate with the same books, tell the same notices, and cut whom the same
rules and breaker let be cut. What differs is only how an order is carried out, and what is believed afterwards:

* ``fire_and_forget``: an order is sent once, and what was sent is believed;
* ``status``: one enum with "pending" and "timed_out": an order waits for its answer; without one it has timed out, and
  somebody's next cause (a payment, a decision) begins anew. What a crash leaves pending stays pending;
* ``retries``: an order is repeated until it is acknowledged, at most ``TRIES`` times; an acknowledgement is believed.

None of them reads a relay back, so a relay's own word is kept from them. They are honest: rows are committed before
anything is sent, and what is committed survives a crash.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from control import alerts, assemble, breaker, decide, fences, notices, passes, quota
from control.assemble import World
from control.breaker import Request
from control.canonical import content_id
from control.engine import Engine
from control.passes import DecideReport
from control.records import Action, Case, Command, CommandState
from control.settle import PaymentResult
from ingest.records import Drive, DriveResult, MeterPoint, Poll
from storage.records import Payment, TableSpec
from storage.unit import Reader, Unit
from storage.writer import Priority

DESIGNS = ("fire_and_forget", "status", "retries")
PERSONS = ("operator-1", "operator-2")
ANSWER_S = 30  # an order without an answer has timed out
TRIES = 10
PAUSE_S, PAUSE_MOST_S = 15, 900
FOR_EVER = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Believed:
    """What a baseline believes of one account's supply: on, off, pending_on, pending_off or timed_out."""

    account: str
    meter: str
    status: str
    since: datetime
    tries: int = 0


SPEC = TableSpec(
    name="believed",
    record=Believed,
    key=("account",),
    comment="What a simple design believes of each account's supply.",
    columns={
        "account": "account number",
        "meter": "the utility's meter number",
        "status": "on, off, pending_on, pending_off or timed_out",
        "since": "since when, UTC",
        "tries": "orders sent for it",
    },
)


class Baseline(Engine):
    """An engine whose orders are carried out by one of ``DESIGNS``."""

    design = "fire_and_forget"

    def __init__(self, *args: Any, **settings: Any) -> None:
        """As the engine itself."""
        super().__init__(*args, **settings)
        self._orders: set[asyncio.Task[None]] = set()
        self._resumed = False

    async def _seen(self, point: MeterPoint, poll: Poll) -> None:
        """Keep the relay's own word from this design."""
        await super()._seen(point, replace(poll, relay=None))

    async def decide(self, accounts: list[str] | None = None) -> DecideReport:
        """Tell what is due, and cut whom the rules and the breaker let be cut and who is believed to be on."""
        world = self.world()
        cases = self.store.read(lambda reader: assemble.cases(reader, accounts, world))
        believed = self.store.read(lambda reader: {row.account: row.status for row in reader.find(Believed)})
        approved = {name: replace(case, approvals=PERSONS) for name, case in cases.items()}
        cutting = []
        for name, case in approved.items():
            found = decide.verdict(case, world.policies[case.klass])
            if found == "disconnect" and believed.get(name, "on") == "on":
                cutting.append(case)
        told = [case for case in approved.values() if believed.get(case.account, "on") == "on"]
        await self.store.commit(Priority.BATCH, lambda unit: _tell(unit, told, world))
        foreseen = quota.foreseen_in(cases.values(), world.now)
        await self.store.commit(Priority.COMMAND, lambda unit: quota.remember_foreseen(unit, foreseen, world.now))
        for case in await self._admitted(cutting, world):
            await self._switch(case.account, case.meter, "off")
        return DecideReport(len(cases))

    async def _admitted(self, cutting: Sequence[Case], world: World) -> list[Case]:
        """Those whom the breaker lets go."""
        if not cutting:
            return []

        def ask(reader: Reader) -> breaker.Admission:
            free = frozenset(c.account for c in cutting) if quota.released_today(reader, world.now) else frozenset()
            counts = quota.count(reader, world, quota.foreseen_today(reader, world.now), free)
            requests = [Request(c.account, c.account, quota.feeder_of(reader, c.account)) for c in cutting]
            return breaker.admit(requests, counts)

        admission = self.store.read(ask)
        if admission.tripped:
            await self.store.commit(Priority.COMMAND, lambda unit: passes.trip(unit, world, admission.reason))
        return [case for case in cutting if case.account in admission.admitted]

    async def pay(self, payment: Payment) -> PaymentResult:
        """Take the money as the engine does; then switch on whoever is believed to be off and has paid enough."""
        result = await super().pay(payment)
        row = self.store.read(lambda reader: reader.get(Believed, payment.account))
        case = self.store.read(lambda reader: assemble.case(reader, payment.account, self.world()))
        if row is None or case is None or result.status != "posted":
            return result
        line = self.policies[case.klass].connection_balance_micro
        if result.available_micro >= line and row.status in self._answers_to():
            await self._switch(row.account, row.meter, "on")
        return result

    def _answers_to(self) -> tuple[str, ...]:
        """In which states a payment makes an order."""
        return ("off", "timed_out") if self.design == "status" else ("off", "pending_off")

    async def reconcile(self) -> DecideReport:
        """Nothing is read back; ``retries`` takes up what a crash has interrupted."""
        if self.design == "retries" and not self._resumed:
            for row in self.store.read(lambda reader: reader.find(Believed, status__in=["pending_on", "pending_off"])):
                self._launch(row)
        self._resumed = True
        return DecideReport()

    async def _switch(self, account: str, meter: str, goal: str) -> None:
        """Write down what is to be, then send."""
        now = self.now()
        status = goal if self.design == "fire_and_forget" else f"pending_{goal}"
        row = Believed(account, meter, status, now)

        def work(unit: Unit) -> None:
            unit.put(row)
            if goal == "off":
                unit.put(_counted(row, now))

        await self.store.commit(Priority.COMMAND, work)
        self._launch(row)

    def _launch(self, row: Believed) -> None:
        task = asyncio.ensure_future(self._carry_out(row))
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)

    async def _carry_out(self, row: Believed) -> None:
        """Send by the design's rules, and believe what they say."""
        goal = row.status.removeprefix("pending_")
        tries = TRIES if self.design == "retries" else 1
        for number in range(1, tries + 1):
            done = await self._send(row, goal)
            current = self.store.read(lambda reader: reader.get(Believed, row.account))
            if self.design == "fire_and_forget" or current is None or current.since != row.since:
                return  # nothing is waited for, or a younger cause has its own order
            if done:
                await self._believe(replace(row, status=goal, tries=number))
                return
            if number < tries:
                await self.clock.sleep(min(PAUSE_S << (number - 1), PAUSE_MOST_S))
        last = "on" if goal == "off" else "timed_out" if self.design == "status" else "off"
        await self._believe(replace(row, status=last, tries=tries))

    async def _believe(self, row: Believed) -> None:
        await self.store.commit(Priority.COMMAND, lambda unit: unit.put(row))

    async def _send(self, row: Believed, goal: str) -> bool:
        """One order over the link; whether the device acknowledged it."""
        point = self.store.read(lambda reader: reader.find(MeterPoint, meter=row.meter))[0]
        fence = 1 + self.store.read(lambda reader: fences.last(reader, fences.GATEWAY + row.meter))
        action = "connect" if goal == "on" else "disconnect"
        name = content_id("b", row.account, goal, fence)
        order = Drive(name, row.meter, action, fence, self.now() + FOR_EVER)
        try:
            async with asyncio.timeout(ANSWER_S):
                outcome = await self.links[point.gateway].drive(point, order)
        except TimeoutError:
            return False
        return outcome.result is DriveResult.ACKNOWLEDGED


def _tell(unit: Unit, cases: Sequence[Case], world: World) -> None:
    for case in cases:
        notices.queue(unit, case, alerts.due(case, world.policies[case.klass]), world)


def _counted(row: Believed, now: datetime) -> Command:
    """A disconnection as the breaker counts it: left now, and believed to be settled."""
    return Command(
        command=content_id("b", row.account, now), account=row.account, meter=row.meter, action=Action.DISCONNECT,
        fence=0, state=CommandState.VERIFIED, valid_until=now, reason="exhausted", decision="", policy_version="",
        priority=1, requested=now, updated=now, sent_at=now,
    )  # fmt: skip


def _of(name: str) -> type[Baseline]:
    return type(f"Baseline_{name}", (Baseline,), {"design": name})


BASELINES: Mapping[str, type[Baseline]] = {name: _of(name) for name in DESIGNS}
"""Engine by design."""
