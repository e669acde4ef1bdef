"""Each safeguard of links that are dialled, taken away by name, lets through what it is there to stop."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from ingest.links import push as push_module
from ingest.links import qgdw376 as link_module
from ingest.links import qgdw376_switch as switch_module
from ingest.links.dialin import Session
from ingest.links.qgdw376_visit import TerminalVisit
from ingest.records import Flag, RelayState
from ingest.wire import qgdw376_items as items
from ingest.wire.modbus import Refusal
from ingest.wire.qgdw376 import Afn, Control, Frame, Tag
from ingest.wire.qgdw376_items import identifier
from ingest.wire.qgdw376_orders import Order, unit
from tests.ingest.push_rig import PushRig
from tests.ingest.terminal_rig import HOUR, NAME, START, TerminalRig
from tests.ingest.test_dialin import CLOCK


def old_values_under_a_new_time() -> int:
    """A register's answer stays on its way until the next poll asks for the same register."""
    rig = TerminalRig(timeout_s=5.0)
    held: list[bytes] = []

    async def story() -> int:
        await rig.dial()
        deliver = rig.streams[0].ask

        def late(data: bytes) -> list[bytes]:
            answers = deliver(data)
            if data[14:18] != identifier(1, 129):
                return answers
            first, held[:] = not held, held or answers
            return [] if first else [held[0] + answers[0]]

        rig.streams[0].ask = late  # type: ignore[method-assign]
        assert (await rig.link.poll(rig.point(), START)).reads == ()
        rig.meter().advance(rig.clock.now())
        before_wh = rig.meter().register_wh
        poll = await rig.link.poll(rig.point(), START)
        assert poll.register_wh is not None
        return poll.register_wh < before_wh

    return rig.run(story)


def _whatever_comes_is_mine(self: Session, frame: Frame) -> None:
    """What a station does that does not look at the frame's number."""
    if self._asked is not None and not self._asked.done.done():
        self._asked.done.set_result(frame)


def registers_of_an_hour_ago() -> int:
    rig = TerminalRig()
    rig.terminal.faults.add("old_reading")

    async def story() -> int:
        await rig.dial()
        return len((await rig.link.poll(rig.point(), START)).reads)

    return rig.run(story)


def _any_time_will_do(visit: TerminalVisit, at: datetime, slot_end: datetime) -> Flag:
    return Flag.NONE


def another_points_register() -> int:
    rig = TerminalRig(2)
    rig.terminal.faults.add("wrong_point")

    async def story() -> int:
        await rig.dial()
        return len((await rig.link.poll(rig.point(), START)).reads)

    return rig.run(story)


async def _first_unit(
    self: TerminalVisit, fn: int, pn: int | None = None, *, afn: Afn = Afn.CLASS1, data: bytes = b""
) -> items.Unit:
    """What a station does that takes the first unit of whatever it is given."""
    pn = self.point.unit if pn is None else pn
    return items.units(await self.ask(Control.ASK_2, afn, unit(pn, fn, data)))[0]


def orders_on_a_connection_that_was_replaced() -> int:
    rig = TerminalRig()

    async def story() -> int:
        await rig.dial()
        older = rig.hub.sessions()[NAME]
        await rig.dial()
        return not isinstance(await older.ask(CLOCK, timeout_s=1), Refusal)

    return rig.run(story)


def orders_that_only_their_confirmation_shows() -> int:
    rig = TerminalRig()
    rig.terminal.faults.add("lying_state")

    async def story() -> int:
        await rig.dial()
        reason = await rig.link.tell(rig.point(), Order.ALARM, rig.clock.now() + HOUR)
        return not reason and not rig.terminal.alarm

    return rig.run(story)


def trips_that_came_too_late() -> int:
    rig = TerminalRig(model="qgdw376_switching")

    async def story() -> int:
        await rig.dial()
        deliver = rig.streams[0].ask

        def held(data: bytes) -> list[bytes]:
            if data[12] == Afn.CONTROL:
                rig.terminal.skew_s += 121
            return deliver(data)

        rig.streams[0].ask = held  # type: ignore[method-assign]
        await rig.link.drive(rig.point(), rig.order(minutes=2))
        return rig.meter().relay is RelayState.OPEN

    return rig.run(story)


class _NoDelay:
    """A station that lets its orders travel as long as they like."""

    @staticmethod
    def at(counter: int, local: datetime, delay_min: int = 0) -> Tag:
        return Tag.at(counter, local, 0)


def pushed_registers_under_a_later_hour() -> int:
    rig = PushRig()
    rig.meters[1].skew_s = 3600

    async def story() -> int:
        await rig.push()
        await rig.clock.sleep(3600)
        return len((await rig.link.poll(rig.point(), START + timedelta(hours=1))).reads)

    return rig.run(story)


Patch = Callable[[pytest.MonkeyPatch], None]
SAFEGUARDS: dict[str, tuple[Callable[[], int], Patch]] = {
    "frame_number": (
        old_values_under_a_new_time,
        lambda m: m.setattr(Session, "take", _whatever_comes_is_mine),
    ),
    "reading_time": (registers_of_an_hour_ago, lambda m: m.setattr(link_module, "_lateness", _any_time_will_do)),
    "point_in_the_answer": (another_points_register, lambda m: m.setattr(TerminalVisit, "read", _first_unit)),
    "newest_connection": (
        orders_on_a_connection_that_was_replaced,
        lambda m: m.setattr(Session, "end", lambda self: None),
    ),
    "state_after_an_order": (
        orders_that_only_their_confirmation_shows,
        lambda m: m.setattr(link_module, "_TOLD", dict.fromkeys(Order, lambda state, group: True)),
    ),
    "time_tag": (trips_that_came_too_late, lambda m: m.setattr(switch_module, "Tag", _NoDelay)),
    "clock_of_a_push": (
        pushed_registers_under_a_later_hour,
        lambda m: m.setattr(push_module, "CLOCK_LIMIT_S", 10**6),
    ),
}


@pytest.mark.parametrize("name", sorted(SAFEGUARDS))
def test_the_safeguard_stops_it(name: str) -> None:
    assert SAFEGUARDS[name][0]() == 0


@pytest.mark.parametrize("name", sorted(SAFEGUARDS))
def test_without_the_safeguard_it_happens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, take_away = SAFEGUARDS[name]
    take_away(monkeypatch)
    assert scene() > 0
