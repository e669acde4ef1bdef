"""What came over the wire goes in, batches of the raw dataset come out, off the collector's way; the too old goes.

``add`` never waits and never grows without limit: over ``MOST_ROWS`` or ``MOST_BYTES`` the oldest frames give way, are
counted, and the next flush says so in a finding. A flush is one commit. What a crash loses are frames of the minutes
before it; reads are never among them: those are committed by themselves.
"""

import hashlib
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import pyarrow as pa

from ingest.records import Finding
from storage import batches, manifest, schemas
from storage.codec import to_ms
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority

MOST_ROWS: Final = 100_000
MOST_BYTES: Final = 32 << 20
_MIB: Final = 1 << 20


class _Frame(NamedTuple):
    source: str
    at: datetime
    frame: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a retention run took out of view: files and bytes."""

    files: int = 0
    bytes: int = 0


class RawLog:
    """Frames wait here until the next flush; one per engine."""

    def __init__(self, store: Store, *, most_rows: int = MOST_ROWS, most_bytes: int = MOST_BYTES) -> None:
        """Nothing waits yet."""
        self.dropped = 0
        self._store = store
        self._limits = (most_rows, most_bytes)
        self._waiting: deque[_Frame] = deque()
        self._bytes = 0

    def add(self, source: str, at: datetime, frame: bytes, reason: str) -> None:
        """Keep one frame; the oldest gives way when there is no room."""
        self._waiting.append(_Frame(source, at, frame, reason))
        self._bytes += len(frame)
        while self._waiting and (len(self._waiting) > self._limits[0] or self._bytes > self._limits[1]):
            self._bytes -= len(self._waiting.popleft().frame)
            self.dropped += 1

    async def flush(self, now: datetime) -> int:
        """Commit what waits, as one batch; how many frames. What a failed commit leaves waits again."""
        taken, self._waiting, self._bytes = list(self._waiting), deque(), 0
        lost, self.dropped = self.dropped, 0
        if not taken and not lost:
            return 0
        packed = batches.pack("raw", _table(taken)) if taken else None

        def work(unit: Unit) -> int:
            if packed is not None:
                unit.append_batch("raw", "poll", _number(now, packed), packed, now)
            if lost:
                detail = f"{lost} frames gave way: more came in than {self._limits[1] // _MIB} MiB between two flushes"
                unit.add(Finding("raw_dropped", now, detail=detail))
            return 0

        try:
            await self._store.commit(Priority.BATCH, work)
        except Exception:
            self._waiting.extendleft(reversed(taken))
            self._bytes = sum(len(row.frame) for row in self._waiting)
            self.dropped += lost
            raise
        return len(taken)


def _table(rows: list[_Frame]) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schemas.RAW.schema, strict=True)],
        schema=schemas.RAW.schema,
    )


def _number(now: datetime, packed: batches.Packed) -> str:
    return hashlib.blake2b(f"{to_ms(now)}|{packed.digest}".encode(), digest_size=16).hexdigest()


def expire(store: Store, now: datetime, *, days: int, most_mib: int) -> Dropped:
    """Retire raw files that are older than ``days``, then the oldest until the rest fits ``most_mib``; audited.

    A file goes as a whole, when its newest row is too old: up to a month later than its first one.
    """
    files = sorted(store.lake.files("raw"), key=lambda file: (file.high, file.path))
    limit = to_ms(now - timedelta(days=days))
    old = [file for file in files if file.high < limit]
    rest = [file for file in files if file.high >= limit]
    size = sum(file.bytes for file in rest)
    while rest and size > most_mib * _MIB:
        size -= rest[0].bytes
        old.append(rest.pop(0))
    if not old:
        return Dropped()
    dropped = Dropped(len(old), sum(file.bytes for file in old))

    def work(unit: Unit) -> int:
        manifest.replace(unit.connection, (), old, now)
        body = {"files": str(dropped.files), "bytes": str(dropped.bytes), "days": str(days), "most_mib": str(most_mib)}
        unit.audit("engine", "raw.expire", "raw", body, now)
        return 0

    store.write(Priority.BATCH, work)
    return dropped
