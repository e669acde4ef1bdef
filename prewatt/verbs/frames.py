"""Captured frames: what a push, a P1 telegram or a DL/T 645 frame says."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prewatt.errors import BadConfig, Usage
from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

if TYPE_CHECKING:
    from ingest.framed import Frame, Reading
    from ingest.wire.ciphering import Keys

PANEL = "field"
group = typer.Typer(no_args_is_help=True, help=__doc__)


@group.command("decode")
def decode_frames(
    hexes: Annotated[list[str] | None, typer.Argument(metavar="[HEX]...", help="Hex digits; spaces are fine.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A file of bytes, hex text or JSON lines with `hex`; - is stdin.")
    ] = None,
    stream: Annotated[
        Path | None, typer.Option(help="A capture or device that is read bit by bit; - is stdin.")
    ] = None,
    profile: Annotated[str, typer.Option(help="Push profile; default: the one that fits.")] = "",
    zone: Annotated[str, typer.Option(help="Zone of times without a deviation, in place of the profile's.")] = "",
    key: Annotated[str, typer.Option(help="NAME of the secret with the encryption key (32 hex digits).")] = "",
    auth_key: Annotated[str, typer.Option("--auth-key", help="NAME of the secret with the authentication key.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Decode captured frames to values in base units; what cannot be decoded is named and kept. Exit 0 on refusals."""
    if sum(map(bool, (hexes, file, stream))) != 1:
        raise Usage("give HEX, --file or --stream", attempt="prewatt frames decode 7EA0...")
    from prewatt.captures import from_hex, read_file
    from prewatt.captures import stream as stream_of

    keys = _keys(home, key, auth_key)
    if stream is not None:
        found = _decoded([stream_of(stream)], profile, zone, keys, whole=False)
    elif file is not None:
        found = _decoded([[data] for data in read_file(file)], profile, zone, keys, whole=True)
    else:
        data = from_hex(" ".join(hexes or ()))
        if data is None:
            raise Usage("not hex digits", which="HEX", attempt="give pairs of 0-9 a-f, or --file")
        found = _decoded([[data]], profile, zone, keys, whole=True)
    frames = [_row(frame) for frame in found]
    emit(
        Result(
            "frames decode",
            {"frames": frames, "counts": _counts(frames)},
            rows="frames",
            columns=("offset", "status", "reason", "profile", "meter", "time", "values"),
        )
    )


def _keys(home: Path | None, key: str, auth_key: str) -> "Keys | None":
    """The keys under two names of secrets; never from the command line itself."""
    if not key:
        return None
    from ingest.wire.ciphering import Keys
    from prewatt import secrets
    from prewatt.home import find

    folder = find(home).secrets
    read = [_key_bytes(secrets.read(folder, name)) if name else b"" for name in (key, auth_key)]
    try:
        return Keys(*read)
    except ValueError as error:
        raise BadConfig(str(error), which=f"secrets {key}, {auth_key or '-'}") from error


def _key_bytes(value: bytes) -> bytes:
    """A secret as 16 bytes, written raw or in hex."""
    from prewatt.captures import from_hex

    return value if len(value) == 16 else from_hex(value.decode("ascii", "replace")) or value


def _decoded(
    captures: Iterable[Iterable[bytes]], profile: str, zone: str, keys: "Keys | None", *, whole: bool
) -> Iterator["Frame"]:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from ingest.frames import FrameReader
    from ingest.pushes import profile as profile_named
    from ingest.pushes import profiles

    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Usage(f"no zone {zone!r}", which="--zone", attempt="an IANA name: Europe/Oslo") from error
    forced = profile_named(profile) if profile else None
    for pieces in captures:
        reader = FrameReader(profiles(), forced, zone, keys)
        for piece in pieces:
            yield from reader.whole(piece) if whole else reader.feed(piece)
        if not whole:
            yield from reader.close()


def _row(frame: "Frame") -> dict[str, Any]:
    """One frame as the contract writes it; a refused one keeps its bytes."""
    row: dict[str, Any] = {
        "offset": frame.offset,
        "status": frame.status,
        "reason": frame.reason or None,
        "profile": frame.profile or None,
        "meter": frame.meter or None,
        "time": frame.time,
        "values": [_value(reading) for reading in frame.values],
        "findings": [{"code": f.code, "obis": f.obis or None, "detail": f.detail} for f in frame.findings],
        "kind": frame.kind or None,
    }
    return {**row, "raw": frame.raw.hex()} if frame.status == "refused" else row


def _value(reading: "Reading") -> dict[str, Any]:
    text = reading.value if isinstance(reading.value, str) else f"{reading.value:f}"
    return {
        "obis": reading.obis or None,
        "name": reading.name,
        "value": text,
        "unit": reading.unit,
        "time": reading.time,
    }


def _counts(frames: list[dict[str, Any]]) -> dict[str, Any]:
    by_status = Counter(frame["status"] for frame in frames)
    reasons = Counter(frame["reason"] for frame in frames if frame["status"] == "refused")
    return {"ok": by_status["ok"], "flagged": by_status["flagged"], "refused": dict(sorted(reasons.items()))}
