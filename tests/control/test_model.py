"""Every interleaving of one account, its relay and two commands: no paid state may be without a way back on.

The model is the real decision (``control.decide``) and the real table of a command's life, joined to a meter that knows
fences and to a network that loses, delays and duplicates. A state is what the store, the wire and the relay hold; all
states that can be reached are enumerated, and then those from which the engine alone (deciding, sending, reading back,
on a network that works again) brings a paid account back on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

import pytest

from control import commands, decide, verdicts
from control.commands import TRANSITIONS, Event
from control.records import Action, Command, CommandState, Service
from ingest.records import RelayState
from tests.control.scenes import CNY, NOW, POLICY, ready_to_cut

S, E = CommandState, Event
OPEN, CLOSED, UNKNOWN = RelayState.OPEN, RelayState.CLOSED, RelayState.UNKNOWN
WIRE_LIMIT = 2  # messages under way: the order and its duplicate, or two orders that race


@dataclass(frozen=True, slots=True)
class Order:
    """A command as the model holds it; ``fence`` counts from the oldest that still matters."""

    action: Action
    fence: int
    state: CommandState = S.QUEUED
    drives: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """An order under way to the meter; one that is past its validity is dropped there."""

    action: Action
    fence: int
    expired: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """Everything that is: the money, the relay, what is known and wanted, the live order, the wire."""

    paid: bool = False
    relay: RelayState = CLOSED
    known: RelayState = CLOSED
    service: Service = Service.CONNECTED
    live: Order | None = None
    fence: int = 0  # last fence given out
    last: int = 0  # last fence that the meter side obeyed
    wire: tuple[Message, ...] = ()
    ack: bool = False  # an acknowledgement of the live order is under way


Step = Callable[[World], Iterator[World]]


@cache
def verdict(paid: bool, known: RelayState, service: Service, live: str) -> str:
    """What the real decision says."""
    money = {"accrued_micro": 80 * CNY} if paid else {}
    case = ready_to_cut(relay=known, service=service, live_action=live, live_command=live and "c", **money)
    return decide.decide(case, POLICY).verdict


def move(world: World, event: Event, **changes: object) -> World:
    """Step the live order through the real table; an end leaves no live order, and what we want follows the relay."""
    order = world.live
    assert order is not None
    command = commands.make(
        order.action, account="A", meter="M", fence=order.fence, at=NOW, decision="", policy_version="", reason=""
    )
    command = replace(command, state=order.state, drives=order.drives)
    after: Command = commands.step(command, event, NOW)
    if after.state is S.VERIFIED and order.action is Action.DISCONNECT:
        world = replace(world, service=Service.DISCONNECTED)
    elif after.state in commands.ENDS and order.action is Action.DISCONNECT:
        world = replace(world, service=Service.CONNECTED)
    drives = min(after.drives, commands.MAX_DRIVES)  # more are no other state
    live = None if after.state in commands.ENDS else replace(order, state=after.state, drives=drives)
    kept = world.ack and live is not None
    return replace(world, live=live, ack=kept, **changes)  # type: ignore[arg-type]


def start(world: World, action: Action) -> World:
    """A new order with the next fence; a live disconnection gives way."""
    if world.live is not None:
        world = move(world, E.SUPERSEDE)
    fence = world.fence + 1
    wanted = Service.CONNECTED if action is Action.CONNECT else Service.ARMED_FOR_DISCONNECT
    return replace(world, live=Order(action, fence), fence=fence, service=wanted)


def pay(world: World) -> Iterator[World]:
    """One transaction: credit, supersede the live disconnection, reconnect if it left or the relay may be open."""
    if world.paid:
        return
    live = world.live
    left = live is not None and live.action is Action.DISCONNECT and live.state in commands.LEFT
    paid = replace(world, paid=True)
    if live is not None and live.action is Action.DISCONNECT:
        paid = move(paid, E.SUPERSEDE)
    if paid.live is None and (left or world.known is not CLOSED):
        paid = start(paid, Action.CONNECT)
    yield paid


def consume(world: World) -> Iterator[World]:
    """The money runs out again."""
    if world.paid:
        yield replace(world, paid=False)


def deciding(world: World) -> Iterator[World]:
    """The hourly decision."""
    live = world.live.action.value if world.live else ""
    said = verdict(world.paid, world.known, world.service, live)
    if said == "connect":
        yield start(world, Action.CONNECT)
    elif said == "disconnect" and world.live is None:
        yield start(world, Action.DISCONNECT)


def send(world: World) -> Iterator[World]:
    """The order leaves; a disconnection only while unpaid and known to be on, else it is cancelled."""
    live = world.live
    if live is None or live.state is not S.QUEUED or len(world.wire) >= WIRE_LIMIT:
        return
    if live.action is Action.DISCONNECT and (world.paid or world.known is not CLOSED):
        yield move(world, E.CANCEL)
        return
    sent = (*world.wire, Message(live.action, live.fence))
    yield move(world, E.SEND, wire=tuple(sorted(sent, key=repr)), known=UNKNOWN)


def deliver(world: World) -> Iterator[World]:
    """A message reaches the meter: the fence and the validity are checked there; the relay obeys."""
    for place, message in enumerate(world.wire):
        rest = world.wire[:place] + world.wire[place + 1 :]
        if message.expired or message.fence <= world.last:
            yield replace(world, wire=rest)
            continue
        relay = OPEN if message.action is Action.DISCONNECT else CLOSED
        mine = world.live is not None and world.live.fence == message.fence and world.live.state in commands.LEFT
        yield replace(world, wire=rest, relay=relay, last=message.fence, ack=mine or world.ack)


def stuck(world: World) -> Iterator[World]:
    """The relay acknowledges and does not move."""
    for place, message in enumerate(world.wire):
        if message.fence > world.last and world.live is not None and world.live.fence == message.fence:
            yield replace(world, wire=world.wire[:place] + world.wire[place + 1 :], ack=True)


def acknowledge(world: World) -> Iterator[World]:
    """The acknowledgement arrives."""
    if world.ack and world.live is not None and commands.allowed(world.live.state, E.ACKNOWLEDGE):
        yield replace(move(world, E.ACKNOWLEDGE), ack=False)


def lose(world: World) -> Iterator[World]:
    """A message, or the acknowledgement, is lost."""
    for place in range(len(world.wire)):
        yield replace(world, wire=world.wire[:place] + world.wire[place + 1 :])
    if world.ack:
        yield replace(world, ack=False)


def duplicate(world: World) -> Iterator[World]:
    """A message is under way twice."""
    if len(world.wire) == 1:
        yield replace(world, wire=world.wire * 2)


def refuse(world: World) -> Iterator[World]:
    """The meter says no: to a disconnection for good (keep-power), to a reconnection for now (its clock is off)."""
    for place, message in enumerate(world.wire):
        live = world.live
        if live is None or live.fence != message.fence or live.state not in commands.LEFT:
            continue
        if message.fence <= world.last:
            continue
        rest = world.wire[:place] + world.wire[place + 1 :]
        yield move(world, E.REFUSE if live.action is Action.DISCONNECT else E.DEFER, wire=rest)


def crash(world: World) -> Iterator[World]:
    """This host dies: the answer under way finds nobody, and what was sent is unknown after the restart."""
    heard = replace(world, ack=False)
    if world.live is not None and commands.allowed(world.live.state, E.TIME_OUT):
        yield move(heard, E.TIME_OUT)
    elif world.ack:
        yield heard


def time_out(world: World) -> Iterator[World]:
    """No answer in time: what was sent is unknown."""
    if world.live is not None and commands.allowed(world.live.state, E.TIME_OUT):
        yield move(world, E.TIME_OUT)


def expire(world: World) -> Iterator[World]:
    """The validity of the live order passes, here and at the meter."""
    live = world.live
    if live is None or not commands.allowed(live.state, E.EXPIRE):
        return
    gone = tuple(replace(m, expired=True) if m.fence == live.fence else m for m in world.wire)
    yield replace(move(world, E.EXPIRE), wire=gone)


def read_back(world: World) -> Iterator[World]:
    """The relay's own word; it resolves what was unknown."""
    seen, live = replace(world, known=world.relay), world.live
    if live is None or live.state not in commands.LEFT:
        yield seen
    elif world.relay is (OPEN if live.action is Action.DISCONNECT else CLOSED):
        yield move(seen, E.VERIFY)
    elif live.state is S.UNKNOWN:
        valid = not any(m.expired for m in world.wire if m.fence == live.fence)
        yield move(seen, E.RETRY if valid else E.LAPSE)
        yield move(seen, E.LAPSE)
    elif live.state is S.ACKNOWLEDGED:
        yield move(seen, E.FAIL if live.drives >= commands.MAX_DRIVES else E.CONTRADICT)


def forget(world: World) -> Iterator[World]:
    """What was known has grown too old."""
    if world.known is not UNKNOWN and world.live is None:
        yield replace(world, known=UNKNOWN)


ENGINE: tuple[Step, ...] = (deciding, send, deliver, acknowledge, time_out, read_back)
NATURE: tuple[Step, ...] = (pay, consume, stuck, lose, duplicate, expire, forget, refuse, crash)


def canonical(world: World) -> World:
    """The same world with fences counted from the oldest that still matters."""
    used = sorted({m.fence for m in world.wire} | ({world.live.fence} if world.live else set()) | {world.last})
    rank = {fence: place for place, fence in enumerate(used)}
    live = replace(world.live, fence=rank[world.live.fence]) if world.live else None
    wire = tuple(sorted((replace(m, fence=rank[m.fence]) for m in world.wire), key=repr))
    return replace(world, live=live, wire=wire, last=rank[world.last], fence=max(rank.values()))


def explore(steps: tuple[Step, ...]) -> dict[World, set[World]]:
    """Every reachable world with those that follow it by ``ENGINE`` steps alone."""
    first = World()
    found: dict[World, set[World]] = {}
    frontier = [first]
    while frontier:
        world = frontier.pop()
        if world in found:
            continue
        found[world] = set()
        for step in steps:
            for after in map(canonical, step(world)):
                if step in ENGINE:
                    found[world].add(after)
                if after not in found:
                    frontier.append(after)
    return found


def dark_for_ever(graph: dict[World, set[World]]) -> list[World]:
    """Paid worlds from which the engine alone never comes to a relay that is closed and known to be."""
    before: dict[World, set[World]] = {world: set() for world in graph}
    for world, afters in graph.items():
        for after in afters:
            before[after].add(world)
    frontier = [world for world in graph if world.paid and world.relay is CLOSED and world.known is CLOSED]
    good = set(frontier)
    while frontier:
        for earlier in before[frontier.pop()] - good:
            good.add(earlier)
            frontier.append(earlier)
    return [world for world in graph if world.paid and world not in good]


@pytest.fixture(scope="module")
def graph() -> dict[World, set[World]]:
    """Every reachable world."""
    return explore(ENGINE + NATURE)


def test_no_paid_state_is_without_a_way_back_on(graph: dict[World, set[World]]) -> None:
    steps = sum(len(afters) for afters in graph.values())
    print(f"{len(graph)} states, {steps} steps of the engine, {sum(world.paid for world in graph)} paid")
    assert len(graph) > 7_000, "the model has become trivial"
    assert sum(world.paid and world.relay is OPEN for world in graph) > 100
    assert dark_for_ever(graph) == []


def test_whatever_opens_after_the_payment_is_answered(graph: dict[World, set[World]]) -> None:
    """S7: an order that left before the payment may still open the relay; then a reconnection lives, or is decided."""
    late = 0
    for world in graph:
        for after in deliver(world):
            if world.paid and world.relay is CLOSED and after.relay is OPEN:
                late += 1
                live = after.live.action.value if after.live else ""
                assert live == "connect" or verdict(True, OPEN, after.service, live) == "connect"
    assert late > 100


@pytest.mark.parametrize("design", ["timed_out_is_an_end", "no_rule_to_come_back"])
def test_simpler_designs_leave_paid_customers_in_the_dark(design: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model can fail: the designs that CONTROL's table compares with have paid states without a way back."""
    kept = {name: rule for name, rule in verdicts.rules().items() if name != "come_back"}
    monkeypatch.setattr(verdicts, "rules", lambda: kept)
    if design == "timed_out_is_an_end":
        table = {
            state: {event: S.EXPIRED if event is E.TIME_OUT else after for event, after in row.items()}
            for state, row in TRANSITIONS.items()
        }
        monkeypatch.setattr(commands, "TRANSITIONS", table)
    verdict.cache_clear()
    try:
        dark = dark_for_ever(explore(ENGINE + NATURE))
        print(f"{design}: {len(dark)} paid states without a way back on")
        assert len(dark) > 10
    finally:
        verdict.cache_clear()


def test_the_model_uses_the_real_clock_of_validity() -> None:
    made = commands.make(
        Action.DISCONNECT, account="A", meter="M", fence=1, at=NOW, decision="", policy_version="", reason=""
    )
    assert commands.unmoved(made, NOW + timedelta(minutes=45)) is E.LAPSE
