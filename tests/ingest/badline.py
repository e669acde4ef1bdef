"""A Modbus gateway goes in, the same gateway behind a bad line comes out: faults by name, drawn from one seed.

``dead`` (no answer), ``half_frame``, ``stale`` (the answer before, once more), ``wrong_unit`` (the answer names another
unit), ``exception``, ``glitch`` (noise around the frame) and ``bent`` (one bit; serial lines only: TCP has a checksum
of its own). Lateness, losses and links that go down are the network's (``sim.network``).
"""

import random
from collections import Counter

from ingest.wire.modbus import adu
from ingest.wire.rtu import answer_adu
from sim.modbus import ModbusGateway
from sim.ports import Session

FAULTS = ("dead", "half_frame", "stale", "wrong_unit", "exception", "glitch", "bent")
_CODES = (1, 2, 3, 4, 6, 10, 11)


class BadLine:
    """``sim.ports.Device``: ``share`` of the answers suffer one of ``FAULTS``; ``counts`` says how often."""

    def __init__(self, gateway: ModbusGateway, rng: random.Random, share: float) -> None:
        """All chance comes from ``rng``."""
        self.gateway = gateway
        self.share = share
        self.counts: Counter[str] = Counter()
        self._rng = rng
        self._before = b""

    def session(self) -> "BadSession":
        """One client's connection."""
        return BadSession(self, self.gateway.session())

    def spoilt(self, answer: bytes) -> list[bytes]:
        """What arrives of one answer."""
        before, self._before = self._before, answer
        rng = self._rng
        if rng.random() >= self.share:
            return [answer]
        fault = rng.choice(FAULTS[:-1] if self.gateway.framing == "tcp" else FAULTS)
        self.counts[fault] += 1
        match fault:
            case "dead":
                return []
            case "half_frame":
                return [answer[: rng.randrange(1, len(answer))]]
            case "stale":
                return [before] if before else []
            case "glitch":
                noise = rng.randbytes(rng.randrange(1, 4))
                if rng.random() < 0.5 and self.gateway.framing == "rtu":
                    return [noise + answer]  # in TCP, behind half an answer, it would bend that one unseen
                return [answer + b"\0"]
            case "bent":
                bent = bytearray(answer)
                bent[rng.randrange(len(bent))] ^= 1 << rng.randrange(8)
                return [bytes(bent)]
        return [self._other(answer, fault)]

    def _other(self, answer: bytes, fault: str) -> bytes:
        """The answer as another unit's, or an exception in its place."""
        serial = self.gateway.framing == "rtu"
        tid, unit = int.from_bytes(answer[:2], "big"), answer[0] if serial else answer[6]
        pdu = answer[1:-2] if serial else answer[7:]
        if fault == "wrong_unit":
            unit = unit % 247 + 1
        else:
            pdu = bytes([pdu[0] | 0x80, self._rng.choice(_CODES)])
        return answer_adu(unit, pdu) if serial else adu(tid, unit, pdu)


class BadSession:
    """``sim.ports.Session`` behind a bad line."""

    def __init__(self, line: BadLine, inner: Session) -> None:
        """Wrap the gateway's own session."""
        self._line = line
        self._inner = inner

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, return what arrives of the answers."""
        return [write for answer in self._inner.feed(data) for write in self._line.spoilt(answer)]
