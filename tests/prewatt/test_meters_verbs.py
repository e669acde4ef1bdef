"""``prewatt meters`` against simulated meters over real sockets: scan, probe, read, dump, and the dump served again."""

import asyncio
import json
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingest.drivers import driver
from ingest.model import ModbusDriver
from prewatt.cli import build
from sim.bank import RegisterBank, load
from sim.meters import SimMeter
from sim.modbus import ModbusGateway
from sim.ports import Device
from sim.sockets import Served, serve
from tests.ingest.test_modbus_peers import NOW, Clock

pytestmark = pytest.mark.sockets


class Background:
    """Devices served on a loop of their own, so that the command line can run its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.served: list[Served] = []

    def serve(self, device: Device) -> int:
        served = asyncio.run_coroutine_threadsafe(serve(device), self.loop).result(10)
        self.served.append(served)
        return served.port

    def close(self) -> None:
        for served in self.served:
            asyncio.run_coroutine_threadsafe(served.close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def background() -> Iterator[Background]:
    held = Background()
    yield held
    held.close()


def prewatt(*words: str) -> tuple[int, Any]:
    done = CliRunner().invoke(build(), ["meters", *words, "-o", "json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout)


def gateway(*models: str, framing: str = "tcp") -> ModbusGateway:
    device = ModbusGateway(Clock(), framing)
    for unit, model in enumerate(models, 1):
        known = driver(model)
        assert isinstance(known, ModbusDriver)
        device.add(unit, SimMeter(f"{4_000_000 + unit}", lambda _: 1500, NOW, register_mwh=60_240_000), known)
    return device


def test_scan_names_the_units_and_their_models(background: Background) -> None:
    port = background.serve(gateway("dds238", "sdm120", "b23"))
    code, found = prewatt("scan", f"127.0.0.1:{port}", "--units", "1-5")
    assert code == 0
    assert found["schema"] == "prewatt.meters.scan/1"
    assert found["asked"] == 5
    models = {row["unit"]: [model["model"] for model in row["models"]] for row in found["units"]}
    assert sorted(models) == [1, 2, 3]
    assert models[1][0] == "dds238"
    assert set(models[2]) & {"sdm120", "sdm220"}
    assert models[3][0] == "b23"


def test_scan_over_rtu_in_tcp_and_nobody_there(background: Background) -> None:
    port = background.serve(gateway("iem3000", framing="rtu"))
    code, found = prewatt("scan", f"127.0.0.1:{port}", "--rtu", "--units", "1-2", "--timeout-ms", "150")
    assert (code, [row["unit"] for row in found["units"]]) == (0, [1])
    code, found = prewatt("scan", f"127.0.0.1:{port}", "--rtu", "--units", "9", "--timeout-ms", "100")
    assert (code, found["units"]) == (1, [])


def test_read_gives_base_units_and_says_why_it_cannot(background: Background) -> None:
    port = background.serve(gateway("em340"))
    code, found = prewatt("read", f"127.0.0.1:{port}", "--model", "em340")
    assert code == 0
    assert (found["values"]["import_wh"], found["values"]["power_w"], found["values"]["voltage_v"]) == (
        60_200,
        1500,
        230,
    )
    done = subprocess.run(
        [sys.executable, "-m", "prewatt", "meters", "read", f"127.0.0.1:{port}", "--model", "b23", "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "unit 1 is not read as b23" in done.stdout + done.stderr


def unknown_bank(watts: float, order: str) -> dict[tuple[int, int], int]:
    words: dict[tuple[int, int], int] = {(4, at): 0 for at in range(1, 49)}
    for at, value in ((1, 229.7), (7, watts / 229.7), (13, watts)):
        raw = struct.pack(">f", value)
        high, low = struct.unpack(">HH", raw)
        words[4, at], words[4, at + 1] = (high, low) if order == "ABCD" else (low, high)
    return words


@pytest.mark.parametrize("order", ["ABCD", "CDAB"])
def test_probe_ranks_function_order_and_an_address_that_is_off_by_one(background: Background, order: str) -> None:
    port = background.serve(RegisterBank({7: unknown_bank(1234.5, order)}))
    code, found = prewatt(
        "probe",
        f"127.0.0.1:{port}",
        "--unit",
        "7",
        "--to",
        "60",
        "--address",
        "12",
        "--wait",
        "0",
        "--timeout-ms",
        "200",
    )
    assert code == 0
    best = found["guesses"][0]
    assert (best["function"], best["type"], best["order"]) == (4, "float32", order)
    at = {value["quantity"]: value["address"] for value in best["values"]}
    assert at["power_w"] == 13
    assert found["registers"] == 48


def test_a_dump_is_served_again_and_reads_alike(background: Background, tmp_path: Path) -> None:
    device = gateway("dtsu666")
    device.units[1].driver = driver("dds238")  # type: ignore[assignment]
    port = background.serve(device)
    file = tmp_path / "meter.json"
    code, found = prewatt("dump", f"127.0.0.1:{port}", str(file), "--from", "0", "--to", "40")
    assert code == 0
    assert found["registers"] >= 19
    again = background.serve(RegisterBank(load(file)))
    first = prewatt("read", f"127.0.0.1:{port}", "--model", "dds238")[1]["values"]
    assert prewatt("read", f"127.0.0.1:{again}", "--model", "dds238")[1]["values"] == first
    with pytest.raises(Exception, match="exists"):
        prewatt("dump", f"127.0.0.1:{port}", str(file))


def test_serve_listens_until_it_is_ended(background: Background, tmp_path: Path) -> None:
    file = tmp_path / "meter.json"
    bank = {"schema": "prewatt.meters.dump/1", "units": [{"unit": 3, "registers": {"4": {"0": "43663334"}}}]}
    file.write_text(json.dumps(bank))
    command = [sys.executable, "-m", "prewatt", "meters", "serve", str(file), "--port", "0", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        text = ""
        while not text.rstrip().endswith("}"):
            line = running.stdout.readline()
            assert line
            text += line
        port = json.loads(text)["port"]
        code, found = prewatt("scan", f"127.0.0.1:{port}", "--units", "3")
        running.terminate()
    assert (code, found["units"][0]["answer"]) == (0, "registers")


@pytest.mark.parametrize("where", ["", "10.0.0.1:99999", "a b", "host:"])
def test_a_target_that_is_none_is_refused(where: str) -> None:
    with pytest.raises(Exception, match="neither HOST"):
        prewatt("scan", where)


@pytest.mark.parametrize("text", ["", "a", "1-", "300", "5-3"])
def test_units_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Exception, match="no unit numbers"):
        prewatt("scan", "127.0.0.1", "--units", text)
