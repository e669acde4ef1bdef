"""A stage goes in, the story told once comes out: each step is looked at from outside and is true, or the demo fails.

normal -> warning to customer and collector -> a protected clinic gets a work order instead of a cut -> the reader's
handheld gets the bill -> grace -> approval by a person -> relay open, verified -> payment -> its duplicate ignored ->
relay closed, verified. From the payment on the clock runs 1:1.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from control import assemble, credit, guards
from control.records import Case, Command, CommandState, Notice, WorkOrder
from control.tiles import tile
from prewatt import secrets
from prewatt.demo.stage import READER, DemoFailed, Stage
from sim.handheld import Handheld
from sim.towns import CLINIC, STAR, WALKED
from storage.unit import Reader

T = TypeVar("T")
HOUR = timedelta(hours=1)
DAYS = 10
WAIT_S = 25.0
TOPUP = "2000.00"
PERSON = "operator:li.wei"
LOW = ("warning", "stop", "final")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the story: what it is called, when it came true on the test clock, what was seen."""

    name: str
    at: datetime
    ok: bool
    seen: str


@dataclass(slots=True)
class Told:
    """The story so far; ``tell`` is called with each step."""

    tell: Callable[[Step], None]
    steps: list[Step] = field(default_factory=list)
    paid_to_power_s: float | None = None
    kill: str = ""

    def add(self, name: str, at: datetime, seen: str) -> None:
        """A step came true."""
        self.steps.append(Step(name, at, True, seen))
        self.tell(self.steps[-1])


async def tell(on: Stage, told: Told) -> None:
    """Tell the story; DemoFailed names the step that did not come true."""
    await _normal(on, told)
    await _first_days(on, told)
    await _grace(on, told)
    command = await _approval(on, told)
    await _cut(on, told, command)
    await _payment(on, told)
    await _end(on, told)


async def _normal(on: Stage, told: Told) -> None:
    await on.first_look()
    await on.to(on.town.start + HOUR)
    told.add("meters_read", on.clock.now(), f"{len(on.wired)} meters over Modbus and DLMS, first hour rated")
    if told.kill:
        await on.order(do="kill", gateway=told.kill)


async def _first_days(on: Stage, told: Told) -> None:
    """Hours pass until everybody was warned and the clinic has run out; on two mornings a reader walks by."""
    at = on.town.start + HOUR
    waiting = {"warning": _warned, "protected_work_order": _clinic}
    bills = 0
    for _ in range(DAYS * 24):
        at += HOUR
        await on.to(at)
        for name, seen in list(waiting.items()):
            if text := on.store.read(lambda r, seen=seen: seen(r)):  # type: ignore[misc]
                told.add(name, on.clock.now(), text)
                del waiting[name]
        if at.hour == 2 and bills < 2:
            bills += await _walk(on, told, last=bills == 1)
        if not waiting and bills == 2:
            return
    raise DemoFailed(f"{', '.join(waiting) or 'the handheld'} did not come true within {DAYS} days")


def _warned(reader: Reader) -> str:
    """The same warning was delivered to the customer and to the collector."""
    rows = reader.find(Notice, account=STAR, state="delivered", code="warning", order="delivered_at")
    by = {row.recipient: row for row in rows}
    if not {"customer", "collector"} <= set(by):
        return ""
    return f"customer and collector told: {by['customer'].text}"


def _clinic(reader: Reader) -> str:
    """The clinic got a work order and no command."""
    orders = reader.find(WorkOrder, account=CLINIC, kind="disconnect_by_hand")
    if not orders:
        return ""
    if reader.find(Command, account=CLINIC):
        raise DemoFailed("a protected clinic got a relay command")
    return f"work order {orders[0].order} instead of a cut"


async def _walk(on: Stage, told: Told, *, last: bool) -> int:
    """A reader confirms the cottage's register over MQTT; the second visit gives a bill."""
    site = next(s for s in on.town.sites if s.account.account == WALKED)
    key = secrets.read(on.home.secrets, READER)
    device = Handheld(READER, on.home.root / "reader.outbox", key=key, person="reader-12")
    broker = on.daemon.shell.config.broker
    register = 1_000_000 + int((on.clock.now() - on.town.start).total_seconds()) // 12
    try:
        await device.connect(broker.host, broker.port)
        reply = await device.confirm(
            site.point.meter, register, on.clock.now(), serial=site.install.serial, latitude=30.25, longitude=120.16,
            accuracy_m=6.0,
        )  # fmt: skip
    except TimeoutError as error:
        raise DemoFailed(f"the handheld got no reply: {error}") from None
    finally:
        await device.close()
    if reply.status != "accepted":
        raise DemoFailed(f"the handheld's read was {reply.status}: {reply.reason}")
    if last:
        told.add("handheld_bill", on.clock.now(), f"bill {reply.bill}, balance {reply.balance} {reply.currency}")
    return 1


def _case(on: Stage) -> Case:
    """The foundry as committed now."""
    world = on.engine.world()
    case = on.store.read(lambda r: assemble.case(r, STAR, world))
    if case is None:
        raise DemoFailed("the foundry has no account")
    return case


def _tile(on: Stage) -> str:
    case = _case(on)
    return tile(case, on.engine.policies[case.klass])


async def _grace(on: Stage, told: Told) -> None:
    """The foundry's money is gone, its supply still on."""
    at = on.clock.now().replace(minute=0, second=0, microsecond=0)
    for _ in range(DAYS * 24):
        at += HOUR
        await on.to(at)
        if _tile(on) in ("grace", "pending"):
            left = credit.available(_case(on))
            told.add("grace", on.clock.now(), f"{left / 1e6:.2f} CNY left, still on")
            return
    raise DemoFailed(f"the foundry did not run out within {DAYS} days")


async def _approval(on: Stage, told: Told) -> str:
    """The engine asks, a person says yes, the final notice goes out."""
    at = on.clock.now().replace(minute=0, second=0, microsecond=0)
    for _ in range(5 * 24):
        found = on.store.read(
            lambda r: r.find(Command, account=STAR, state=CommandState.REQUESTED, needs_approval=True)
        )
        if found:
            if not await on.engine.approve(found[0].command, PERSON):
                raise DemoFailed("the approval was not taken")
            told.add("approval", on.clock.now(), f"{found[0].command} approved by {PERSON}")
            return found[0].command
        at += HOUR
        await on.to(at)
    raise DemoFailed(f"no approval was asked for within five days: {_why(on)}")


def _why(on: Stage) -> str:
    """What holds the foundry's disconnection."""
    case = _case(on)
    found = guards.evaluate(case, on.engine.policies[case.klass])
    return "; ".join(f"{guard.name} {guard.because}" for guard in found if not guard.value)


async def _cut(on: Stage, told: Told, command: str) -> None:
    """Time passes in steps of ten minutes until every guard holds and the relay is open, verified."""
    for _ in range(6 * 24 * 4):
        row = on.store.read(lambda r: r.get(Command, command))
        if row is not None and row.state is CommandState.VERIFIED:
            break
        if row is None or row.state in (CommandState.CANCELLED, CommandState.EXPIRED, CommandState.SUPERSEDED):
            raise DemoFailed(f"the disconnection ended as {row.state if row else 'nothing'}: {_why(on)}")
        if row.state is CommandState.REQUESTED:
            await _ten_minutes(on)
        else:
            await asyncio.sleep(0.1)
    else:
        raise DemoFailed(f"no verified disconnection: {_why(on)}")
    relay = (await on.order(do="relays"))["relays"][_meter(on)]
    if relay != "open":
        raise DemoFailed(f"the engine says verified, the relay is {relay}")
    told.add("disconnected", on.clock.now(), "relay open, read back")


async def _ten_minutes(on: Stage) -> None:
    """Ten minutes ahead; on the hour the meters are read as always."""
    now = on.clock.now()
    hour = now.replace(minute=0, second=0, microsecond=0) + HOUR
    if now + timedelta(minutes=10) >= hour:
        await on.to(hour)
        return
    on.clock.jump(now + timedelta(minutes=10))
    await on.providers()
    on.engine.wake()
    await on.engine.decide([STAR])
    await asyncio.sleep(0.1)


def _meter(on: Stage) -> str:
    return next(s.point.meter for s in on.town.sites if s.account.account == STAR)


async def _payment(on: Stage, told: Told) -> None:
    """The payment by webhook, the same once more, and the light back on: 1:1 from here."""
    on.clock.jump(on.clock.now() + timedelta(minutes=20))
    balance, paid_at = on.store.read(lambda r: r.balance(f"customer:{STAR}")), on.clock.now()
    status, answer = await on.post("QK7-2041", STAR, TOPUP)
    committed = time.monotonic()
    if status != 200:
        raise DemoFailed(f"the webhook answered {status}: {answer.decode(errors='replace')}")
    told.add("payment", on.clock.now(), f"{TOPUP} CNY by webhook, answered after the commit")
    verified = asyncio.create_task(_until(lambda: _back_on(on), "no verified reconnection"))
    again, same = await on.post("QK7-2041", STAR, TOPUP)
    paid = on.store.read(lambda r: r.balance(f"customer:{STAR}")) - balance
    if (again, same) != (200, answer) or paid != int(float(TOPUP)) * 1_000_000:
        raise DemoFailed(f"the repeated payment was not ignored: {again} {same!r}, {paid} micro posted")
    told.add("duplicate_ignored", on.clock.now(), "the same answer, nothing posted twice")
    done = await verified
    told.paid_to_power_s = round(done - committed, 3)
    relay = (await on.order(do="relays"))["relays"][_meter(on)]
    if relay != "closed":
        raise DemoFailed(f"the engine says verified, the relay is {relay}")
    if scared := on.store.read(lambda r: r.find(Notice, account=STAR, code__in=LOW, created__ge=paid_at)):
        raise DemoFailed(f"whoever has paid was told {scared[0].text}")
    told.add("reconnected", on.clock.now(), f"relay closed, verified {told.paid_to_power_s} s after the payment")


def _back_on(on: Stage) -> bool:
    rows = on.store.read(lambda r: r.find(Command, account=STAR, action="connect", order="-requested", limit=1))
    return bool(rows) and rows[0].state is CommandState.VERIFIED


async def _until(true: Callable[[], bool], what: str) -> float:
    """Wait (real seconds) until ``true``; the monotonic time when it was."""
    end = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > end:
            raise DemoFailed(f"{what} within {WAIT_S:g} s")
        await asyncio.sleep(0.005)
    return time.monotonic()


async def _end(on: Stage, told: Told) -> None:
    """The books and the relays, from outside."""
    total = on.store.read(lambda r: r.ledger_sum())
    wrong = await wrong_disconnections(on)
    if total or wrong:
        raise DemoFailed(f"the ledger sums to {total} micro, {wrong} meters were cut that should not have been")
    told.add("books_right", on.clock.now(), "the ledger sums to zero, nobody else was cut")


async def wrong_disconnections(on: Stage) -> int:
    """Openings of relays, by the meters' own record, beside the foundry's one."""
    changes: dict[str, list[Any]] = (await on.order(do="relays"))["changes"]
    opened: dict[str, int] = {meter: sum(state == "open" for _, state in rows) for meter, rows in changes.items()}
    return sum(opened.values()) - min(1, opened.get(_meter(on), 0))
