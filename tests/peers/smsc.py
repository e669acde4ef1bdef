"""Phones that take SMS or not go in, a message centre that speaks SMPP 3.4 comes out, on a loopback socket."""

import asyncio
from dataclasses import dataclass, field

from control import smpp
from control.smpp import Message, Pdu, Reader

THROTTLED, BAD_NUMBER, BAD_PASSWORD = 0x58, 0x0B, 0x0E  # 5.1.3


@dataclass(slots=True)
class MessageCentre:
    """Takes messages from ``system_id``; ``off`` are numbers whose phones never take one, ``wrong`` are none."""

    system_id: str = "prewatt"
    password: str = "secret"
    off: frozenset[str] = frozenset()
    wrong: frozenset[str] = frozenset()
    busy: int = 0  # so many submits are refused as too many
    cut: int = 0  # so many answers end in the middle, with the connection
    taken: list[Message] = field(default_factory=list)
    binds: int = 0
    chunk: int = 4096  # bytes written at a time
    port: int = 0
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, stream: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        reader = Reader()
        try:
            while data := await stream.read(4096):
                for pdu in reader.feed(data):
                    for answer in self._answers(pdu):
                        await self._write(out, answer)
        except (OSError, smpp.SmppError):
            pass  # whoever writes such a thing is hung up on
        finally:
            out.close()

    async def _write(self, out: asyncio.StreamWriter, answer: Pdu) -> None:
        data = answer.encode()
        if self.cut:
            self.cut -= 1
            out.write(data[:9])
            raise ConnectionError
        for at in range(0, len(data), self.chunk):
            out.write(data[at : at + self.chunk])
            await out.drain()

    def _answers(self, pdu: Pdu) -> list[Pdu]:
        if pdu.command == smpp.BIND_TRANSCEIVER:
            self.binds += 1
            right = smpp.bound_as(pdu.body) == (self.system_id, self.password)
            return [pdu.answer(b"centre\0" if right else b"", 0 if right else BAD_PASSWORD)]
        if pdu.command == smpp.SUBMIT_SM:
            return self._submitted(pdu)
        return [] if pdu.command & smpp.RESPONSE else [pdu.answer()]

    def _submitted(self, pdu: Pdu) -> list[Pdu]:
        message = Message.decode(pdu.body)
        if self.busy:
            self.busy -= 1
            return [pdu.answer(status=THROTTLED)]
        if message.destination in self.wrong:
            return [pdu.answer(status=BAD_NUMBER)]
        self.taken.append(message)
        name, state = f"m-{len(self.taken)}", "UNDELIV" if message.destination in self.off else "DELIVRD"
        said = f"id:{name} sub:001 dlvrd:001 submit date:2603010800 done date:2603010801 stat:{state} err:000 text:"
        receipt = Message(message.destination, message.source, smpp.GSM, said.encode(), smpp.RECEIPT, receipt=False)
        deliver = Pdu(smpp.DELIVER_SM, 0, 1_000 + len(self.taken), receipt.encode())
        return [pdu.answer(f"{name}\0".encode()), deliver]
