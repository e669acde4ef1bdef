"""Virtual time for clients that open connections themselves: a loop whose sockets are the simulated network's."""

import asyncio
from collections.abc import Callable
from typing import Any

from sim.loop import VirtualLoop
from sim.network import SimNetwork, SimStream


class BridgeTransport(asyncio.Transport):
    """What a protocol writes to; what the device answers is handed to the protocol."""

    def __init__(self, stream: SimStream, protocol: asyncio.Protocol, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._stream, self._protocol, self._loop = stream, protocol, loop
        self._task = loop.create_task(self._pump())

    async def _pump(self) -> None:
        while data := await self._stream.read(65536):
            self._protocol.data_received(data)
        if not self._stream.closed:
            self._stream.close()
        self._protocol.connection_lost(None)

    def write(self, data: Any) -> None:
        if not self._stream.closed:
            self._loop.create_task(self._stream.write(bytes(data)))

    def close(self) -> None:
        self._stream.close()

    abort = close

    def is_closing(self) -> bool:
        return self._stream.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class BridgeLoop(VirtualLoop):
    """``VirtualLoop`` with ``create_connection`` over ``network``."""

    network: SimNetwork

    async def create_connection(self, factory: Callable[[], Any], host: Any = None, port: Any = None, **_: Any) -> Any:  # type: ignore[override]
        protocol = factory()
        transport = BridgeTransport(await self.network.connect(host, port), protocol, self)
        protocol.connection_made(transport)
        return transport, protocol
