"""What a terminal reports unasked: confirmed, kept raw, its registers fill missing slots, nothing else is believed."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.drivers import drivers
from ingest.frames import FrameReader
from ingest.links import dialin, qgdw376_reports
from ingest.pushes import profiles
from ingest.rawpoll import keep
from ingest.records import Channel, Flag
from ingest.wire import qgdw376
from ingest.wire.qgdw376 import Afn, Control
from ingest.wire.qgdw376_curves import KINDS, MINUTES, curve, curve_bytes
from ingest.wire.qgdw376_items import Unit, identifier, units
from sim.terminal import TerminalSession
from tests.ingest.terminal_rig import HOUR, NAME, START, TerminalRig


class Log:
    """The raw store's inbox."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, bytes, str]] = []

    def add(self, source: str, at: datetime, frame: bytes, reason: str) -> None:
        assert at
        self.rows.append((source, frame, reason))


async def reported(rig: TerminalRig, *frames: bytes) -> None:
    for frame in frames:
        rig.streams[-1].deliver(frame)
    await rig.clock.sleep(1)


async def hours_later(rig: TerminalRig, hours: int) -> TerminalSession:
    session = await rig.dial()
    await rig.clock.sleep(hours * 3600)
    for meter in rig.terminal.points.values():
        meter.advance(rig.clock.now())
    return session


def test_a_reported_curve_fills_the_hours_that_are_missing_and_is_kept_as_it_came() -> None:
    rig = TerminalRig(2)

    async def story() -> None:
        session = await hours_later(rig, 6)
        frame = session.report_curve(2, 5)
        await reported(rig, frame)
        poll = await rig.link.poll(rig.point(2), START + 6 * HOUR)
        assert {read.end for read in poll.reads} == {START + 6 * HOUR}, "a slot that was read is not read twice"
        log = Log()
        keep(log, rig.point(2), poll, drivers()["qgdw376_terminal"])
        assert ("report:t1:T2", frame, "unasked") in log.rows
        assert (await rig.link.poll(rig.point(2), START + 6 * HOUR)).unasked == ()
        filled = await rig.link.profile(rig.point(2), START + HOUR, START + 5 * HOUR)
        shown = {read.end: read.register_wh for read in filled.reads}
        stored = dict(rig.meter(2).profile)
        assert shown == {at: stored[at] // 10 * 10 for at in (START + n * HOUR for n in range(2, 6))}
        assert {(read.channel, read.flags) for read in filled.reads} == {(Channel.IMPORT, int(Flag.BACKFILL))}
        assert (await rig.link.profile(rig.point(1), START, START + 5 * HOUR)).reads == (), (
            "another point's are not its"
        )

    rig.run(story)


def test_what_is_off_its_slot_ahead_or_of_no_known_layout_fills_nothing() -> None:
    rig = TerminalRig()

    async def story() -> None:
        session = await hours_later(rig, 3)
        wall = rig.terminal.wall
        bodies = (
            identifier(1, 101) + curve_bytes(101, wall(START + HOUR / 2), 3, [1, 2]),  # between slots
            identifier(1, 101) + curve_bytes(101, wall(START + 5 * HOUR), 3, [1, 2]),  # ahead of us
            identifier(1, 101) + curve_bytes(101, wall(START + HOUR), 3, [None, None]),
            identifier(1, 101) + curve_bytes(101, wall(START + HOUR), 9, [1, 2]),  # no density
            identifier(1, 97) + curve_bytes(97, wall(START + HOUR), 3, [1, 2]),  # energy is no register
            identifier(1, 240) + b"\x01\x02\x03",
            identifier(1, 101) + b"\x00",
        )
        await reported(rig, *(session._own(Control.TERMINAL_SENDS, Afn.CLASS2, body) for body in bodies))
        poll = await rig.link.poll(rig.point(), START + 3 * HOUR)
        assert len(poll.unasked) == len(bodies) and poll.ok
        assert (await rig.link.profile(rig.point(), START, START + 9 * HOUR)).reads == ()

    rig.run(story)


def test_a_profile_that_believes_no_curve_takes_none_from_it() -> None:
    rig = TerminalRig()
    known = drivers()["qgdw376_terminal"]
    rig.link._drivers = {**drivers(), known.name: replace(known, import_curve_fn=0)}  # type: ignore[type-var]

    async def story() -> None:
        session = await hours_later(rig, 3)
        await reported(rig, session.report_curve(1, 3))
        assert (await rig.link.profile(rig.point(), START, START + 3 * HOUR)).reads == ()

    rig.run(story)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialin, "MOST_REPORTS", 2)
    monkeypatch.setattr(qgdw376_reports, "MOST_POINTS", 1)
    rig = TerminalRig(2)

    async def story() -> None:
        session = await hours_later(rig, 3)
        frames = [session.report_curve(n, 3) for n in (2, 1, 2)]
        await reported(rig, *frames)
        assert rig.hub.counts["reports_dropped"] == 1
        assert (await rig.link.poll(rig.point(), START + 3 * HOUR)).unasked == tuple(frames[1:])
        filled = [await rig.link.profile(rig.point(n), START, START + 3 * HOUR) for n in (1, 2)]
        assert [bool(one.reads) for one in filled] == [False, True], "the newest point's stay"

    rig.run(story)


@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(sorted(MINUTES)),
    st.lists(st.none() | st.integers(0, 9_999), max_size=40),
)
def test_curves_come_back_as_they_were_written(fn: int, density: int, values: list[int | None]) -> None:
    start = datetime(2026, 7, 1, 9, 15)
    points = curve(Unit(1, fn, curve_bytes(fn, start, density, values)))
    assert [point.at for point in points] == [
        start + timedelta(minutes=n * MINUTES[density]) for n in range(len(values))
    ]
    exponent = KINDS[fn][1]
    assert [point.value for point in points] == [None if v is None else Decimal(v).scaleb(exponent) for v in values]


def test_a_curve_decodes_for_people_with_units_and_utc() -> None:
    rig = TerminalRig()

    async def story() -> None:
        session = await hours_later(rig, 2)
        (frame,) = FrameReader(profiles()).whole(session.report_curve(1, 2))
        assert frame.status == "ok" and frame.meter == f"{NAME}-1"
        assert [(value.obis, value.unit, value.time) for value in frame.values] == [
            ("1.0.1.8.0.255", "Wh", START + HOUR),
            ("1.0.1.8.0.255", "Wh", START + 2 * HOUR),
        ]

    rig.run(story)


@pytest.mark.parametrize("fn", sorted(KINDS))
def test_what_stands_behind_a_curve_is_found(fn: int) -> None:
    data = curve_bytes(fn, datetime(2026, 7, 1), 1, [1, None, 3])
    session = TerminalRig().terminal.session()
    body = identifier(1, fn) + data + identifier(2, fn) + data
    frame = qgdw376.look(session._own(Control.TERMINAL_SENDS, Afn.CLASS2, body)).frame
    assert frame is not None and units(frame) == (Unit(1, fn, data), Unit(2, fn, data))
