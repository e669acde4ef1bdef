"""A device path and a speed go in, a byte stream over a serial port comes out (``ingest.ports.Transport``, POSIX).

The port is opened raw, without flow control, for this process alone, and what lay in its buffers is thrown away.
"""

import asyncio
import contextlib
import fcntl
import os
import termios
from dataclasses import dataclass

_BITS = termios.CREAD | termios.CLOCAL
_SIZES = {7: termios.CS7, 8: termios.CS8}


class SerialStream:
    """``ingest.ports.Stream`` over an open port."""

    def __init__(self, descriptor: int) -> None:
        """Own ``descriptor`` (non-blocking) until ``close``."""
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._held = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._loop.add_reader(descriptor, self._ready)

    def _ready(self) -> None:
        try:
            data = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # the adapter was pulled
        self._held += data
        if not data:
            self._ended = True
            self._loop.remove_reader(self._descriptor)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self, limit: int) -> bytes:
        """At most ``limit`` bytes; b"" when the port is gone or closed."""
        while not self._held and not self._ended:
            self._waiter = self._loop.create_future()
            await self._waiter
        data = bytes(self._held[:limit])
        del self._held[:limit]
        return data

    async def write(self, data: bytes) -> None:
        """Hand ``data`` to the driver, waiting while its buffer is full; OSError when the port is gone."""
        rest = memoryview(data)
        while rest:
            if self._descriptor < 0:
                raise ConnectionResetError("the port is closed")
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                await asyncio.sleep(0.002)

    def close(self) -> None:
        """Close at once; what was not sent is dropped."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor, self._ended = self._descriptor, -1, True
        with contextlib.suppress(RuntimeError, ValueError):  # the loop is closed already
            self._loop.remove_reader(descriptor)
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(descriptor, termios.TCIOFLUSH)
        with contextlib.suppress(OSError):
            fcntl.ioctl(descriptor, termios.TIOCNXCL)
        with contextlib.suppress(OSError):
            os.close(descriptor)
        self._wake()


@dataclass(frozen=True, slots=True)
class SerialTransport:
    """``ingest.ports.Transport`` for serial ports: ``host`` is the device, ``port`` is not used.

    ``baud`` must be a speed that the operating system names; ``parity`` is N, E or O, ``stop_bits`` 1 or 2,
    ``data_bits`` 7 or 8.
    """

    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1
    data_bits: int = 8

    async def connect(self, host: str, port: int) -> SerialStream:  # noqa: ARG002
        """Open the device; OSError says what is wrong with it."""
        descriptor = os.open(host, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._settle(descriptor)
            return SerialStream(descriptor)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, termios.error | ValueError | OSError):
                raise OSError(f"{host} is no serial port of {self.baud} baud: {error}") from error
            raise

    def _settle(self, descriptor: int) -> None:
        """Raw, the asked speed and bits, for us alone, with nothing left in the buffers."""
        speed = getattr(termios, f"B{self.baud}", None)
        if speed is None:
            raise ValueError("the system knows no such speed")
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
        state = termios.tcgetattr(descriptor)
        parity = {"N": 0, "E": termios.PARENB, "O": termios.PARENB | termios.PARODD}[self.parity]
        state[0] = state[1] = state[3] = 0
        state[2] = _BITS | _SIZES[self.data_bits] | parity | (termios.CSTOPB if self.stop_bits == 2 else 0)
        state[4] = state[5] = speed
        state[6][termios.VMIN], state[6][termios.VTIME] = 1, 0  # with 0 an empty port reads like a lost one
        termios.tcsetattr(descriptor, termios.TCSANOW, state)
        termios.tcflush(descriptor, termios.TCIOFLUSH)
