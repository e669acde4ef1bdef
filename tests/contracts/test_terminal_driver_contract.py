"""What every driver of a terminal that dials in must hold beside the contract of all drivers."""

import os

import pytest

from ingest.drivers import drivers
from ingest.records import Channel, DriveResult, RelayState
from ingest.terminalmodel import TerminalDriver
from ingest.wire import qgdw376_items as items
from ingest.wire.qgdw376 import look
from ingest.wire.qgdw376_orders import asked
from tests.contracts.again import said_again
from tests.ingest.terminal_rig import HOUR, LOAD_W, NAME, START, TerminalRig

KNOWN = {name: driver for name, driver in drivers().items() if isinstance(driver, TerminalDriver)}
ROUNDS = int(os.environ.get("PREWATT_POLLS", "75")) // 3
"""Rounds of three polls on a bad line; PREWATT_POLLS=20000 for a campaign."""
every = pytest.mark.parametrize("driver", KNOWN.values(), ids=KNOWN.keys())


@every
def test_its_items_are_known_and_its_examples_decode_to_the_values_beside_them(driver: TerminalDriver) -> None:
    assert driver.import_fn in (33, 129) and driver.export_fn in (0, 34, 131) and driver.load_fn in (0, 25)
    assert 1 <= driver.control_round <= 8 and 1 <= driver.group <= 8 and driver.closes in ("permit", "direct")
    assert driver.examples
    for request, answer, value in driver.examples:
        question, answered = look(bytes.fromhex(request)).frame, look(bytes.fromhex(answer)).frame
        assert question is not None and answered is not None and question.number == answered.number
        (wanted,), (found,) = asked(question), items.units(answered)
        assert (wanted.pn, wanted.fn) == (found.pn, found.fn) and found.fn == driver.import_fn
        assert items.registers(found).total_wh == value


@every
def test_the_link_reads_the_simulated_terminal_through_it(driver: TerminalDriver) -> None:
    rig = TerminalRig(2, model=driver.name)

    async def main() -> None:
        await rig.dial()
        await rig.clock.sleep(3600 - 0.5)
        for number in (1, 2):
            poll = await rig.link.poll(rig.point(number), START + HOUR)
            assert poll.findings == () and poll.serial == f"{NAME}-{number}"
            by_channel = {read.channel: read for read in poll.reads}
            shown_wh = by_channel[Channel.IMPORT].register_wh
            assert 0 <= rig.meter(number).register_wh - shown_wh <= 2 and poll.register_wh == shown_wh
            assert by_channel[Channel.EXPORT].register_wh == 0 and by_channel[Channel.IMPORT].flags == 0
            assert (poll.power_w, poll.voltage_v) == (LOAD_W * number, 220) and abs(poll.offset_s or 0) <= 1
            assert poll.relay is not None and poll.relay.state is RelayState.CLOSED
            assert said_again(rig.point(number), poll, driver)

    rig.run(main)


@every
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("dead", "timeout"),
        ("half_frame", "timeout"),
        ("wrong_terminal", "timeout"),
        ("wrong_point", "wrong_unit"),
        ("old_reading", "stale_value"),
        ("no_value", "not_available"),
        ("denies", "device_denied"),
    ],
)
def test_no_fault_makes_a_read(driver: TerminalDriver, fault: str, code: str) -> None:
    rig = TerminalRig(model=driver.name)

    async def main() -> None:
        await rig.dial()
        rig.terminal.faults.add(fault)
        poll = await rig.link.poll(rig.point(), START)
        assert poll.reads == () and [finding.code for finding in poll.findings] == [code]

    rig.run(main)


@every
def test_an_answer_once_more_is_never_a_fresh_value(driver: TerminalDriver) -> None:
    rig = TerminalRig(model=driver.name)

    async def main() -> None:
        await rig.dial()
        assert (await rig.link.poll(rig.point(), START)).reads
        rig.terminal.faults.add("stale")
        assert (await rig.link.poll(rig.point(), START + HOUR)).reads == ()

    rig.run(main)


@every
def test_it_trips_exactly_when_it_says_so(driver: TerminalDriver) -> None:
    rig = TerminalRig(model=driver.name)

    async def main() -> None:
        await rig.dial()
        outcome = await rig.link.drive(rig.point(), rig.order())
        if driver.switchable:
            assert (outcome.result, outcome.reason) == (DriveResult.ACKNOWLEDGED, "")
            assert rig.meter().relay is RelayState.OPEN
        else:
            assert (outcome.result, outcome.reason) == (DriveResult.REFUSED, "read_only")
            assert rig.terminal.orders == []

    rig.run(main)


@every
@pytest.mark.parametrize("seed", [1, 2])
def test_no_wrong_value_on_a_bad_line(driver: TerminalDriver, seed: int) -> None:
    """Late, lost and doubled messages and glitch bytes: each value is what the terminal showed at that time."""
    rig = TerminalRig(3, model=driver.name, seed=seed)
    rig.terminal.faults.add("glitch")
    rig.faults.late, rig.faults.late_s = 0.05, 1.3
    rig.faults.lost_request = rig.faults.lost_answer = rig.faults.duplicate = 0.02

    async def story() -> int:
        good = 0
        for _ in range(ROUNDS):
            if not rig.hub.sessions():
                await rig.dial()
            for number in (1, 2, 3):
                metal = rig.meter(number)
                metal.advance(rig.clock.now())
                before_wh = metal.register_wh
                poll = await rig.link.poll(rig.point(number), rig.clock.now())
                metal.advance(rig.clock.now())
                for read in (read for read in poll.reads if read.channel == Channel.IMPORT):
                    good += 1
                    assert before_wh <= read.register_wh <= metal.register_wh
                    assert poll.power_w == LOAD_W * number
            await rig.clock.sleep(600)
        return good

    assert rig.run(story) > ROUNDS // 2
