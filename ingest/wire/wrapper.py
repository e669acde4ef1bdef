"""Bytes of a TCP stream become DLMS wrapper frames (IEC 62056-47: version, two wrapper ports, length, payload).

The wrapper carries no checksum, so the reader is strict: a version, a destination or a length that cannot be refuses
the stream for good (``Reader.refusal``), and a frame behind which garbage is already visible is refused together with
it, because half a frame followed by a whole one looks exactly like that.
"""

import struct
from collections.abc import Container
from typing import NamedTuple

from ingest.errors import WireRefusal

VERSION = 1  # IEC 62056-47, 5.2
HEADER = struct.Struct(">HHHH")
MAX_PAYLOAD = 0xFFFF
"""A wrapper payload has a 16-bit length; APDUs above it travel by block transfer."""


class Frame(NamedTuple):
    """One wrapper frame: wrapper ports name the client and the logical device behind the TCP link."""

    source: int
    destination: int
    payload: bytes


def encode(source: int, destination: int, payload: bytes) -> bytes:
    """One frame as bytes; raises ValueError when the payload is empty or does not fit its length field.

    >>> encode(1, 16, bytes.fromhex("6201")).hex()
    '00010001001000026201'
    """
    if not 0 < len(payload) <= MAX_PAYLOAD:
        raise ValueError(f"a wrapper frame carries 1 to {MAX_PAYLOAD} bytes, not {len(payload)}: use block transfer")
    return HEADER.pack(VERSION, source, destination, len(payload)) + payload


class Reader:
    """Takes a stream in pieces of any size and gives whole frames, holding at most one frame and one piece.

    ``limit`` bounds the payload in bytes; ``ports`` are the only ones on this side (None: any, for a server).
    """

    def __init__(self, *, limit: int = MAX_PAYLOAD, ports: Container[int] | None = None) -> None:
        self.limit = limit
        self.ports = ports
        self.refusal: WireRefusal | None = None
        self._held = bytearray()

    @property
    def held(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that ``data`` completes; after a refusal nothing more is read and nothing is kept."""
        frames: list[Frame] = []
        if self.refusal is not None:
            return frames
        self._held += data
        at, frame = 0, None
        while self._plausible(at):
            if frame is not None:
                frames.append(frame)
                frame = None
            start = at + HEADER.size
            if len(self._held) < start:
                break
            _, source, destination, size = HEADER.unpack_from(self._held, at)
            if len(self._held) < start + size:
                break
            at = start + size
            frame = Frame(source, destination, bytes(self._held[start:at]))
        del self._held[:at]
        if self.refusal is not None:
            self._held.clear()
        return frames

    def _plausible(self, at: int) -> bool:
        """Whether what is visible at ``at`` can begin a frame; sets the refusal when it cannot."""
        if len(self._held) - at >= HEADER.size:
            version, _, destination, size = HEADER.unpack_from(self._held, at)
            ours = self.ports is None or destination in self.ports
            if version == VERSION and ours and 0 < size <= self.limit:
                return True
        seen = bytes(self._held[at : at + HEADER.size])
        reason = self._fault(seen)
        if reason:
            self.refusal = WireRefusal("not_a_frame", f"{reason} at byte {at}: {seen.hex()}")
        return not reason

    def _fault(self, seen: bytes) -> str:
        version = VERSION.to_bytes(2, "big")
        if seen[:2] != version[: len(seen)]:
            return "wrapper version is not 1"
        if self.ports is not None and len(seen) >= 6:
            destination = int.from_bytes(seen[4:6], "big")
            if destination not in self.ports:
                return f"frame for port {destination}, which is not ours"
        if len(seen) == HEADER.size:
            length = int.from_bytes(seen[6:8], "big")
            if not 0 < length <= self.limit:
                return f"payload of {length} bytes, limit {self.limit}"
        return ""
