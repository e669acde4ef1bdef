"""A number of gateways and units goes in, Modbus TCP listeners come out, in a process of their own.

``python -m benchmarks.field --gateways 1000 --units 32 --baud 9600`` prints its port as JSON, serves every gateway on
that port (a connection is a gateway) and ends when its standard input does. Registers stand still; with ``--baud`` each
connection answers as slowly as a serial line behind it would: one exchange at a time, every byte at its speed.
"""

import argparse
import asyncio
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ingest.drivers import driver
from ingest.model import ModbusDriver, Quantity
from ingest.wire.registers import encode

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


async def serve(model: str, units: int, baud: int) -> None:
    """Listen, say where, go on until standard input ends."""
    images = {unit: image(model, unit) for unit in range(1, units + 1)}
    known: dict[bytes, bytes] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Gateway(images, baud, known), "127.0.0.1", 0, backlog=4096)
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
    parser.add_argument("--model", default="dds238")
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--baud", type=int, default=0)
    asked = parser.parse_args()
    asyncio.run(serve(asked.model, asked.units, asked.baud))


if __name__ == "__main__":
    main()
