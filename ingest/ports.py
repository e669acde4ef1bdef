"""The sockets in ingest's wall: Protocols that storage, control, the shell and the simulator plug into."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from ingest.records import (
    Drive,
    DriveOutcome,
    Finding,
    HandheldMessage,
    HandheldReply,
    Interval,
    MeterPoint,
    MeterRead,
    Poll,
    Receipt,
    RelayReport,
)


class Clock(Protocol):
    """The only source of time. ``now`` is naive UTC; ``monotonic`` (seconds) serves time-outs and never jumps."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class Stream(Protocol):
    """A byte stream. ``read`` returns b"" at the end; errors are OSError; time-outs are the caller's."""

    async def read(self, limit: int) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class Transport(Protocol):
    """Opens byte streams; real TCP in production, an in-memory network in the deterministic simulator."""

    async def connect(self, host: str, port: int) -> Stream: ...


class ReadSink(Protocol):
    """Takes reads; returning means that they are committed and fsynced (the durability contract)."""

    async def accept(self, source: str, source_seq: str, reads: Sequence[MeterRead], at: datetime) -> Receipt: ...
    async def accept_intervals(
        self, source: str, source_seq: str, rows: Sequence[Interval], at: datetime
    ) -> Receipt: ...
    async def found(self, findings: Sequence[Finding]) -> None: ...


class GapStore(Protocol):
    """Expected against stored slots: which (meter, start, end) are still missing."""

    def gaps(self, meter_id: int, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]: ...


class RawStore(Protocol):
    """Keeps what came over the wire, so that it can be decoded again."""

    async def keep(self, source: str, at: datetime, frame: bytes, reason: str) -> None: ...


class FenceStore(Protocol):
    """The last fence that left for each meter, durable before anything is sent."""

    def last(self, meter: str) -> int: ...
    async def raise_to(self, meter: str, fence: int) -> None: ...


class KeyStore(Protocol):
    """The invocation counters of keys, durable before they are used; the keys themselves are secrets.

    ``reserve`` returns the first of ``count`` counters that nobody was ever given under ``key``; ``used`` the first
    that is still free. A counter that is used twice breaks its key.
    """

    def used(self, key: str) -> int: ...
    async def reserve(self, key: str, count: int) -> int: ...


class Link(Protocol):
    """One connection to one gateway or meter; the same face for Modbus, DLMS and DL/T 645.

    Nothing that the wire says raises: a bad answer is a Finding inside the result. Calls on one link are serialised by
    the link itself (or pipelined where the peer allows).
    """

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll: ...
    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll: ...
    async def relay(self, point: MeterPoint) -> RelayReport: ...
    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome: ...
    async def close(self) -> None: ...


HandheldSink = Callable[[HandheldMessage], Awaitable[HandheldReply]]
"""Commits one handheld message, then returns the reply; only afterwards is the message acknowledged to the broker."""
