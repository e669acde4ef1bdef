"""``HOST``, ``HOST:PORT`` or a serial device goes in, an unopened line to it comes out."""

import re
import ssl
from dataclasses import dataclass

from ingest.errors import IngestError
from ingest.links.connection import Connection
from ingest.links.rtuline import RtuConnection
from ingest.links.serial import SerialTransport
from ingest.links.tcp import TcpTransport
from ingest.ports import Transport

MODBUS_PORT = 502


@dataclass(frozen=True, slots=True)
class Target:
    """Where a Modbus line is and how it is spoken: ``framing`` tcp or rtu; ``port`` is 0 for a serial device."""

    host: str
    port: int
    framing: str
    transport: Transport

    def line(self, *, gap_s: float = 0.0) -> Connection | RtuConnection:
        """A connection that opens when it is first used."""
        if self.framing == "rtu":
            return RtuConnection(self.transport, self.host, self.port, gap_s=gap_s, owed_s=2.0)
        return Connection(self.transport, self.host, self.port, gap_s=gap_s)


def is_serial(host: str) -> bool:
    """Whether ``host`` names a device file rather than a machine."""
    return host.startswith("/")


def target(
    where: str,
    *,
    rtu: bool = False,
    baud: int = 9600,
    parity: str = "N",
    stop_bits: int = 1,
    tls: ssl.SSLContext | None = None,
) -> Target:
    """The target that ``where`` names; IngestError says what is wrong with it."""
    if is_serial(where):
        return Target(where, 0, "rtu", SerialTransport(baud, parity, stop_bits))
    found = re.fullmatch(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:/\s]+))(?::(?P<port>\d{1,5}))?", where)
    port = int(found["port"] or MODBUS_PORT) if found is not None else 0
    if found is None or not 0 < port < 65536:
        raise IngestError(f"{where!r} is neither HOST, HOST:PORT nor a device such as /dev/ttyUSB0")
    return Target(found["six"] or found["name"], port, "rtu" if rtu else "tcp", TcpTransport(tls))
