"""What every simulated device offers: sessions of pure bytes, for real sockets and the virtual network alike."""

from typing import Protocol


class Session(Protocol):
    """One connection's server side: bytes in, answers out (each item is one write), never an exception."""

    def feed(self, data: bytes) -> list[bytes]: ...


class Device(Protocol):
    """Something that listens on one address: a meter, a gateway with many units, a concentrator."""

    def session(self) -> Session: ...
