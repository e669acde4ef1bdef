"""Garbage, half frames, a wrong unit, a clock an hour off: kept aside, counted, visible, and nothing else stops."""

import json
import signal
import socket
import time
from datetime import timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from sim.clock import TestClock
from sim.town import Town, build
from tests.prewatt.conftest import Run
from tests.simulation import facts, homes
from tests.simulation.day import Day, Moment

pytestmark = pytest.mark.sockets
HOURS = 4
TOPIC = "prewatt/v1/handheld/A7/read"
PAYLOADS = (b"\xff\xfe\x00garbage", b'{"message_id": "A7-1", "seq": 1, "at": "2026', b"x" * 200_000, b"[" * 5_000)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shout(port: int) -> None:
    """Publish what no handheld would."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="stranger", protocol=mqtt.MQTTv311)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for payload in PAYLOADS:
        client.publish(TOPIC, payload, qos=1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def victims(town: Town) -> dict[str, str]:
    """One meter for each fault: two behind each protocol's gateway."""
    modbus = [site.point.meter for site in town.sites if site.point.protocol == "modbus"]
    dlms = [site.point.meter for site in town.sites if site.point.protocol == "dlms"]
    return {"half_frame": modbus[0], "wrong_unit": modbus[1], "skew": dlms[0], "garbled": dlms[1]}


def test_hostile_input_stops_nothing_else(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    town, port = build(3, 10), free_port()
    broken = victims(town)
    last: dict[str, float] = {}

    def each(moment: Moment, day: Day) -> None:
        if moment.number == 1:
            for fault, meter in broken.items():
                skew = {"do": "skew", "meter": meter, "s": 3600}
                day.field.order(**(skew if fault == "skew" else {"do": "fault", "meter": meter, "fault": fault}))
            shout(port)
        last.update(day.daemon.metrics())

    broker = f"[broker]\nenabled = true\nembedded = true\nunsigned = true\nport = {port}\n"
    day = Day(tmp_path / "d", town, HOURS, extra=homes.Extra(broker, timeout_ms=400))
    found = day.live(each)
    ids = {site.point.meter: site.point.meter_id for site in town.sites}
    well = {ids[meter] for meter in ids if meter not in broken.values()}
    slots = {(row[0], row[2]) for row in found["reads"] if row[0] in well and row[1] == 1}
    assert len(slots) == HOURS * len(well), "everybody else was read in every hour"
    codes = {name.split('"')[1]: n for name, n in last.items() if name.startswith("prewatt_findings_total")}
    assert {"handheld_not_json", "handheld_too_large", "clock_off", "wrong_unit"} <= set(codes), codes
    monkeypatch.setenv("PREWATT_TEST_CLOCK", str(day.host_clock))
    rows = run("sql", "--home", day.home, "SELECT code, meter FROM findings", "-o", "json").json["rows"]
    assert {row["meter"] for row in rows} >= set(broken.values()), "the desk sees which meters"
    assert facts.sound(day.home, day.host_clock) == []


@pytest.mark.alone
def test_a_stop_drains_in_time_though_every_meter_hangs(tmp_path: Path) -> None:
    day = Day(tmp_path / "d", build(3, 10), 1)
    ends: list[tuple[int, float]] = []

    def each(moment: Moment, one: Day) -> None:
        if moment.number == 1:
            one.field.freeze(True)
            TestClock(one.host_clock).jump(moment.at + timedelta(hours=1))
            time.sleep(0.5)
            ends.append(one.daemon.stop(signal.SIGTERM))
            one.field.freeze(False)
            one.daemon.start()

    day.live(each)
    assert ends[0][0] == 0
    assert ends[0][1] <= 10, f"{ends[0][1]:.1f} s"


@pytest.mark.kill
def test_the_broker_that_we_started_comes_back_after_kill_9(tmp_path: Path) -> None:
    port = free_port()
    ready: list[bool] = []

    def each(moment: Moment, day: Day) -> None:
        shout(port)
        if moment.number == 0:
            day.daemon.kill()
            day.daemon.start()
            shout(port)
        ready.append(json.loads(day.daemon.ask("GET", "/readyz")[1])["tests"]["broker"]["ok"])

    broker = f"[broker]\nenabled = true\nembedded = true\nunsigned = true\nport = {port}\n"
    Day(tmp_path / "d", build(3, 10), 1, extra=homes.Extra(broker)).live(each)
    assert ready[-1], "the listener is back on the new broker"
