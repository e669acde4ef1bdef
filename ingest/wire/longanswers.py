"""Blocks of a long answer go in; what asks for the next one, and at last the answer as one APDU, come out.

IEC 62056-5-3: action-response-with-pblock (9.3.9), whose blocks hold result and data of a usual answer, and general
block transfer (9.3.10), whose blocks hold any APDU, ciphered or not. A block that comes twice is put aside; a hole in
an ACTION's answer loses it, a hole in a transfer is asked for again. Bytes raise only ``WireRefusal``.
"""

from typing import Final, NamedTuple

from ingest.errors import WireRefusal
from ingest.wire import apdu
from ingest.wire.assembly import Block, block_bytes, parse_block
from ingest.wire.axdr import Cursor, octets

P_BLOCK: Final = 2
"""The choice of an ACTION answer that is a block, and of the request for the next one."""
MOST: Final = 4 << 20
"""Bytes of one answer over all its blocks: three years of quarter-hours."""


class Part(NamedTuple):
    """What one block leads to: bytes to send, the whole answer once it is complete, a word for what is put aside."""

    send: bytes = b""
    whole: bytes = b""
    aside: str = ""


class Transfer:
    """The receiving side of one general block transfer at a time; ``window`` blocks are taken before an answer."""

    def __init__(self) -> None:
        """Nothing under way."""
        self._got, self._raw = 0, bytearray()

    def take(self, raw: bytes) -> Part:
        """One block; the last one gives the APDU that all of them hold."""
        block = parse_block(raw)
        if block.number == 1 and self._got:
            self._got, self._raw = 0, bytearray()
        if block.number <= self._got:
            return Part(aside="stale")
        if block.number > self._got + 1:
            return Part(send=self._acknowledged())  # from where the hole begins
        self._got, self._raw = block.number, self._raw + block.payload
        if len(self._raw) > MOST:
            raise WireRefusal("answer_too_long", f"more than {MOST} bytes")
        if block.last:
            whole, self._got, self._raw = bytes(self._raw), 0, bytearray()
            return Part(whole=whole)
        return Part() if block.streaming else Part(send=self._acknowledged())

    def _acknowledged(self) -> bytes:
        """Our one empty block, which says how far theirs have come."""
        return block_bytes(Block(1, self._got, last=True, streaming=False, window=1, payload=b""))


class PBlocks:
    """The client's side of one ACTION's long answer."""

    def __init__(self) -> None:
        """Nothing under way."""
        self._invoke, self._got, self._raw = -1, 0, bytearray()

    def take(self, raw: bytes, invoke: int) -> Part | None:
        """One block of the answer to ``invoke``; None when ``raw`` is none. The last gives a usual ACTION answer."""
        if raw[:2] != bytes([apdu.ACTION_ANSWER, P_BLOCK]):
            return None
        cursor = Cursor(raw, 2)
        theirs, last, number, body = cursor.byte(), cursor.byte() != 0, cursor.uint(4), cursor.octets()
        cursor.end()
        if (theirs ^ invoke) & 0x0F:
            return Part(aside="stale")
        if invoke != self._invoke:
            self._invoke, self._got, self._raw = invoke, 0, bytearray()
        if number <= self._got:
            return Part(aside="stale")
        if number > self._got + 1:
            raise WireRefusal("block_lost", f"block {number} after {self._got}")
        self._got, self._raw = number, self._raw + body
        if len(self._raw) > MOST:
            raise WireRefusal("answer_too_long", f"more than {MOST} bytes")
        if not last:
            return Part(send=bytes([apdu.ACTION, P_BLOCK, invoke]) + number.to_bytes(4, "big"))
        self._invoke = -1
        return Part(whole=bytes([apdu.ACTION_ANSWER, apdu.NORMAL, theirs]) + bytes(self._raw))


def p_block(invoke: int, number: int, body: bytes, *, last: bool) -> bytes:
    """One block of an ACTION's answer (the meter's side)."""
    return bytes([apdu.ACTION_ANSWER, P_BLOCK, invoke, last]) + number.to_bytes(4, "big") + octets(body)


def transfer(raw: bytes, size: int, *, window: int = 1) -> list[bytes]:
    """``raw`` as the blocks of a general block transfer, ``size`` bytes each; every ``window``-th waits for a word."""
    pieces = [raw[at : at + size] for at in range(0, max(1, len(raw)), size)]
    count = len(pieces)
    return [
        block_bytes(Block(n, 0, n == count, n < count and n % window != 0, window, piece))
        for n, piece in enumerate(pieces, 1)
    ]
