"""Orders against payments and crashes: whatever the moment, the supply of whoever has paid ends on."""

import asyncio
import itertools
from pathlib import Path

import pytest

from control import commands, outcomes, sending
from control.commands import Event
from control.records import Action, CommandEvent, CommandState, Hold, Incident, Service
from control.signals import Signal
from ingest.records import Drive, DriveResult, RelayState
from storage.store import Priority
from tests.control.rig import CNY, DAY, NOW, Crash, Rig
from tests.control.test_dispatch import order, pay, story, wanted

S = CommandState


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


# ---- payments race


def test_a_payment_while_the_order_is_on_the_wire_brings_the_supply_back(rig: Rig) -> None:
    """The order has left, the payment commits, then the relay opens: one opening, one closing, one incident."""
    rig.link.before_drive = lambda drive: pay(rig) if drive.action == "disconnect" else None
    order(rig)
    rig.dispatch(turns=3, pause_s=20)
    assert [state for state, _ in rig.meter.changes] == [RelayState.OPEN, RelayState.CLOSED]
    assert [command.state for command in rig.commands()] == [S.SUPERSEDED, S.VERIFIED]
    assert [row.kind for row in rig.find(Incident)] == ["disconnect_raced_payment"]
    assert wanted(rig) is Service.CONNECTED


def test_a_late_copy_of_a_superseded_disconnection_meets_the_fence(rig: Rig) -> None:
    rig.link.faults = {"lost_request", "no_read_back"}
    order(rig)
    rig.dispatch()
    late = rig.link.drives[0]
    rig.link.faults = set()
    pay(rig)
    rig.dispatch(turns=2, pause_s=20)
    assert rig.link.deliver("M1", late) is DriveResult.FENCED
    assert rig.meter.relay is RelayState.CLOSED


@pytest.mark.parametrize(
    "at", ["before_send", "in_session", "before_drive", "after_drive", "before_read_back", "after"]
)
@pytest.mark.parametrize("fault", ["", "lost_answer", "lost_request"])
def test_a_payment_at_any_moment_ends_with_the_supply_on(rig: Rig, at: str, fault: str) -> None:
    order(rig)
    rig.link.faults = {fault} - {""}
    once = iter([True])

    def paying(*_: object) -> None:
        if next(once, False):
            pay(rig)

    if at == "before_send":
        paying()
    elif at == "before_drive":
        rig.link.before_drive = paying
    elif at == "after_drive":
        rig.link.after_drive = paying
    else:
        name = {"in_session": "poll", "before_read_back": "relay", "after": "close"}[at]
        real = getattr(rig.link, name)

        async def wrapped(*args: object) -> object:
            paying()
            return await real(*args)

        rig.link = _with(rig.link, name, wrapped)
    rig.dispatch()
    if at == "after":
        paying()
    rig.link.faults.clear()
    rig.dispatch(turns=6, pause_s=60)
    assert rig.meter.relay is RelayState.CLOSED and wanted(rig) is Service.CONNECTED
    assert all(command.state in commands.ENDS for command in rig.commands())


def _with(link: object, name: str, method: object):  # type: ignore[no-untyped-def]
    """The same link with one method replaced."""

    class Wrapped:
        def __getattr__(self, attribute: str) -> object:
            return method if attribute == name else getattr(link, attribute)

        def __setattr__(self, attribute: str, value: object) -> None:
            setattr(link, attribute, value)

    return Wrapped()


# ---- crashes


POINTS = ["before_drive", "after_drive", "commit:2", "commit:3", "commit:4"]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("action", list(Action))
def test_a_crash_at_any_step_is_read_back_and_changes_the_relay_once(rig: Rig, point: str, action: Action) -> None:
    order(rig, action)
    crash(rig, point)
    with pytest.raises(Crash):
        rig.dispatch()
    rig.store.crash_points = lambda name: None
    rig.link.before_drive = rig.link.after_drive = None
    rig.reopen()
    rig.clock.forward(130)
    rig.dispatch(turns=5, pause_s=60)
    assert rig.command().state is S.VERIFIED
    assert len(rig.meter.changes) == 1
    assert wanted(rig) is (Service.DISCONNECTED if action is Action.DISCONNECT else Service.CONNECTED)


def crash(rig: Rig, point: str) -> None:
    def die(*_: object) -> None:
        raise Crash(point)

    if point == "before_drive":
        rig.link.before_drive = die
    elif point == "after_drive":
        rig.link.after_drive = die
    else:
        counter = itertools.count(1)
        nth = int(point.partition(":")[2])

        def hook(name: str) -> None:
            if name == "commit.before" and next(counter) == nth - (rig.command().action is Action.CONNECT):
                raise Crash(point)

        rig.store.crash_points = hook


def test_a_sent_command_is_not_touched_before_its_time_out(rig: Rig) -> None:
    order(rig)
    crash(rig, "before_drive")
    with pytest.raises(Crash):
        rig.dispatch()
    rig.reopen()
    rig.link.before_drive = None
    assert rig.dispatch() == 0 and rig.command().state is S.SENT


def test_a_payment_after_the_crash_brings_back_whoever_was_cut_by_it(rig: Rig) -> None:
    order(rig)
    crash(rig, "after_drive")
    with pytest.raises(Crash):
        rig.dispatch()
    rig.link.after_drive = None
    rig.reopen()
    assert pay(rig).reconnect
    rig.dispatch(turns=2, pause_s=20)
    assert rig.meter.relay is RelayState.CLOSED


# ---- order and drain


def test_reconnections_leave_before_disconnections(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=4)
    rig.put(Signal("breaker.released", f"{NOW:%Y-%m-%d}", NOW))
    for number in (1, 2, 3):
        order(rig, number=number)
    order(rig, Action.CONNECT, number=4)
    rig.dispatch(turns=4)
    assert [drive.action for drive in rig.link.drives] == ["connect", "disconnect", "disconnect", "disconnect"]


def test_a_draining_engine_sends_no_disconnection_but_reconnections(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=2)
    order(rig, number=1)
    order(rig, Action.CONNECT, number=2)
    dispatcher = rig.dispatcher()
    dispatcher.draining = True
    asyncio.run(dispatcher.run_once())
    assert [drive.action for drive in rig.link.drives] == ["connect"]


def test_an_approval_that_never_comes_ends_the_request(rig: Rig) -> None:
    made = order(rig, needs_approval=True)
    assert made.state is S.REQUESTED
    rig.dispatch(turns=50, pause_s=60)
    assert rig.command().state is S.EXPIRED and rig.link.drives == []


def test_a_cancelled_order_that_had_left_once_is_fenced_off(rig: Rig) -> None:
    order(rig)
    rig.link.faults = {"lost_request"}
    rig.dispatch()
    late = rig.link.drives[0]
    rig.link.faults = set()
    rig.put(Hold("h1", "A1", "medical", "clinic", NOW - DAY))
    rig.dispatch(turns=5, pause_s=60)
    assert [command.state for command in rig.commands()] == [S.CANCELLED, S.VERIFIED]
    assert rig.link.deliver("M1", late) is DriveResult.FENCED and rig.meter.changes == []


def test_an_answer_after_the_end_is_noted_and_changes_nothing(rig: Rig) -> None:
    made = order(rig)
    rig.store.write(Priority.COMMAND, lambda unit: sending.cancel(unit, made, rig.world(), "test"))
    outcome = rig.link._drive(  # an answer out of nowhere
        type("P", (), {"meter": "M1"})(),  # type: ignore[arg-type]
        Drive(made.command, "M1", "disconnect", made.fence, made.valid_until),
    )
    rig.store.write(Priority.COMMAND, lambda unit: outcomes.driven(unit, made.command, outcome, rig.world()))
    assert rig.command().state is S.CANCELLED and story(rig)[-1] == "late_answer"


def test_every_event_of_the_journal_is_a_step_of_the_table(rig: Rig) -> None:
    order(rig)
    rig.link.faults = {"lost_request"}
    rig.dispatch(turns=30, pause_s=60)
    for row in rig.find(CommandEvent, order=("command", "seq")):
        if row.event in set(Event) and row.before:
            assert commands.TRANSITIONS[S(row.before)][Event(row.event)] == row.after


def test_ledger_and_money_are_untouched_by_commands(rig: Rig) -> None:
    order(rig)
    rig.dispatch()
    assert rig.store.read(lambda reader: reader.balance("customer:A1")) == 100 * CNY
