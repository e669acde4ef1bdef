"""What every driver must hold, whoever wrote it: it is data, its example decodes, and the simulator shows it."""

import re
from dataclasses import FrozenInstanceError
from datetime import datetime
from pathlib import Path

import pytest

from ingest.drivers import drivers
from ingest.links.requests import read_request
from ingest.model import Driver, ModbusDriver, Quantity, expected_serial
from ingest.records import Channel, Drive, DriveResult, RelayState
from ingest.wire.modbus import check
from ingest.wire.registers import Block, relay_register, step, visit_plan
from tests.contracts.again import said_again
from tests.ingest.rig import LOAD_W, START, Rig

KNOWN = drivers()
MODBUS = {name: driver for name, driver in KNOWN.items() if isinstance(driver, ModbusDriver)}
every = pytest.mark.parametrize("driver", KNOWN.values(), ids=KNOWN.keys())
modbus = pytest.mark.parametrize("driver", MODBUS.values(), ids=MODBUS.keys())
FOLDER = Path(__file__).resolve().parents[2] / "ingest" / "drivers"


@every
def test_it_says_who_it_is(driver: Driver) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", driver.name)
    assert driver.protocol
    assert driver.title
    assert driver.proven
    assert 1_000 <= driver.max_power_w <= 1_000_000


@every
def test_it_is_frozen(driver: Driver) -> None:
    with pytest.raises((FrozenInstanceError, AttributeError)):
        driver.name = "other"  # type: ignore[misc]


def test_a_driver_file_is_one_constant_and_is_called_like_it() -> None:
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        text = path.read_text(encoding="utf-8")
        assert path.stem in KNOWN, path.name
        assert "DRIVER" in text
        assert not re.search(r"^(def|class) ", text, re.M), f"{path.name} holds code; a driver is data"
        assert len(text.splitlines()) <= 120, path.name


@modbus
def test_its_examples_decode_to_the_values_beside_them(driver: ModbusDriver) -> None:
    registers = [*driver.registers, *filter(None, [relay_register(driver)])]
    assert driver.examples
    assert any(e.quantity is Quantity.IMPORT for e in driver.examples) or "energy unproven" in driver.proven
    for example in driver.examples:
        request = bytes.fromhex(example.request)
        address, count = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
        assert request == read_request(request[0], address, count)
        data = check(request, bytes.fromhex(example.response))
        assert isinstance(data, bytes), data
        one = next(r for r in registers if r.quantity is example.quantity)
        assert one.function == request[0]
        assert Block(request[0], address, count, ()).value(one, data) == example.value, example.source


@modbus
def test_proof_is_not_claimed_for_frames_made_here(driver: ModbusDriver) -> None:
    others = [example for example in driver.examples if not example.source.startswith("made here")]
    assert bool(others) == (driver.proven != "unproven")


@modbus
def test_its_registers_lie_inside_the_protocol(driver: ModbusDriver) -> None:
    for register in driver.registers:
        assert register.function in (3, 4)
        assert 0 <= register.address <= 0x10000 - register.count
        assert register.scale > 0
        assert register.says
        assert all(0 <= pattern < 1 << 16 * register.count for pattern in register.not_available)
    assert all(block.count <= min(125, driver.most_registers) for block in visit_plan(driver))
    assert len(visit_plan(driver)) <= 4


@modbus
def test_its_relay_can_be_told_apart(driver: ModbusDriver) -> None:
    relay = driver.relay
    if relay is None:
        assert not driver.switchable
        return
    assert relay.write in (5, 6, 16)
    assert relay.close != relay.open
    assert relay.closed != relay.opened
    assert relay.closed & relay.read_mask == relay.closed
    assert relay.opened & relay.read_mask == relay.opened
    assert relay.read in (3, 4)
    assert driver.switchable == relay.verified


@modbus
def test_the_link_reads_the_simulated_meter_through_it(driver: ModbusDriver) -> None:
    rig = Rig()
    point = rig.meter(driver.name, 3)
    poll = rig.run(lambda: rig.links["g1"].poll(point, START))
    assert poll.findings == ()
    assert poll.serial == expected_serial(driver, rig.meters["M1"].serial, 3)
    imported = next(read for read in poll.reads if read.channel == Channel.IMPORT)
    assert 0 <= rig.meters["M1"].register_wh - imported.register_wh <= 100
    assert poll.power_w == LOAD_W
    assert said_again(point, poll, driver)


@modbus
def test_no_fault_makes_a_read(driver: ModbusDriver) -> None:
    for fault in ("dead", "half_frame", "wrong_unit"):
        if fault == "wrong_unit" and driver.identity is None:
            continue  # such a meter cannot tell itself from its neighbour: the driver table says so
        rig = Rig()
        point = rig.meter(driver.name, 3)
        rig.meter(driver.name, 4)
        rig.meters["M1"].faults.add(fault)
        poll = rig.run(lambda rig=rig, point=point: rig.links["g1"].poll(point, START))  # type: ignore[misc]
        assert poll.reads == (), fault
        assert poll.findings, fault


@modbus
def test_it_switches_exactly_when_it_says_so(driver: ModbusDriver) -> None:
    rig = Rig()
    point = rig.meter(driver.name)
    order = Drive("C1", point.meter, "disconnect", 1, datetime(2026, 7, 2))
    outcome = rig.run(lambda: rig.links["g1"].drive(point, order))
    metal = rig.meters["M1"]
    if driver.switchable:
        assert outcome.result is DriveResult.ACKNOWLEDGED
        assert metal.relay is RelayState.OPEN
    else:
        assert (outcome.result, outcome.reason) == (DriveResult.REFUSED, "read_only")
        assert metal.relay is RelayState.CLOSED


@modbus
@pytest.mark.parametrize("seed", [1, 2])
def test_no_wrong_value_on_a_bad_line(driver: ModbusDriver, seed: int) -> None:
    """Late, lost and doubled messages: what comes out is what the device showed at that time, within its resolution."""
    rig = Rig(seed)
    points = [rig.meter(driver.name, unit, load_w=1000 * unit) for unit in (1, 2, 3)]
    rig.faults.late, rig.faults.late_s = 0.15, 1.3
    rig.faults.lost_request = rig.faults.lost_answer = rig.faults.duplicate = 0.04
    coarse_wh = max(1, step(next(r for r in driver.registers if r.quantity is Quantity.IMPORT)))

    async def story() -> int:
        good = 0
        for _ in range(25):
            for point in points:
                metal = rig.meters[point.meter]
                metal.advance(rig.clock.now())
                before_wh = metal.register_wh
                poll = await rig.links["g1"].poll(point, rig.clock.now())
                metal.advance(rig.clock.now())
                for read in (r for r in poll.reads if r.channel == Channel.IMPORT):
                    good += 1
                    assert before_wh - coarse_wh < read.register_wh <= metal.register_wh
                    assert poll.power_w == 1000 * point.unit
            await rig.clock.sleep(120)
        return good

    assert rig.run(story) > 20
