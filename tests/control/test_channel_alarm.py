"""The meter's own alarm over a real link to a simulated DL/T 645 meter: on with a warning, off when money came."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from control import assemble, keeppower, notices, settle
from control.alerts import AlertDue
from control.channels.alarm import MeterAlarm
from control.ports import ChannelError, Delivery
from control.records import Hold, Notice
from ingest.records import DriveResult
from storage.records import AccountState
from storage.store import Store
from storage.writer import Priority
from tests.control.rig import SETTINGS, Rig
from tests.ingest.dlt645_rig import Dlt645Rig

ROUTES = {**SETTINGS.routes, "meter": "alarm"}
WARNING = AlertDue("hours.24", "meter", "warning", {"amount": "3.20"})


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, settings=replace(SETTINGS, routes=ROUTES))


def rows(rig: Rig) -> list[Notice]:
    found: list[Notice] = rig.find(Notice, recipient="meter", order="created")
    return found


def warn(rig: Rig) -> None:
    case = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
    assert case is not None
    rig.store.write(Priority.COMMAND, lambda unit: notices.queue(unit, case, [WARNING], rig.world()))


def test_a_warning_sets_the_meters_alarm_off_and_money_stops_it(rig: Rig) -> None:
    warn(rig)
    (warning,) = rows(rig)
    assert (warning.channel, warning.address, warning.state) == ("alarm", "A1", "queued")
    rig.store.write(Priority.MONEY, lambda unit: settle.settle(unit, rig.payment(200), rig.world()))
    clear = next(row for row in rows(rig) if row.code == "all_clear")
    assert clear.epoch == 2 and "190.00" in clear.text
    line = Dlt645Rig()
    rig.put(line.point(meter="M1"))
    assert isinstance(rig.store, Store)
    alarm = MeterAlarm(store=rig.store, links=lambda: {"s1": line.link})

    async def story() -> None:
        assert await alarm.send(warning, rig.clock.now()) == warning.notice and line.unit().meter.alarm
        assert (await alarm.receipt(warning.notice, rig.clock.now())).state == "delivered"
        await alarm.send(clear, rig.clock.now())
        assert not line.unit().meter.alarm

    rig.clock.at = line.clock.now()
    line.run(story)


def test_whom_no_alarm_was_told_of_needs_no_all_clear(rig: Rig) -> None:
    rig.store.write(Priority.MONEY, lambda unit: settle.settle(unit, rig.payment(200), rig.world()))
    state = rig.get(AccountState, "A1")
    assert isinstance(state, AccountState) and state.epoch == 2 and rows(rig) == []


def test_an_alarm_in_force_is_no_receipt_of_the_customers(rig: Rig) -> None:
    warn(rig)
    (row,) = rows(rig)
    rig.put(replace(row, state="delivered", delivered_at=rig.clock.now(), rung="final.2"))
    found = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
    assert found is not None and "final.2" not in found.delivered


def test_a_gateway_without_alarms_fails_for_good_and_a_silent_meter_does_not(rig: Rig) -> None:
    warn(rig)
    (warning,) = rows(rig)
    line = Dlt645Rig()
    assert isinstance(rig.store, Store)
    alarm = MeterAlarm(store=rig.store, links=lambda: {"s1": line.link, "G1": rig.link})

    async def fails() -> bool:
        with pytest.raises(ChannelError) as failed:
            await alarm.send(warning, rig.clock.now())
        return failed.value.permanent

    async def story() -> None:
        assert await fails(), "a Modbus gateway has no alarm"
        rig.put(line.point(meter="M1"))
        line.faults.down.add("s1")
        assert not await fails()

    line.run(story)


def test_a_protected_customers_meter_keeps_power_until_the_last_hold_ends(rig: Rig) -> None:
    """The engine's own sweep writes, the channel tells the meter, and the meter then refuses a trip by itself."""
    now, hour = rig.clock.now(), timedelta(hours=1)
    medical = Hold("h-1", "A1", "medical", "clinic", now - hour)
    rig.put(medical, Hold("h-2", "A1", "dispute", "court", now - hour), Hold("h-3", "", "protected", "house", now))
    line = Dlt645Rig()
    rig.put(line.point(meter="M1"))
    assert isinstance(rig.store, Store)
    alarm = MeterAlarm(store=rig.store, links=lambda: {"s1": line.link})

    def swept() -> list[str]:
        rig.store.write(Priority.COMMAND, lambda unit: rig.engine()._crews(unit))
        return [row.rung for row in rows(rig)]

    assert swept() == swept() == ["keep_power.h-1"]
    rig.put(replace(medical, end=now), Hold("h-4", "A1", "keep_power", "fair", now - hour, now + hour))
    assert sorted(swept()) == ["keep_power.h-1", "keep_power.h-4"], "another hold still protects"
    rig.clock.forward(3600)
    assert sorted(swept()) == ["keep_power.h-1", "keep_power.h-4", "keep_power_off.h-1", "keep_power_off.h-4"]
    on, off = (next(row for row in rows(rig) if row.code == code) for code in ("keep_power", "keep_power_off"))

    async def story() -> None:
        await alarm.send(on, line.clock.now())
        out = await line.link.drive(line.point(), line.order())
        assert (out.result, out.reason) == (DriveResult.REFUSED, "other")
        await alarm.send(off, line.clock.now())
        assert (await line.link.drive(line.point(), line.order("disconnect", 2))).result is DriveResult.ACKNOWLEDGED

    line.run(story)


class Taking:
    """A meter that takes whatever it is told."""

    name = "alarm"

    def __init__(self) -> None:
        self.told: list[str] = []

    async def send(self, notice: Notice, now: datetime) -> str:
        del now
        self.told.append(notice.rung)
        return notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        return Delivery("delivered", now, message_id)


def test_an_order_that_waited_while_the_holds_changed_does_not_undo_a_later_one(rig: Rig) -> None:
    now, hour = rig.clock.now(), timedelta(hours=1)
    first, meter = Hold("h-1", "A1", "medical", "clinic", now - hour), Taking()
    sender = notices.Sender(rig.store, rig.clock, {"alarm": meter}, SETTINGS)

    def swept(*holds: Hold) -> None:
        rig.put(*holds)
        rig.store.write(Priority.COMMAND, lambda unit: keeppower.sweep(unit, rig.world()))

    swept(first)
    asyncio.run(sender.run_once())
    swept(replace(first, end=now))
    swept(Hold("h-2", "A1", "keep_power", "fair", now, now + hour))
    asyncio.run(sender.run_once())
    assert meter.told == ["keep_power.h-1", "keep_power.h-2"], "the off of h-1 had waited until h-2 was there"
    (off,) = (row for row in rows(rig) if row.rung == "keep_power_off.h-1")
    assert (off.state, off.error) == ("failed", "outdated")
    rig.clock.forward(2 * 3600)
    swept()
    asyncio.run(sender.run_once())
    assert meter.told[-1] == "keep_power_off.h-2"


def test_an_all_clear_that_waited_does_not_silence_the_next_warning(rig: Rig) -> None:
    meter = Taking()
    sender = notices.Sender(rig.store, rig.clock, {"alarm": meter}, SETTINGS)
    warn(rig)
    rig.store.write(Priority.MONEY, lambda unit: settle.settle(unit, rig.payment(200), rig.world()))
    warn(rig)
    asyncio.run(sender.run_once())
    assert meter.told == ["hours.24"]
    assert {row.code: row.error for row in rows(rig) if row.state == "failed"} == {
        "warning": "epoch_over",
        "all_clear": "outdated",
    }
