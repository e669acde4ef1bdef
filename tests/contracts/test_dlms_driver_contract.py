"""What every DLMS driver must hold beside the contract of all drivers; a new one is covered without an edit here."""

from dataclasses import replace

import pytest

from ingest.drivers import drivers
from ingest.model import DlmsDriver, Quantity
from ingest.records import DriveResult, Poll, RelayState
from ingest.wire import apdu
from ingest.wire.ciphering import Keys
from ingest.wire.cosem import obis_bytes
from ingest.wire.security import Wrap
from sim.concentrator import SECRET
from sim.logicaldevice import Firmware
from tests.contracts.again import said_again
from tests.ingest.dlms_rig import HOUR, START, DlmsRig, load

DLMS = {name: driver for name, driver in drivers().items() if isinstance(driver, DlmsDriver)}
dlms = pytest.mark.parametrize("driver", DLMS.values(), ids=DLMS.keys())


def rig(driver: DlmsDriver) -> DlmsRig:
    keys = Keys(bytes(range(16)), bytes(range(16, 32))) if driver.authentication == "hls-gmac" else None
    return DlmsRig(firmware=Firmware(driver, SECRET if driver.authentication == "lls" else None), keys=keys)


@dlms
def test_its_objects_are_what_the_link_reads(driver: DlmsDriver) -> None:
    quantities = [item.quantity for item in driver.objects]
    assert len(set(quantities)) == len(quantities)
    assert {Quantity.IDENTITY, Quantity.IMPORT} <= set(quantities)
    assert all(item.says for item in driver.objects)
    assert driver.authentication in ("none", "lls", "hls-gmac")
    assert Wrap(driver.ciphering)
    for item in driver.objects:
        obis_bytes(item.obis)
    assert set(driver.profile_columns) <= set(quantities)
    assert driver.profile_minutes in (15, 30, 60)


@dlms
def test_its_examples_are_requests_with_their_answers(driver: DlmsDriver) -> None:
    assert driver.examples
    for request, response in driver.examples:
        asked, answered = apdu.decode(bytes.fromhex(request)), apdu.decode(bytes.fromhex(response))
        assert isinstance(asked, apdu.GetRequest) and isinstance(answered, apdu.GetResponse)
        assert asked.invoke == answered.invoke
        assert not isinstance(answered.result, apdu.Denied)
        assert any((asked.name.class_id, asked.name.obis) == (item.class_id, item.obis) for item in driver.objects)


@dlms
def test_the_link_reads_the_simulated_meter_through_it(driver: DlmsDriver) -> None:
    here = rig(driver)
    point = replace(here.point(), model=driver.name)

    async def main() -> tuple[Poll, Poll]:
        await here.clock.sleep(5 * 3600)
        return await here.link.poll(point, START + 5 * HOUR), await here.link.profile(point, START, START + 5 * HOUR)

    poll, filled = here.run(main)
    assert poll.findings == filled.findings == ()
    assert poll.serial == here.meter().serial
    assert 0 <= here.meter().register_wh - poll.reads[0].register_wh <= 1
    assert len(filled.reads) == (5 if driver.load_profile else 0)
    assert poll.power_w == load(here.clock.now())
    assert said_again(point, poll, driver)


@dlms
def test_no_fault_makes_a_read(driver: DlmsDriver) -> None:
    for fault in ("dead", "half_frame", "wrong_unit", "garbled", "exception"):
        here = rig(driver)
        here.meter().faults.add(fault)
        poll = here.run(lambda here=here: here.link.poll(replace(here.point(), model=driver.name), START))  # type: ignore[misc]
        assert poll.reads == (), fault
        assert poll.findings, fault


@dlms
def test_it_switches_exactly_when_it_says_so(driver: DlmsDriver) -> None:
    here = rig(driver)
    outcome = here.run(lambda: here.link.drive(replace(here.point(), model=driver.name), here.order()))
    if driver.switchable:
        assert outcome.result is DriveResult.ACKNOWLEDGED
        assert here.meter().relay is RelayState.OPEN
    else:
        assert (outcome.result, outcome.reason) == (DriveResult.REFUSED, "read_only")
