"""A file or hex text of captured frames goes in, its bytes come out, whatever they were written in.

Raw bytes stay as they are. Text of hex digits (with spaces, ``0x``, ``\\x``, colons, commas, brackets, quotes, comments
behind ``//`` or ``#``, one frame a line or many lines a frame) becomes bytes; lines of JSON give their ``hex`` members.
A P1 telegram is text and stays as it is. The path ``-`` is standard input.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from prewatt.errors import BadConfig

CHUNK = 65_536
MOST_TEXT = 64 * 1024 * 1024
"""Bytes of a hex file that is read at once; larger captures are streamed as bytes."""
_MARKS = re.compile(r"(?://|#)[^\n]*|(?:0[xX]|\\x)(?=[0-9A-Fa-f]{1,2}(?![0-9A-Fa-f]))|[\s:,;\-\[\](){}'\"]")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+", re.ASCII)


def from_hex(text: str) -> bytes | None:
    """The bytes that hex text spells, None when it is no hex text.

    >>> from_hex("7E A0 0x12\\n68:11"), from_hex("/ISK5")
    (b'~\\xa0\\x12h\\x11', None)
    """
    digits = _MARKS.sub("", text)
    return bytes.fromhex(digits) if _HEX.fullmatch(digits) else None


def captures(raw: bytes) -> list[bytes]:
    """The captures that a file holds: one, or one a line where each line of hex is a frame of its own."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        return [raw]
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and all(line.lstrip().startswith("{") for line in lines):
        found = [from_hex(member) for line in lines if (member := _member(line))]
        return [data for data in found if data is not None] or [raw]
    whole = from_hex(text)
    return [raw] if whole is None else _frames_of(lines) or [whole]


def _member(line: str) -> str:
    try:
        value = json.loads(line)
    except ValueError:
        return ""
    return value.get("hex", "") if isinstance(value, dict) and isinstance(value.get("hex", ""), str) else ""


def _frames_of(lines: list[str]) -> list[bytes]:
    """The lines as frames of their own when each begins and ends like one; else nothing."""
    found = [from_hex(line) or b"" for line in lines]
    alone = len(found) > 1 and all(data[:3] in (b"\xe6\xe7\x00", b"\xe6\xe6\x00") for data in found)
    return found if alone else []


def _source(path: Path) -> Path:
    return Path("/dev/stdin") if path == Path("-") else path


def read_file(path: Path) -> list[bytes]:
    """The captures of one file; BadConfig when it cannot be read."""
    try:
        with _source(path).open("rb") as file:
            raw = file.read(MOST_TEXT + 1)
    except OSError as error:
        raise BadConfig(f"cannot read: {error.strerror}", which=str(path)) from error
    if len(raw) > MOST_TEXT:
        raise BadConfig(
            f"larger than {MOST_TEXT} bytes", which=str(path), attempt="use --stream, which reads bit by bit"
        )
    return captures(raw)


def stream(path: Path) -> Iterator[bytes]:
    """The bytes of a file or device as they come; hex text is recognised by its first piece."""
    try:
        with _source(path).open("rb", buffering=0) as file:
            first = file.read(CHUNK)
            if from_hex(first.decode("latin-1")[: len(first) // 2 * 2].rsplit("\n", 1)[0]) is not None:
                yield from captures(first + file.readall())
                return
            yield first
            while piece := file.read(CHUNK):
                yield piece
    except OSError as error:
        raise BadConfig(f"cannot read: {error.strerror}", which=str(path)) from error
