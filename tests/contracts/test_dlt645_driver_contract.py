"""What every DL/T 645 driver must hold beside the contract of all drivers; a new one needs no edit here."""

import pytest

from ingest.drivers import drivers
from ingest.model import Dlt645Driver, Quantity
from ingest.records import Channel, DriveResult, RelayState
from ingest.wire import dlt645
from ingest.wire.dlt645_items import item_of, readings
from ingest.wire.sift import Sifter
from tests.contracts.again import said_again
from tests.ingest.dlt645_rig import HOUR, LOAD_W, START, Dlt645Rig

KNOWN = {name: driver for name, driver in drivers().items() if isinstance(driver, Dlt645Driver)}
every = pytest.mark.parametrize("driver", KNOWN.values(), ids=KNOWN.keys())


@every
def test_its_identifiers_are_known_and_in_base_units(driver: Dlt645Driver) -> None:
    units = {Quantity.IMPORT: "Wh", Quantity.EXPORT: "Wh", Quantity.POWER: "W", Quantity.VOLTAGE: "V"}
    quantities = [item.quantity for item in driver.identifiers]
    assert len(set(quantities)) == len(quantities) and Quantity.IMPORT in quantities
    for item in driver.identifiers:
        known = item_of(item.identifier)
        assert known is not None and known.unit == units[item.quantity] and item.says


@every
def test_its_examples_decode_to_the_values_beside_them(driver: Dlt645Driver) -> None:
    assert any(quantity is Quantity.IMPORT for _, _, quantity, _ in driver.examples)
    for request, answer, quantity, value in driver.examples:
        frames = [p.content for text in (request, answer) for p in Sifter().feed(bytes.fromhex(text))]
        asked, answered = frames
        assert isinstance(asked, dlt645.Frame) and isinstance(answered, dlt645.Frame)
        wanted = next(item.identifier for item in driver.identifiers if item.quantity is quantity)
        assert asked.identifier == answered.identifier == wanted
        (reading,) = readings(answered)
        assert reading.value is not None and round(reading.value) == value


@every
def test_the_link_reads_the_simulated_meter_through_it(driver: Dlt645Driver) -> None:
    rig = Dlt645Rig(model=driver.name)

    async def main() -> None:
        await rig.clock.sleep(3600)
        poll = await rig.link.poll(rig.point(), START + HOUR)
        assert poll.findings == () and poll.serial == rig.unit().address
        (read,) = poll.reads
        assert read.channel == Channel.IMPORT and 0 <= rig.unit().meter.register_wh - read.register_wh < 10
        assert (poll.power_w, poll.voltage_v, poll.offset_s) == (LOAD_W, 220, 0)
        assert said_again(rig.point(), poll, driver)

    rig.run(main)


@every
def test_no_fault_makes_a_read(driver: Dlt645Driver) -> None:
    for fault in ("dead", "half_frame", "wrong_unit"):
        rig = Dlt645Rig(model=driver.name)
        rig.unit().meter.faults.add(fault)
        poll = rig.run(lambda rig=rig: rig.link.poll(rig.point(), START))  # type: ignore[misc]
        assert poll.reads == (), fault
        assert poll.findings, fault


@every
def test_it_switches_exactly_when_it_says_so(driver: Dlt645Driver) -> None:
    rig = Dlt645Rig(model=driver.name)
    outcome = rig.run(lambda: rig.link.drive(rig.point(), rig.order()))
    if driver.switchable:
        assert outcome.result is DriveResult.ACKNOWLEDGED
        assert rig.unit().meter.relay is RelayState.OPEN
    else:
        assert (outcome.result, outcome.reason) == (DriveResult.REFUSED, "read_only")


@every
@pytest.mark.parametrize("seed", [1, 2])
def test_no_wrong_value_on_a_bad_line(driver: Dlt645Driver, seed: int) -> None:
    """Late, lost and doubled messages and glitch bytes: each value is what the device showed at that time."""
    rig = Dlt645Rig(units=3, model=driver.name, seed=seed)
    rig.unit(1).meter.faults.add("glitch")
    rig.faults.late, rig.faults.late_s = 0.1, 1.3
    rig.faults.lost_request = rig.faults.lost_answer = rig.faults.duplicate = 0.03

    async def story() -> int:
        good = 0
        for _ in range(25):
            for number in (1, 2, 3):
                metal = rig.unit(number).meter
                metal.advance(rig.clock.now())
                before_wh = metal.register_wh
                poll = await rig.link.poll(rig.point(number), rig.clock.now())
                metal.advance(rig.clock.now())
                for read in poll.reads:
                    good += 1
                    assert before_wh - 10 < read.register_wh <= metal.register_wh
                    assert poll.power_w == LOAD_W * number
            await rig.clock.sleep(600)
        return good

    assert rig.run(story) > 15
