"""Bytes of an HDLC line go in, the answers of its DLMS meters come out: a concentrator's meters behind HDLC addresses.

The same meters, firmware and faults as behind the wrapper (``sim.concentrator``), so that both framings meet the same
behaviour. A fault that spoils a wrapper frame's length loses the answer here: HDLC has lengths of its own. ``line``
spoils the frames themselves: called with each outgoing write, it returns what the wire makes of it.
"""

from collections.abc import Callable

from ingest.wire import hdlc
from ingest.wire.hdlc_link import HdlcLink, Limits
from ingest.wire.sift import Sifter
from ingest.wire.wrapper import Reader, encode
from sim.concentrator import Concentrator

Wire = Callable[[bytes], bytes]


class HdlcMeters:
    """``sim.ports.Device``: ``concentrator``'s meters by the logical part of their HDLC address."""

    def __init__(self, concentrator: Concentrator, *, limits: Limits | None = None, line: Wire | None = None) -> None:
        """``limits`` are what the meters can do: their segments and windows."""
        self.concentrator = concentrator
        self.limits = limits if limits is not None else Limits()
        self.line = line if line is not None else bytes

    def session(self) -> "HdlcSession":
        """One connection below: nothing is connected on it."""
        return HdlcSession(self)


class HdlcSession:
    """One line: bytes in, one item for each answer."""

    def __init__(self, meters: HdlcMeters) -> None:
        self._meters = meters
        self._wrapped = meters.concentrator.session()
        self._sifter = Sifter()
        self._links: dict[tuple[bytes, bytes], HdlcLink] = {}

    def feed(self, data: bytes) -> list[bytes]:
        """Answer every frame that checks."""
        answers: list[bytes] = []
        for piece in self._sifter.feed(data):
            frame = piece.content
            if isinstance(frame, hdlc.Frame):
                answers.append(self._meters.line(self._answer(frame, piece.raw)))
        return [answer for answer in answers if answer]

    def _answer(self, frame: hdlc.Frame, raw: bytes) -> bytes:
        unit, client = hdlc.address_parts(frame.destination)[0], hdlc.address_parts(frame.source)[0]
        if unit not in self._meters.concentrator.meters:
            return b""
        key = frame.destination, frame.source
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = HdlcLink(*key, client=False, ours=self._meters.limits)
        out, payloads = link.receive(raw)
        for payload in payloads:
            for answer in self._wrapped.feed(encode(client, unit, payload.removeprefix(hdlc.LLC_REQUEST) or b"\x00")):
                for reply in Reader().feed(answer):
                    if reply.source == unit:
                        out += link.send(hdlc.LLC_RESPONSE + reply.payload)
        return out
