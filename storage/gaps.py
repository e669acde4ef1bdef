"""A meter and a span of time in, the slots that are still missing out: expected against stored.

The last weeks are held as one bit per slot and meter and follow the inbox; older spans are looked up in the lake.
"""

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

import pyarrow as pa

from ingest.records import MeterPoint
from storage.codec import from_ms, to_ms
from storage.follow import Follower
from storage.store import Store
from storage.unit import Reader

HORIZON = timedelta(days=62)
"""How far back the bits reach from the first question; it moves on when a question lies this much later."""
NEIGHBOURS = 256
"""Meters, by number, whose first installation is looked up at one time: those of a link are mostly neighbours."""
_DATASETS = ("reads", "intervals")
_MINUTE_MS = 60_000
_DEFAULT_SLOT_MIN = 60


class Gaps:
    """Which slots of a meter are missing (ingest.ports.GapStore)."""

    def __init__(self, store: Store, *, channel: int = 1) -> None:
        """Bind to the store and to one channel; nothing is loaded yet."""
        self._store = store
        self._channel = channel
        self._followers = {name: Follower(name) for name in _DATASETS}
        self._origin_ms = 0
        self._bits: dict[int, int] = {}
        self._slots_min: dict[int, int] = {}
        self._begins: dict[int, int] = {}
        self._stamp: int | None = None
        self._lock = threading.Lock()

    def gaps(self, meter_id: int, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        """Spans [start, end) of whole slots in [since, until) for which neither read nor interval is stored.

        Nothing is missing from before the meter was first installed.
        """
        step = self._step(meter_id)
        last = to_ms(until) // step
        if to_ms(since) // step >= last:
            return []
        with self._lock:
            self._refresh(since, until)
            since = max(since, from_ms(self._begin(meter_id)))
            first = to_ms(since) // step
            if first >= last:
                return []
            if to_ms(since) < self._origin_ms:
                ends = self._looked_up(meter_id, since, until)
                stored = _mask(ends, step, first)
            else:
                offset = first - self._origin_ms // step
                stored = self._bits.get(meter_id, 0) >> offset
        return _missing(stored, first, last, step)

    def _step(self, meter_id: int) -> int:
        minutes = self._slots_min.get(meter_id)
        if minutes is None:
            points = self._store.read(lambda reader: reader.find(MeterPoint))
            self._slots_min = {p.meter_id: p.slot_min for p in points}
            minutes = self._slots_min.setdefault(meter_id, _DEFAULT_SLOT_MIN)
        return minutes * _MINUTE_MS

    def _begin(self, meter_id: int) -> int:
        """When a meter was first installed, in ms; looked up with its neighbours' once between two commits."""
        if meter_id not in self._begins:
            low = meter_id // NEIGHBOURS * NEIGHBOURS
            sql = 'SELECT meter_id, min("start") FROM install WHERE meter_id >= ? AND meter_id < ? GROUP BY meter_id'
            found = self._store.read(lambda reader: reader.connection.execute(sql, (low, low + NEIGHBOURS)).fetchall())
            self._begins.update(dict.fromkeys(range(low, low + NEIGHBOURS), 0) | dict(found))
        return self._begins[meter_id]

    def _refresh(self, since: datetime, until: datetime) -> None:
        """Follow the inbox; load the horizon again when the follower lost its place or time moved far on.

        Without a commit since the last look there is nothing to follow.
        """
        stamp = self._store.commits
        far = self._origin_ms == 0 or to_ms(until) - self._origin_ms > 2 * (HORIZON // timedelta(milliseconds=1))
        if not far and stamp is not None and stamp == self._stamp:
            return
        self._stamp = None

        def look(reader: Reader) -> list[pa.Table] | None:
            found: list[pa.Table] = []
            for name in _DATASETS:
                news = self._followers[name].news(reader.connection)
                if news is None:
                    return None
                found += news
            return found

        self._begins.clear()
        news = None if far else self._store.read(look)
        if news is None:
            self._load(min(since, until - HORIZON), until)
        for table in news or ():
            self._note(table)
        self._stamp = stamp

    def _load(self, start: datetime, until: datetime) -> None:
        """Start again at midnight of ``start``; rows committed while loading are seen twice, which harms nothing."""
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        self._origin_ms = to_ms(midnight)
        self._bits = {}
        for name in _DATASETS:
            self._store.read(lambda reader, n=name: self._followers[n].restart(reader.connection))  # type: ignore[misc]
        far = until + timedelta(days=3_650)
        self._note(self._store.reads(midnight, far, channel=self._channel))
        self._note(self._store.intervals(midnight, far, channel=self._channel))

    def _note(self, table: pa.Table) -> None:
        origin, bits = self._origin_ms, self._bits
        ends = table.column("end").cast(pa.int64()).to_pylist()
        channels = table.column("channel").to_pylist()
        by_meter: dict[int, list[int]] = {}
        for meter, channel, end in zip(table.column("meter_id").to_pylist(), channels, ends, strict=True):
            if channel == self._channel and end > origin:
                by_meter.setdefault(meter, []).append(end)
        for meter, stored in by_meter.items():
            step = self._step(meter)
            bits[meter] = bits.get(meter, 0) | _mask(stored, step, origin // step)

    def _looked_up(self, meter_id: int, since: datetime, until: datetime) -> list[int]:
        reads = self._store.reads(since, until, [meter_id], channel=self._channel)
        intervals = self._store.intervals(since, until, [meter_id], channel=self._channel)
        columns = [t.column("end").cast(pa.int64()).to_pylist() for t in (reads, intervals)]
        return [end for column in columns for end in column]


def _mask(ends: Iterable[int], step: int, first: int) -> int:
    """One bit per slot that ends on the grid of ``step`` ms, counted from the slot that starts at ``first`` steps."""
    mask = 0
    for end in ends:
        slot, rest = divmod(end, step)
        if rest == 0 and slot > first:
            mask |= 1 << (slot - first - 1)
    return mask


def _missing(stored: int, first: int, last: int, step: int) -> list[tuple[datetime, datetime]]:
    """Runs of zero bits as spans of time."""
    count = last - first
    whole = (1 << count) - 1
    holes = ~stored & whole
    out: list[tuple[datetime, datetime]] = []
    at = 0
    while holes >> at:
        at += ((holes >> at) & -(holes >> at)).bit_length() - 1
        run = holes >> at
        length = (~run & (run + 1)).bit_length() - 1
        out.append((from_ms((first + at) * step), from_ms((first + at + length) * step)))
        at += length
    return out
