"""DL/T 645 frames go in, AFN 10 leaves through a terminal, and back: a transport for the meters behind it.

So the DL/T 645 link reads and switches a meter behind a concentrator as it does one on a line of its own; the meter's
address stands in each of its answers, whatever the terminal's archive says. ``ForwardedLink`` is that link, which ends
the terminal's session with itself.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime

from ingest.errors import WireRefusal
from ingest.links.dialin import DialIn, Session
from ingest.links.dlt645 import TOLD, Dlt645Link
from ingest.records import Drive, DriveOutcome, MeterPoint, Poll, RelayReport
from ingest.wire import qgdw376_items as items
from ingest.wire.dlt645 import Order
from ingest.wire.modbus import Refusal
from ingest.wire.qgdw376 import PASSWORD, Afn, Control, Frame, address_of, sequence
from ingest.wire.qgdw376_orders import unit

MASTER = 1
PLC_PORT = 31
"""The terminal's port towards its power-line or radio module (captured frames use it); RS-485 is often 2 or 3."""


class ForwardTransport:
    """``ingest.ports.Transport`` through the terminal ``name``; the address that is asked for is not used.

    ``port`` is the terminal's own port towards the meters; ``password`` gives the message authentication code in hex
    (None: sixteen zeros, as stations without one send).
    """

    def __init__(
        self,
        hub: DialIn,
        name: str,
        *,
        port: int = PLC_PORT,
        password: Callable[[], bytes | None] = lambda: None,
        timeout_s: float = 10.0,
        wait_s: float = 2.0,
    ) -> None:
        """``hub`` must expect the terminal."""
        self._hub = hub
        self._name = name
        self._port = port
        self._password = password
        self._timeout_s = timeout_s
        self._wait_s = wait_s

    async def connect(self, host: str, port: int) -> "ForwardStream":  # noqa: ARG002
        """A stream over the terminal's session; OSError when it has not dialled in or its secret is none."""
        session = await self._hub.session(self._name, self._wait_s)
        if isinstance(session, Refusal):
            raise ConnectionRefusedError(session.detail)
        try:
            password = bytes.fromhex((self._password() or b"00" * PASSWORD).decode("ascii"))
        except ValueError:
            password = b""
        if len(password) != PASSWORD:
            raise ConnectionRefusedError(f"terminal {self._name}: its secret is not 32 hex digits")
        return ForwardStream(session, self._port, password, self._timeout_s)


class ForwardStream:
    """``ingest.ports.Stream``: what is written goes out in AFN 10 F1, what the meter answered is read."""

    def __init__(self, session: Session, port: int, password: bytes, timeout_s: float) -> None:
        """Over a session that stands."""
        self._session = session
        self._port = port
        self._password = password
        self._timeout_s = timeout_s
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._rest = b""
        self._asking: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        """Send one request; ConnectionResetError when the terminal has gone."""
        if not self._session.alive:
            raise ConnectionResetError(f"terminal {self._session.name} has gone")
        wait_s = max(1, min(100, int(self._timeout_s) - 1))
        body = unit(0, 1, items.forward(data, port=self._port, wait_s=wait_s))
        address = address_of(self._session.name, MASTER)
        frame = Frame(Control.ASK_2, address, Afn.FORWARD, sequence(0), body, password=self._password)
        self._asking = asyncio.get_running_loop().create_task(self._ask(frame))

    async def _ask(self, frame: Frame) -> None:
        answer = await self._session.ask(frame, timeout_s=self._timeout_s)
        if isinstance(answer, Refusal):
            if answer.reason in ("closed", "unreachable"):
                self._inbox.put_nowait(b"")
            return
        with contextlib.suppress(WireRefusal):
            for found in items.units(answer):
                if answer.afn == Afn.FORWARD:
                    self._inbox.put_nowait(items.forwarded(found))

    async def read(self, limit: int) -> bytes:
        """What a meter answered; b"" when the terminal has gone."""
        if not self._rest:
            self._rest = await self._inbox.get()
        data, self._rest = self._rest[:limit], self._rest[limit:]
        return data

    def close(self) -> None:
        """Wait for no answer any more; the terminal's session stays."""
        if self._asking is not None:
            self._asking.cancel()
        self._inbox.put_nowait(b"")


class ForwardedLink:
    """``ingest.ports.Link`` for the DL/T 645 meters behind one terminal: ``inner`` over a ``ForwardTransport``."""

    orders: Mapping[str, Order] = TOLD

    def __init__(self, inner: Dlt645Link, hub: DialIn, terminal: str) -> None:
        """``hub`` expects the terminal from now on."""
        self.inner = inner
        self._hub = hub
        self._terminal = terminal
        self._expected = False
        self._expect()

    def _expect(self) -> Dlt645Link:
        if not self._expected:
            self._expected = True
            self._hub.expect(self._terminal)
        return self.inner

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """As the DL/T 645 link does."""
        return await self._expect().poll(point, slot_end)

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        """As the DL/T 645 link does."""
        return await self._expect().profile(point, start, end)

    async def relay(self, point: MeterPoint) -> RelayReport:
        """As the DL/T 645 link does."""
        return await self._expect().relay(point)

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        """As the DL/T 645 link does."""
        return await self._expect().drive(point, order)

    async def tell(self, point: MeterPoint, order: Order, until: datetime) -> str:
        """As the DL/T 645 link does."""
        return await self._expect().tell(point, order, until)

    async def close(self) -> None:
        """Close the line, and need the terminal no more."""
        await self.inner.close()
        if self._expected:
            self._expected = False
            await self._hub.forget(self._terminal)
