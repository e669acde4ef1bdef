"""Modbus bytes go in, checked answers or named refusals come out; nothing here raises on what a peer sent.

Framing, length, function, count and echo checks are ours, because a library that retries and resynchronises by itself
returns one register's value for another's. Requests are written in ``ingest.links.requests``.
Modbus Application Protocol V1.1b3; Modbus Messaging on TCP/IP V1.0b.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

MBAP = 7
MOST_PDU = 253  # Application Protocol 4.1: a PDU has at most 253 bytes
EXCEPTIONS = {  # Application Protocol 7
    1: "illegal_function",
    2: "illegal_address",
    3: "illegal_value",
    4: "device_failure",
    5: "acknowledge",
    6: "device_busy",
    8: "memory_parity_error",
    10: "gateway_path_unavailable",
    11: "gateway_no_response",
}
_READS = (1, 2, 3, 4)
_HEAD = struct.Struct(">HHHB")


class Frame(NamedTuple):
    """One ADU: transaction id, unit and the PDU (function code first)."""

    tid: int
    unit: int
    pdu: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an answer is not one; ``reason`` is the stable word that a finding carries."""

    reason: str
    detail: str = ""


class TcpFramer:
    """Splits a byte stream into ADUs. ``broken`` names why the stream can be trusted no longer ("" while it can).

    ``joined`` says that the first frame of the last ``feed`` had begun before it.
    """

    def __init__(self) -> None:
        """Start at a frame boundary."""
        self._held = b""
        self.broken = ""
        self.joined = False

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes as they come, return the frames that are complete; a broken stream gives none and keeps none."""
        if self.broken:
            return []
        self.joined = bool(self._held)
        held = self._held + data if self._held else bytes(data)
        at, size = 0, len(held)
        frames: list[Frame] = []
        while size - at >= MBAP:
            tid, protocol, length, unit = _HEAD.unpack_from(held, at)
            if protocol or not 2 <= length <= MOST_PDU + 1:
                self.broken, self._held = "bad_frame", b""
                return frames
            end = at + 6 + length
            if size < end:
                break
            frames.append(Frame(tid, unit, held[at + MBAP : end]))
            at = end
        self._held = held[at:]
        return frames

    @property
    def rest(self) -> bytes:
        """The head of the frame that has begun and not ended, as far as it came."""
        return self._held[:MBAP]

    @property
    def half(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._held)


def adu(tid: int, unit: int, pdu: bytes) -> bytes:
    """The bytes of one frame."""
    return _HEAD.pack(tid, 0, len(pdu) + 1, unit) + pdu


def check(request: bytes, response: bytes) -> bytes | Refusal:
    """The data of ``response`` when it answers ``request``: register or coil bytes of a read, the echo of a write.

    Refusals: ``exception_<name>``, ``bad_answer`` (another function or another write's echo), ``bad_count``.
    """
    if not response:
        return Refusal("bad_answer", "empty PDU")
    function = request[0]
    if response[0] == function and function in (3, 4):  # what nearly every answer is
        want = 2 * (request[3] << 8 | request[4])
        if len(response) == 2 + want and response[1] == want:
            return response[2:]
    if response[0] == function | 0x80:
        code = response[1] if len(response) == 2 else 0
        return Refusal(f"exception_{EXCEPTIONS.get(code, 'unknown')}", f"code {code}")
    if response[0] != function:
        return Refusal("bad_answer", f"function {response[0]} answers {function}")
    if function in _READS:
        return _read_data(request, response)
    echo = request[1:5]
    if response[1:] != echo:
        return Refusal("bad_answer", "the echo is another write's")
    return response[1:]


def _read_data(request: bytes, response: bytes) -> bytes | Refusal:
    count = int.from_bytes(request[3:5], "big")
    want = 2 * count if request[0] in (3, 4) else (count + 7) // 8
    if len(response) != 2 + want or response[1] != want:
        return Refusal("bad_count", f"{len(response) - 2} bytes answer a request for {want}")
    return response[2:]
