"""A pcap file goes in, the TCP payloads of each direction come out (classic pcap, Ethernet or Linux cooked, IPv4)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Segment:
    """One TCP segment with data; ``request`` is true towards port 502."""

    source: tuple[bytes, int]
    target: tuple[bytes, int]
    seq: int
    payload: bytes

    @property
    def request(self) -> bool:
        return self.target[1] == 502


def segments(path: Path) -> Iterator[Segment]:
    """Every data segment of a capture, retransmissions dropped."""
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    linktype = struct.unpack_from(order + "I", data, 20)[0]
    at, seen = 24, set()
    while at + 16 <= len(data):
        kept = struct.unpack_from(order + "I", data, at + 8)[0]
        packet = data[at + 16 : at + 16 + kept]
        at += 16 + kept
        found = _segment(packet, 14 if linktype == 1 else 16)
        if found is not None and (key := (found.source, found.target, found.seq, found.payload)) not in seen:
            seen.add(key)
            yield found


def _segment(packet: bytes, link: int) -> Segment | None:
    while packet[link - 2 : link] == b"\x81\x00":  # VLAN tag
        link += 4
    ip = packet[link:]
    if not ip or ip[0] >> 4 != 4 or ip[9] != 6:
        return None
    ip = ip[: struct.unpack_from(">H", ip, 2)[0]]
    tcp = ip[4 * (ip[0] & 15) :]
    source, target, seq = struct.unpack_from(">HHI", tcp)
    payload = tcp[4 * (tcp[12] >> 4) :]
    if not payload or 502 not in (source, target):
        return None
    return Segment((ip[12:16], source), (ip[16:20], target), seq, payload)
