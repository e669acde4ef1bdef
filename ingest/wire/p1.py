"""Bytes of a P1 port become one telegram with its objects (DSMR 2.2 to 5.0, ESMR 5, e-MUCS; IEC 62056-21 mode D).

A telegram runs from ``/XXX5...`` to the line of ``!``; behind that stands a CRC-16 since DSMR 4 (over everything from
``/`` to ``!``). Files whose line ends were rewritten are checked with CR LF put back. Nothing here raises.
"""

import re
from typing import Final, NamedTuple

from ingest.obis import long_form
from ingest.wire.checksums import crc16
from ingest.wire.seen import BAD, MORE, NONE, Seen

MAX_TELEGRAM: Final = 16_384
"""Bytes; the longest that companion standards allow with four M-Bus devices and messages is under 4 KiB."""
_HEADER: Final = re.compile(rb"/[A-Za-z]{3}[ -~]{1,80}\r?\n", re.ASCII)
_MAYBE_HEADER: Final = re.compile(rb"/([A-Za-z]{0,2}|[A-Za-z]{3}[ -~]{0,80}\r?)", re.ASCII)
_END: Final = re.compile(rb"\n!([0-9A-Fa-f]{0,4})[ \t]*(\r?\n|\r|$)", re.ASCII)
_CIPHERED: Final = re.compile(rb"\r?\n\x00\x82(..)[\x00-\x7f]", re.DOTALL)
"""Behind the blank line of some Polish meters: a system title of no length, then how long the ciphered telegram is."""
_LINE: Final = re.compile(r"(\d+-\d+:\d+\.\d+(?:\.\d+)?(?:\*\d+)?)((?:\([^()]*\))+)\s*", re.ASCII)
_GROUPS: Final = re.compile(r"\(([^()]*)\)")


class Item(NamedTuple):
    """One object: its code as six numbers and the texts in its brackets."""

    obis: str
    groups: tuple[str, ...]


class Telegram(NamedTuple):
    """What a port said at once: the identification behind ``/``, the objects, and what was not understood.

    ``checked`` is False when it carried no CRC; ``ended`` is False when the line of ``!`` is missing.
    """

    identification: str
    items: tuple[Item, ...]
    unread: tuple[str, ...] = ()
    checked: bool = True
    ended: bool = True

    def first(self, *codes: str) -> str:
        """The first bracket of the first of ``codes`` that is there and not empty."""
        known = {item.obis: item.groups[0] for item in reversed(self.items)}
        return next((known[code] for code in codes if known.get(code)), "")


def look(data: bytes | bytearray, at: int = 0, *, closed: bool = False) -> Seen[Telegram]:
    """The telegram at ``at``; ``closed`` says that nothing more will come."""
    head = _HEADER.match(data, at)
    if head is None:
        whole = _MAYBE_HEADER.fullmatch(data, at) if not closed else None
        return Seen(None, MORE if whole else NONE, len(data) - at if whole else 0)
    sealed = _CIPHERED.match(data, head.end())
    if sealed is not None:
        return _sealed(data, at, sealed.end(1) + int.from_bytes(sealed[1], "big"), closed=closed)
    limit = min(len(data), at + MAX_TELEGRAM)
    end = _END.search(data, head.end() - 1, limit)
    nearest = _HEADER.search(data, head.end(), end.start() if end else limit)
    if nearest is not None and data[nearest.start() - 1] == 0x0A:
        return Seen(None, "truncated", nearest.start() - at)
    if end is None or (not closed and end.end() == len(data) and not end[2]):
        if limit < len(data) or (end is None and limit - at >= MAX_TELEGRAM):
            return Seen(None, NONE, 0)
        return _unended(data, at, head.end()) if closed else Seen(None, MORE, len(data) - at)
    checked = bool(end[1])
    body = bytes(data[at : end.start() + 2])
    if checked and not _crc_good(body, int(end[1], 16)):
        return Seen(None, BAD, end.end() - at)
    return Seen(_parse(body[:-1], checked=checked), "", end.end() - at)


def _sealed(data: bytes | bytearray, at: int, end: int, *, closed: bool) -> Seen[Telegram]:
    """A telegram whose lines are ciphered: its header and its end are plain, and it is refused whole."""
    tail = re.compile(rb"\s*!([0-9A-Fa-f]{4})[ \t]*(\r?\n|\r|$)").match(data, end)
    if tail is None:
        if len(data) < end + 8 and not closed:
            return Seen(None, MORE, len(data) - at)
        nearest = _HEADER.search(data, at + 1, end)
        return Seen(None, "truncated", (nearest.start() if nearest else len(data)) - at)
    return Seen(None, "ciphered_no_key", tail.end() - at)


def _crc_good(body: bytes, want: int) -> bool:
    return crc16(body) == want or crc16(body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")) == want


def _unended(data: bytes | bytearray, at: int, start: int) -> Seen[Telegram]:
    """A telegram without its end: readable when its lines are whole and its standard knows no CRC (DSMR 2 and 3)."""
    body = bytes(data[at:])
    telegram = _parse(body, checked=False)
    versioned = telegram.first("1.3.0.2.8.255", "0.0.96.1.4.255", "0.0.1.0.0.255")
    if versioned or telegram.unread or not telegram.items or not body.endswith(b"\n") or start == len(data):
        return Seen(None, "truncated", len(body))
    return Seen(telegram._replace(ended=False), "", len(body))


def _parse(body: bytes, *, checked: bool) -> Telegram:
    """The objects of a telegram; a line of brackets alone goes on with the object above it (DSMR 2 and 3)."""
    lines = body.decode("latin-1").splitlines()
    items: list[Item] = []
    unread: list[str] = []
    for line in lines[1:]:
        found = _LINE.fullmatch(line)
        obis = long_form(found[1]) if found else ""
        if found and obis:
            items.append(Item(obis, tuple(_GROUPS.findall(found[2]))))
        elif items and line.startswith("(") and re.fullmatch(r"(\([^()]*\))+\s*", line):
            items[-1] = Item(items[-1].obis, items[-1].groups + tuple(_GROUPS.findall(line)))
        elif line.strip():
            unread.append(line.strip())
    return Telegram(lines[0][1:].strip(), tuple(items), tuple(unread), checked)


def encode(telegram: Telegram) -> bytes:
    """A telegram as a meter sends it, with its CRC."""
    lines = [f"/{telegram.identification}", ""]
    for item in telegram.items:
        a, b, c, d, e, _ = item.obis.split(".")
        lines.append(f"{a}-{b}:{c}.{d}.{e}" + "".join(f"({group})" for group in item.groups))
    body = ("\r\n".join(lines) + "\r\n!").encode("latin-1")
    return body + f"{crc16(body):04X}\r\n".encode()
