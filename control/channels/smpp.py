"""Notices go in, one SMS each comes out over SMPP 3.4, with the delivery receipt that the message centre sends back.

One transceiver connection is kept open and bound anew when it breaks. The receipt is the operator's word that the phone
took the message: guard G6 rests on it. A receipt that came while nobody was bound comes when somebody is again.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from control import smpp
from control.ports import ChannelError, ChannelKind, Delivery
from control.records import Notice
from control.smpp import Message, Pdu, Reader, SmppError

ANSWER_S = 10.0
KEPT = 100_000
"""Receipts kept until they are asked for; the oldest give way."""


@dataclass(slots=True)
class SmppOut:
    """A message centre at ``host:port``, ourselves as ``system_id``, and the sender that phones show."""

    host: str
    port: int
    system_id: str
    password: str
    source: str
    tls: bool = False
    name: str = "smpp"
    _writer: asyncio.StreamWriter | None = None
    _reading: asyncio.Task[None] | None = None
    _waiting: dict[int, asyncio.Future[Pdu]] = field(default_factory=dict)
    _receipts: dict[str, Delivery] = field(default_factory=dict)
    _sequence: int = 0
    _binding: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self, notice: Notice, now: datetime) -> str:
        """Submit one notice; the message centre's id of it. A refused number is permanent, a busy centre is not."""
        if not notice.address.removeprefix("+").isdigit():
            raise ChannelError("bad_address", permanent=True)
        coding, data = smpp.said(notice.text)
        message = Message(self.source, notice.address, coding, data)
        answer = await self._ask(smpp.SUBMIT_SM, message.encode())
        if answer.status:
            raise ChannelError(f"smpp_{answer.status:08x}", permanent=answer.status in smpp.PERMANENT)
        del now
        return smpp.text_of(answer.body)

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """What the centre said of it since; asking keeps the connection bound, so that receipts can come."""
        if message_id not in self._receipts:
            await self._ask(smpp.ENQUIRE_LINK, b"")
        found = self._receipts.get(message_id, Delivery("pending", None, message_id))
        return Delivery(found.state, now if found.state == "delivered" else None, message_id)

    async def close(self) -> None:
        """Unbind and leave."""
        reading, self._reading = self._reading, None
        if self._writer is not None:
            self._writer.write(Pdu(smpp.UNBIND, 0, self._next()).encode())
            self._writer.close()
            self._writer = None
        if reading is not None:
            reading.cancel()

    async def _ask(self, command: int, body: bytes) -> Pdu:
        """One request and its answer; ChannelError, to be tried again, where none comes."""
        try:
            async with asyncio.timeout(ANSWER_S):
                async with self._binding:
                    if self._reading is None or self._reading.done():
                        await self._bind()
                return await self._request(command, body)
        except (OSError, TimeoutError, SmppError) as error:
            raise ChannelError(f"smpp_{type(error).__name__}") from error

    async def _request(self, command: int, body: bytes) -> Pdu:
        if self._writer is None:
            raise ConnectionError("not connected")
        number = self._next()
        answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(Pdu(command, 0, number, body).encode())
            await self._writer.drain()
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def _bind(self) -> None:
        secure = ssl.create_default_context() if self.tls else None
        reader, self._writer = await asyncio.open_connection(self.host, self.port, ssl=secure)
        self._reading = asyncio.ensure_future(self._read(reader))
        answer = await self._request(smpp.BIND_TRANSCEIVER, smpp.bind(self.system_id, self.password))
        if answer.status:
            await self.close()
            raise ChannelError(f"smpp_bind_{answer.status:08x}")

    async def _read(self, stream: asyncio.StreamReader) -> None:
        """Everything that comes until the connection ends; whoever still waits is told."""
        reader = Reader()
        try:
            while data := await stream.read(4096):
                for pdu in reader.feed(data):
                    self._take(pdu)
        except (OSError, SmppError):
            pass  # the end of this connection; the next request binds anew
        finally:
            if self._writer is not None:
                self._writer.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError("the message centre has gone"))

    def _take(self, pdu: Pdu) -> None:
        if pdu.command & smpp.RESPONSE:
            waiting = self._waiting.get(pdu.sequence)
            if waiting is not None and not waiting.done():
                waiting.set_result(pdu)
            return
        if pdu.command == smpp.DELIVER_SM:
            found = smpp.receipt_of(Message.decode(pdu.body))
            if found is not None:
                self._receipts[found[0]] = Delivery(found[1])
                while len(self._receipts) > KEPT:
                    del self._receipts[next(iter(self._receipts))]
        answer = pdu.answer(b"\0" if pdu.command == smpp.DELIVER_SM else b"")
        if pdu.command not in smpp.KNOWN:
            answer = Pdu(smpp.NACK, 0x03, pdu.sequence)  # 5.1.3: invalid command id
        if self._writer is not None:
            self._writer.write(answer.encode())

    def _next(self) -> int:
        self._sequence = self._sequence % 0x7FFF_FFFF + 1
        return self._sequence


def _make(settings: Mapping[str, str], secret: Callable[[str], bytes]) -> SmppOut:
    host, _, port = settings["server"].rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"server {settings['server']!r} must be HOST:PORT")
    word = settings.get("tls", "tls")
    if word not in ("tls", "none"):
        raise ValueError(f"tls {word!r} must be tls or none")
    password = secret(settings["password"]).decode()
    return SmppOut(host, int(port), settings["system_id"], password, settings["source"], tls=word == "tls")


CHANNEL = ChannelKind(
    "smpp",
    _make,
    {
        "server": "HOST:PORT of the message centre",
        "system_id": "login name there",
        "password": "NAME of the secret that holds the password",
        "source": "the sender that phones show: a number or up to eleven letters",
        "tls": "tls unless told, or none for a centre on a private line",
    },
)
