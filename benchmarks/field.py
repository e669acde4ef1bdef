"""A kind of device goes in, a listener for any number of connections comes out, in a process of its own.

``python -m benchmarks.field --kind modbus --units 32 --baud 9600`` prints its port as JSON and ends when its standard
input does; a connection is a gateway (``modbus``) or a concentrator (``dlms``), ``mqtt`` publishes handhelds' messages
instead. Registers stand still, so that answers are made once and cost the meters little; with ``--baud`` a gateway
answers as slowly as the serial line behind it would: one exchange at a time, every byte at its speed.
"""

import argparse
import asyncio
import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingest.drivers import driver
from ingest.model import ModbusDriver, Quantity
from ingest.records import HandheldMessage
from ingest.wire.handheld import encode as encode_message
from ingest.wire.registers import encode
from sim.concentrator import Concentrator
from sim.meters import SimMeter

NOW = datetime(2026, 7, 1, 10, 0)
BITS = 10  # 8N1
SILENCE_CHARS = 7  # 3.5 before and after a frame (Modbus over Serial Line V1.02, 2.5.1.1)
TURNAROUND_S = 0.05
"""What a meter thinks before it answers; makers name 10 to 100 ms."""
SHOWN = {Quantity.IMPORT: 123_450, Quantity.EXPORT: 0, Quantity.POWER: 1200, Quantity.VOLTAGE: 230}
SERIAL = 4_000_000


def line_s(request: int, answer: int, baud: int) -> float:
    """Seconds that one exchange of so many bytes (RTU frames) takes on a line of ``baud``."""
    return (request + answer + SILENCE_CHARS) * BITS / baud + TURNAROUND_S


def image(model: str, unit: int) -> dict[int, bytes]:
    """Words by address of one meter of ``model``, as its driver would have them."""
    known = driver(model)
    assert isinstance(known, ModbusDriver)
    words: dict[int, bytes] = {}
    registers = [(r, SHOWN[r.quantity]) for r in known.registers]
    if known.identity is not None:
        number = SERIAL + unit if known.identity.kind == "serial" else unit << known.identity.shift
        registers.append((known.identity.register, number))
    for register, value in registers:
        data = encode(register, value)
        words.update({register.address + at: data[2 * at : 2 * at + 2] for at in range(register.count)})
    return words


class Gateway(asyncio.Protocol):
    """One connection: requests in, answers out, at once or at the speed of a line."""

    def __init__(self, images: dict[int, dict[int, bytes]], baud: int, known: dict[bytes, bytes]) -> None:
        """``known`` keeps answers by request, so that the meters cost little."""
        self._images = images
        self._baud = baud
        self._known = known
        self._held = b""
        self._free_at = 0.0

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        held = self._held + data
        at, answers = 0, []
        while len(held) - at >= 12:
            tid, body = held[at : at + 2], held[at + 6 : at + 12]
            at += 12
            answer = self._known.get(body)
            if answer is None:
                answer = self._known[body] = self._answer(body)
            answers.append(tid + answer)
        self._held = held[at:]
        if not self._baud:
            self._transport.write(b"".join(answers))
            return
        loop = asyncio.get_running_loop()
        for answer in answers:
            took = line_s(8, len(answer) - 4, self._baud)
            self._free_at = max(self._free_at, loop.time()) + took
            loop.call_at(self._free_at, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)

    def _answer(self, body: bytes) -> bytes:
        unit, function, address, count = struct.unpack(">BBHH", body)
        words = self._images[unit]
        data = b"".join(words.get(at, b"\0\0") for at in range(address, address + count))
        return struct.pack(">HHBBB", 0, 3 + len(data), unit, function, len(data)) + data


class Standing:
    """A clock that stands, so that two runs give one result."""

    def now(self) -> datetime:
        """The fixed time."""
        return NOW

    def monotonic(self) -> float:
        """Host time."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Real time passes."""
        await asyncio.sleep(seconds)


def concentrator(units: int, hours: int) -> Concentrator:
    """DLMS meters with ``hours`` of load profile."""
    start = NOW - timedelta(hours=hours)
    meters = {
        u: SimMeter(f"7{u:07d}", lambda at: 400 + 37 * at.hour, start, register_mwh=10**9) for u in range(1, units + 1)
    }
    return Concentrator(Standing(), meters)


class Canned(asyncio.Protocol):
    """A concentrator's connection that keeps its answers to plain GETs: they differ by the invoke-id only."""

    def __init__(self, device: Concentrator, known: dict[bytes, tuple[bytes, ...]]) -> None:
        """``known`` is shared by the connections."""
        self._session = device.session()
        self._known = known
        self._held = b""

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole wrapper frame."""
        held, answers = self._held + data, []
        while len(held) >= 8 and len(held) >= 8 + (length := int.from_bytes(held[6:8], "big")):
            frame, held = held[: 8 + length], held[8 + length :]
            answers += self._answer(frame)
        self._held = held
        self._transport.write(b"".join(answers))

    def _answer(self, frame: bytes) -> list[bytes]:
        if frame[8:10] != b"\xc0\x01":
            return self._session.feed(frame)
        key = frame[:10] + frame[11:]
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = tuple(self._session.feed(frame))
            if len(found) != 1 or found[0][8:10] != b"\xc4\x01":
                del self._known[key]  # blocks and refusals are the session's own
                return list(found)
        return [found[0][:10] + frame[10:11] + found[0][11:]]


def publish(port: int, count: int) -> None:
    """Send ``count`` handheld messages, QoS 1, and wait until the broker has them all."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-handheld", protocol=mqtt.MQTTv311)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent = []
    for number in range(1, count + 1):
        at = NOW + timedelta(seconds=number)
        message = HandheldMessage(
            f"H1-{number:08d}", "H1", "confirm", number, at, meter=f"M{number}", register_wh=number
        )
        topic, payload = encode_message(message, b"")
        sent.append(client.publish(topic, payload, qos=1))
    for info in sent:
        info.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


async def serve(asked: argparse.Namespace) -> None:
    """Listen, say where, go on until standard input ends."""
    model, units, baud = asked.model, asked.units, asked.baud
    images = {unit: image(model, unit) for unit in range(1, units + 1)} if asked.kind == "modbus" else {}
    known: dict[bytes, bytes] = {}
    gets: dict[bytes, tuple[bytes, ...]] = {}
    device = concentrator(units, asked.hours) if asked.kind == "dlms" else None
    loop = asyncio.get_running_loop()

    def connection() -> asyncio.Protocol:
        return Gateway(images, baud, known) if device is None else Canned(device, gets)

    server = await loop.create_server(connection, "127.0.0.1", 0, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def process(module: str, *words: str) -> Iterator[dict[str, Any]]:
    """``python -m module words`` in the background: what its first line says, until the block ends."""
    command = [sys.executable, "-m", module, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        try:
            yield json.loads(running.stdout.readline())
        finally:
            running.stdin.close()
            running.wait(10)


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.field", description=__doc__)
    parser.add_argument("--kind", choices=["modbus", "dlms", "mqtt"], default="modbus")
    parser.add_argument("--model", default="dds238")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--baud", type=int, default=0)
    asked = parser.parse_args()
    if asked.kind == "mqtt":
        publish(asked.port, asked.count)
        print(json.dumps({"sent": asked.count}), flush=True)
    else:
        asyncio.run(serve(asked))


if __name__ == "__main__":
    main()
