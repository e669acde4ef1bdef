"""Terminals that dial in: login and its refusals, heartbeats, replaced and half-open connections, limits."""

import pytest

from ingest.links.dialin import MOST_MISSES, MOST_NOISE, SILENCE_S, DialIn
from ingest.links.door import Door, Limits
from ingest.wire.modbus import Refusal
from ingest.wire.qgdw376 import Afn, Control, Frame, address_of, encode, look, sequence
from ingest.wire.qgdw376_items import identifier
from tests.ingest.terminal_rig import NAME, START, SimListener, TerminalRig

CLOCK = Frame(Control.ASK_2, address_of(NAME, 1), Afn.CLASS1, sequence(0), identifier(0, 2))


def test_a_terminal_logs_in_beats_and_leaves() -> None:
    rig = TerminalRig()

    async def story() -> None:
        session = await rig.dial()
        assert session.logged_in and list(rig.hub.sessions()) == [NAME]
        rig.streams[0].deliver(session.heartbeat())
        rig.streams[0].deliver(session.report())
        await rig.clock.sleep(1)
        assert rig.hub.counts == {"login": 1, "heartbeat": 1, "unasked": 1}
        rig.streams[0].deliver(session.logout())
        await rig.clock.sleep(1)
        assert rig.hub.sessions() == {} and rig.streams[0].closed and rig.hub.door.callers == 0

    rig.run(story)


def test_an_unknown_terminal_is_denied_closed_and_told_of_once() -> None:
    rig = TerminalRig()

    async def story() -> None:
        stranger = await rig.dial(rig.new("020009999"))
        assert stranger.denied and not stranger.logged_in and rig.streams[0].closed
        await rig.dial(rig.new("020009999"))
        assert rig.hub.counts["unknown_terminal"] == 2
        (found,) = rig.hub.news()
        assert found.code == "unknown_terminal" and "020009999 dialled in from 10.0.0.1" in found.detail
        assert rig.hub.news() == ()
        for number in range(1, 200):  # a flood of names is not kept
            await rig.dial(rig.new(f"0300{number:05d}"))
        assert len(rig.hub.news()) <= 64

    rig.run(story)


@pytest.mark.parametrize("first", ["heartbeat", "report"])
def test_nobody_speaks_before_its_login(first: str) -> None:
    rig = TerminalRig()

    async def story() -> None:
        session = await rig.dial(login=False)
        rig.streams[0].deliver(getattr(session, first)())
        await rig.clock.sleep(1)
        assert session.denied and rig.streams[0].closed and rig.hub.sessions() == {}

    rig.run(story)


def test_a_caller_that_says_nothing_or_only_noise_is_closed() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial(login=False)
        await rig.dial(login=False)
        for _ in range(MOST_NOISE // 1000 + 2):
            rig.streams[1].deliver(b"\x11" * 1000)
        await rig.clock.sleep(1)
        assert (rig.streams[0].closed, rig.streams[1].closed) == (False, True)
        await rig.clock.sleep(31)
        assert rig.streams[0].closed and rig.hub.counts == {"noise": 1, "no_login": 1}

    rig.run(story)


def test_silence_beyond_the_heartbeats_ends_a_session() -> None:
    rig = TerminalRig()

    async def story() -> None:
        session = await rig.dial(beats=False)
        for _ in range(3):
            await rig.clock.sleep(SILENCE_S - 10)
            rig.streams[0].deliver(session.heartbeat())
        assert rig.hub.sessions()
        await rig.clock.sleep(SILENCE_S + 1)
        assert rig.hub.sessions() == {} and rig.hub.counts["silent"] == 1

    rig.run(story)


def test_the_newest_connection_wins_and_the_older_is_fenced() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial()
        older = rig.hub.sessions()[NAME]
        await rig.dial()
        newer = rig.hub.sessions()[NAME]
        assert newer is not older and newer.generation == older.generation + 1
        assert rig.streams[0].closed and not rig.streams[1].closed
        refused = await older.ask(CLOCK, timeout_s=1)
        assert isinstance(refused, Refusal) and refused.reason == "unreachable"
        assert isinstance(await newer.ask(CLOCK, timeout_s=1), Frame)
        await rig.clock.sleep(5)  # the older one's end takes nothing from the newer
        assert rig.hub.sessions()[NAME] is newer and rig.hub.counts["replaced"] == 1

    rig.run(story)


def test_a_request_under_way_when_its_terminal_dials_anew_ends_as_unknown() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial()
        older = rig.hub.sessions()[NAME]
        rig.terminal.faults.add("dead")

        async def again() -> None:
            await rig.clock.sleep(0.5)
            await rig.dial()

        task = rig.loop.create_task(again())
        refused = await older.ask(CLOCK, timeout_s=10)
        assert isinstance(refused, Refusal) and refused.reason == "closed"
        await task

    rig.run(story)


def test_a_half_open_connection_is_given_up_after_a_few_requests() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial()
        session = rig.hub.sessions()[NAME]
        rig.faults.lost_request = 1.0
        for _ in range(MOST_MISSES):
            refused = await session.ask(CLOCK, timeout_s=1)
            assert isinstance(refused, Refusal) and refused.reason == "timeout"
        await rig.clock.sleep(0.1)
        assert rig.hub.sessions() == {} and rig.streams[0].closed

    rig.run(story)


def test_a_late_answer_is_nobodys() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial()
        session = rig.hub.sessions()[NAME]
        rig.faults.late, rig.faults.late_s = 1.0, 1.5
        assert isinstance(await session.ask(CLOCK, timeout_s=1), Refusal)
        rig.faults.late = 0.0
        assert isinstance(await session.ask(CLOCK._replace(body=identifier(0, 5)), timeout_s=1), Frame)
        await rig.clock.sleep(3)
        assert session.dropped["stale_answer"] == 1

    rig.run(story)


def test_an_answer_in_several_frames_is_put_together_and_a_gap_in_it_is_seen() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial()
        session, stream = rig.hub.sessions()[NAME], rig.streams[0]
        parts: list[Frame] = []

        def in_parts(data: bytes) -> list[bytes]:
            asked = look(data).frame
            assert asked is not None
            numbers = [(asked.number + step) & 0x0F for step in range(3)]
            flags = (0x40, 0x00, 0x20)
            parts[:] = [
                Frame(0x88, asked.address, Afn.CLASS1, flag | number, bytes([number]))
                for flag, number in zip(flags, numbers, strict=True)
            ]
            return [b"".join(encode(part) for part in parts if part.body[0] not in lost)]

        lost: set[int] = set()
        stream.ask = in_parts  # type: ignore[method-assign]
        for _ in range(20):  # over the end of the four bits
            answer = await session.ask(CLOCK, timeout_s=1)
            assert isinstance(answer, Frame) and answer.body == b"".join(part.body for part in parts)
        lost = {(parts[0].number + 2) & 0x0F}  # the next answer's middle frame
        refused = await session.ask(CLOCK, timeout_s=1)
        assert isinstance(refused, Refusal) and refused.reason == "half_frame"

    rig.run(story)


def test_event_counters_in_an_answer_are_taken_off() -> None:
    rig = TerminalRig()
    rig.terminal.events = b"\x4f\x01"

    async def story() -> None:
        await rig.dial()
        answer = await rig.hub.sessions()[NAME].ask(CLOCK, timeout_s=1)
        assert isinstance(answer, Frame) and answer.events == b"\x4f\x01" and len(answer.body) == 10
        poll = await rig.link.poll(rig.point(), START)
        assert poll.reads and poll.findings == ()

    rig.run(story)


def test_a_number_that_owes_an_answer_is_given_to_nobody_else() -> None:
    """Four bits come round after sixteen requests: the late answer would fit the seventeenth."""
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial()
        session, stream = rig.hub.sessions()[NAME], rig.streams[0]
        deliver, numbers, held = stream.ask, list[int](), list[bytes]()

        def noted(data: bytes) -> list[bytes]:
            numbers.append(data[13] & 0x0F)
            answers = deliver(data)
            if not held:
                held.extend(answers)
                return []
            return answers

        stream.ask = noted  # type: ignore[method-assign]
        assert isinstance(await session.ask(CLOCK, timeout_s=1), Refusal)
        for _ in range(32):
            assert isinstance(await session.ask(CLOCK, timeout_s=1), Frame)
        assert numbers[0] not in numbers[1:]
        stream.deliver(held[0])
        await rig.clock.sleep(0.1)
        assert session.dropped["stale_answer"] == 1
        for _ in range(16):
            assert isinstance(await session.ask(CLOCK, timeout_s=1), Frame)
        assert numbers[0] in numbers[33:]  # it came: the number is free again

    rig.run(story)


def test_an_asker_that_gives_up_leaves_its_number_owed() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial()
        session = rig.hub.sessions()[NAME]
        rig.terminal.faults.add("dead")
        for _ in range(16):
            task = rig.loop.create_task(session.ask(CLOCK, timeout_s=60))
            await rig.clock.sleep(0.3)
            task.cancel()
            await rig.clock.sleep(0.01)
        refused = await session.ask(CLOCK, timeout_s=1)
        assert isinstance(refused, Refusal) and refused.reason == "unreachable" and not session.alive
        rig.terminal.faults.clear()
        await rig.dial()
        assert isinstance(await rig.hub.sessions()[NAME].ask(CLOCK, timeout_s=1), Frame)

    rig.run(story)


def test_more_callers_than_allowed_are_closed_unread() -> None:
    rig = TerminalRig(total=5, each=3)

    async def story() -> None:
        for _ in range(4):
            await rig.dial(login=False)
        assert [stream.closed for stream in rig.streams] == [False, False, False, True]
        for number in range(3):
            await rig.dial(login=False, peer=f"10.0.1.{number}")
        assert [stream.closed for stream in rig.streams[4:]] == [False, False, True]
        assert rig.hub.door.refused == {"too_many_of_one_address": 1, "too_many": 1}
        rig.streams[0].close()  # a place is free again
        await rig.clock.sleep(0.1)
        await rig.dial()
        assert list(rig.hub.sessions()) == [NAME]

    rig.run(story)


def test_a_frame_of_another_terminal_on_a_session_counts_for_nothing() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial()
        rig.terminal.faults.add("wrong_terminal")
        refused = await rig.hub.sessions()[NAME].ask(CLOCK, timeout_s=1)
        assert isinstance(refused, Refusal) and rig.hub.counts["wrong_terminal"] == 1

    rig.run(story)


def test_two_links_share_a_terminal_and_the_last_one_closes_the_door() -> None:
    rig = TerminalRig()

    async def story() -> None:
        rig.hub.expect(NAME)
        await rig.dial()
        await rig.hub.forget(NAME)
        assert rig.hub.sessions() and rig.listener.arrived is not None
        await rig.link.close()
        await rig.clock.sleep(0.1)
        assert rig.hub.sessions() == {} and rig.listener.arrived is None
        rig.hub.expect(NAME)
        assert await rig.hub.session(NAME, 0.1) == Refusal("unreachable", f"terminal {NAME} has not dialled in")
        await rig.hub.forget(NAME)
        late = await rig.hub.session(NAME, 1)  # an asker that came after the close
        assert isinstance(late, Refusal) and "closed" in late.detail

    rig.run(story)


def test_an_address_that_cannot_be_listened_on_is_a_refusal() -> None:
    rig = TerminalRig()

    class Taken(SimListener):
        async def listen(self, *_: object) -> SimListener:
            raise OSError("address in use")

    async def story() -> None:
        hub = DialIn(rig.clock, Taken(), "h", 1)
        hub.expect(NAME)
        assert await hub.session(NAME, 1) == Refusal("unreachable", "cannot listen: address in use")
        with pytest.raises(ValueError, match="terminal"):
            hub.expect("nonsense")

    rig.run(story)


def test_an_error_of_ours_in_one_caller_stops_no_other() -> None:
    rig = TerminalRig()

    async def story() -> None:
        listener = SimListener()

        async def broken(stream: object, peer: str) -> None:
            raise ZeroDivisionError(peer)

        door = Door(listener, "h", 1, broken, limits=Limits(2, 2))
        await door.open()
        await rig.dial()
        for stream in rig.streams * 3:
            door.arrived(stream, "a")
            await rig.clock.sleep(0.01)
        assert door.callers == 0 and door.refused == {}
        await door.close()

    rig.run(story)
    assert rig.terminal.points[1].at == START
