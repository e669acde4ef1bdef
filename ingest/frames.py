"""Bytes of any captured frame or stream go in, decoded frames come out: values with units and times, or a refusal.

HDLC, M-Bus, DLMS wrapper, DL/T 645, Q/GDW 376.1 and P1 frames are found by ``ingest.wire.sift``; here segments and
blocks become APDUs, ciphered ones are opened with the keys given, and profiles say what bare numbers mean. Nothing
raises on bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ingest.errors import WireRefusal
from ingest.framed import Finding, Frame, judged, look_at_645, look_at_push, look_at_telegram
from ingest.framed376 import look_at_terminal
from ingest.pushmodel import PushProfile
from ingest.wire import apdu, ciphering, dlt645, hdlc, mbus, p1, qgdw376, quirks
from ingest.wire.assembly import Blocks, Segments, Unit
from ingest.wire.ciphering import Keys
from ingest.wire.seen import BAD
from ingest.wire.sift import Piece, Sifter

KEPT_RAW = 4_096
"""Bytes of a refused frame that are kept for decoding it again later."""
_BARE = frozenset({0x0F, 0xC2, 0xC4, 0xD8}) | apdu.CIPHERED
_REASONS = frozenset({"bad_checksum", "truncated", "ciphered_no_key", "unknown_list", "not_a_frame", "bad_tag"})


@dataclass(slots=True)
class FrameReader:
    """Decodes a stream as it comes; ``profile`` forces one, ``zone`` replaces the profiles' zones, ``keys`` open.

    ``keep_raw`` keeps the bytes of good frames too, to decode them again later.
    ``known`` are the installed profiles by name.
    """

    known: Mapping[str, PushProfile]
    profile: PushProfile | None = None
    zone: str = ""
    keys: Keys | None = None
    keep_raw: bool = False
    _sifter: Sifter = field(default_factory=Sifter)
    _segments: Segments = field(default_factory=Segments)
    _blocks: Blocks = field(default_factory=Blocks)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes."""
        return [frame for piece in self._sifter.feed(data) for frame in self._piece(piece)]

    def close(self) -> list[Frame]:
        """The frames that the end of the stream completes or cuts."""
        found = [frame for piece in self._sifter.close() for frame in self._piece(piece)]
        return found + [self._refused(unit, "truncated") for unit in (*self._segments.close(), *self._blocks.close())]

    def whole(self, data: bytes) -> list[Frame]:
        """All of a capture that is complete: a stream, or one APDU without any frame around it."""
        if data[:3] in (hdlc.LLC_RESPONSE, hdlc.LLC_REQUEST) or (data and data[0] in _BARE):
            bare = data[3:] if data[0] == 0xE6 else data
            frame = self._apdu(Unit(0, bare, data), "apdu")
            others = self.feed(data) + self.close()
            return others if any(other.status != "refused" for other in others) else [frame]
        return self.feed(data) + self.close()

    def _piece(self, piece: Piece) -> list[Frame]:
        content = piece.content
        if piece.refusal or content is None:
            self._segments.broke()
            return [_refusal(piece.offset, piece.raw, piece.refusal, "")]
        if isinstance(content, dlt645.Frame):
            return [self._guarded(piece, "dlt645", lambda: look_at_645(content, piece.offset, self.zone))]
        if isinstance(content, qgdw376.Frame):
            return [self._guarded(piece, "qgdw376", lambda: look_at_terminal(content, piece.offset, self.zone))]
        if isinstance(content, p1.Telegram):
            return [self._guarded(piece, "p1", lambda: look_at_telegram(content, piece.offset, self.zone))]
        if isinstance(content, hdlc.Frame):
            if not content.information or content.kind not in (hdlc.Kind.I, hdlc.Kind.UI):
                return [_silent(piece, "hdlc", content.kind.name if content.kind else "unknown control")]
            done, lost = self._segments.hdlc(content, piece)
        elif isinstance(content, mbus.Frame):
            if not content.dlms:
                return [_refusal(piece.offset, piece.raw, "unknown_list", "M-Bus data that is not DLMS")]
            done, lost = self._segments.mbus(content, piece)
        else:
            done, lost = [Unit(piece.offset, content.payload, piece.raw)], []
        kind = type(content).__module__.rsplit(".", 1)[-1]
        return [self._refused(unit, "truncated") for unit in lost] + self._units(done, kind)

    def _units(self, units: list[Unit], kind: str) -> list[Frame]:
        """Whole APDUs as frames; blocks of a general block transfer wait for their last."""
        found: list[Frame] = []
        for unit in units:
            if unit.broken:
                found.append(self._refused(unit, BAD))
            elif unit.payload[:1] == bytes([apdu.GENERAL_BLOCK]):
                done, lost = self._blocks.take(unit)
                found += [self._refused(one, "truncated") for one in lost] + [self._apdu(one, kind) for one in done]
            else:
                found.append(self._apdu(unit, kind))
        return found

    def _apdu(self, unit: Unit, kind: str) -> Frame:
        piece = Piece(unit.offset, unit.raw)
        return self._guarded(piece, kind, lambda: self._opened(unit))

    def _opened(self, unit: Unit) -> Frame:
        """An APDU, deciphered where it must be; some meters cipher a P1 telegram."""
        plain, title = unit.payload, b""
        findings: tuple[Finding, ...] = ()
        if plain[:1] and plain[0] in apdu.CIPHERED:
            plain, title, findings = self._deciphered(plain)
        if plain[:1] == b"/":
            seen = p1.look(plain, closed=True)
            if seen.frame is None:
                raise WireRefusal(seen.miss, "a ciphered telegram")
            frame = look_at_telegram(seen.frame, unit.offset, self.zone)
        else:
            record, odd = _decoded(plain)
            frame = look_at_push(record, unit.offset, self._profile_for, self.zone, title)
            findings += (Finding("mended", "", odd),) if odd else ()
        return judged(replace(frame, findings=(*frame.findings, *findings)))

    def _profile_for(self, choose: Callable[[Mapping[str, PushProfile]], PushProfile | None]) -> PushProfile | None:
        return self.profile if self.profile is not None else choose(self.known)

    def _deciphered(self, raw: bytes) -> tuple[bytes, bytes, tuple[Finding, ...]]:
        """What the keys open and who ciphered it; the encryption key alone shows it too, and that is said."""
        sealed = ciphering.parse(raw)
        if self.keys is None:
            who = sealed.title.hex() or "unknown"
            raise WireRefusal("ciphered_no_key", f"system title {who}, counter {sealed.counter}")
        if sealed.tag_size and not self.keys.authentication:
            plain = ciphering.read_unverified(sealed, self.keys)
            if plain[:1] not in (b"/", b"\x0f"):
                raise WireRefusal("bad_tag", "the key opens nothing that is a push")
            return plain, sealed.title, (Finding("unauthenticated", "", "read without the authentication key"),)
        return ciphering.unseal(sealed, self.keys), sealed.title, ()

    def _guarded(self, piece: Piece, kind: str, work: Callable[[], Frame]) -> Frame:
        try:
            frame = judged(work())
        except WireRefusal as refusal:
            word = refusal.reason if refusal.reason in _REASONS else "unknown_list"
            detail = str(refusal).removeprefix(f"{refusal.reason}: ")
            return replace(_refusal(piece.offset, piece.raw, word, detail), kind=kind)
        return replace(frame, kind=kind, raw=piece.raw) if self.keep_raw else replace(frame, kind=kind)

    def _refused(self, unit: Unit, reason: str) -> Frame:
        return _refusal(unit.offset, unit.raw, reason, "a segment or block of it is missing")


def _decoded(plain: bytes) -> tuple[apdu.Apdu, str]:
    """An APDU, and what had to be mended of a push that breaks the standard."""
    try:
        return apdu.decode(plain), ""
    except WireRefusal as refusal:
        if plain[:1] != bytes([apdu.DATA_NOTIFICATION]):
            raise
        try:
            return quirks.mended(plain)
        except WireRefusal:
            raise refusal from None


def _refusal(offset: int, raw: bytes, reason: str, detail: str) -> Frame:
    findings = (Finding(reason, "", detail),) if detail else ()
    return Frame(offset, "refused", reason, findings=findings, raw=raw[:KEPT_RAW])


def _silent(piece: Piece, kind: str, what: str) -> Frame:
    """A good frame that carries no values: link management."""
    return Frame(piece.offset, "ok", kind=kind, findings=(Finding("no_values", "", what),))
