"""Unrated batches of the inbox go in; intervals, charges and what every account owes come out, exactly once.

Each slice is ONE commit: the intervals made of its reads, the charge rows of their slots, the registers' places, the
open periods, the accounts' ``accrued`` and the cursor. What is in memory is only a fold of stored intervals: after a
restart, or whenever a commit fails, it is made again from the lake. ``accrued`` is the sum, over the periods without a
posted bill, of the bill that would be printed if each ended at its last actual read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from ingest.intervals import Key, Place
from ingest.records import Finding
from storage import batches, charging, corrections
from storage.accruals import put_states, rows_of
from storage.batches import Batch
from storage.conversion import NOTHING, convert, kept
from storage.folds import Folds, Moved
from storage.keptbooks import KeptBooks, Series, no_series
from storage.records import Cursor, RegisterPlace
from storage.store import Store
from storage.uncollected import uncollected
from storage.unit import Reader, Unit
from storage.writer import Priority
from tariff.model import Book

NAME = "rater"
REGISTRY = "registry"  # the cursor that rises when accounts change in what they are: their book, their attributes
SLICE_BATCHES = 100
SLICE_ROWS = 200_000


@dataclass(slots=True)
class RateReport:
    """What a step did; ``findings`` are those of the conversion and of accounts that could not be rated."""

    reads: int = 0
    intervals: int = 0
    charges: int = 0
    accounts: int = 0
    corrections: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Slice:
    """Batches that are taken in one commit, and where the cursors stand after it."""

    reads: tuple[Batch, ...]
    imports: tuple[Batch, ...]
    cursors: tuple[Cursor, ...]


class Rater:
    """Turns reads into money; one per store, called by one task at a time."""

    def __init__(self, store: Store, books: Mapping[str, Book], *, series: Series = no_series) -> None:
        """Bind to the store and the books by name; nothing is loaded yet.

        ``series`` opens the price files of books that are no longer in force, for corrections of bills made on them.
        """
        self._store = store
        self._books = dict(books)
        self.series = series
        self._folds: Folds | None = None
        self._places: dict[Key, Place] = {}
        self._seen: dict[str, int] = {}

    def set_books(self, books: Mapping[str, Book]) -> None:
        """Use other books from the next step on; what is accrued of open periods is made again with them."""
        self._books = dict(books)
        self._folds = None

    def step(self, now: datetime) -> RateReport:
        """Rate everything that is unrated, slice by slice; then estimate what is unread at ``now``."""
        report = RateReport()
        try:
            folds = self._ready(now)
            while (piece := self._next()) is not None:
                with uncollected():
                    self._take(folds, piece, now, report)
            folds.force = False
            with uncollected():
                self._estimate(folds, now)
        except BaseException:
            self._folds = None
            raise
        return report

    def _ready(self, now: datetime) -> Folds:
        """Return the folds, made again when a bill was posted, master data changed or nothing is loaded."""
        stamp = self._store.read(_stamp)
        if self._folds is None or self._folds.stamp != stamp:
            cursors, places = self._store.read(lambda r: (r.find(Cursor, name=NAME), r.find(RegisterPlace)))
            self._seen = {cursor.dataset: cursor.seq for cursor in cursors}
            self._places = {(place.meter_id, place.channel): kept(place) for place in places}
            self._folds = Folds(self._store, self._books, stamp)
            moved = self._folds.load()
            if moved.periods:
                self._reprice(self._folds, moved, now)
        return self._folds

    def _reprice(self, folds: Folds, moved: Moved, now: datetime) -> None:
        """Commit what open periods cost with the books in force, where they were rated with others."""
        rows = charging.table(moved.charged, folds.master)
        packed = batches.pack("charges", rows)
        number, states = f"reprice-{now.isoformat()}-{packed.digest}", rows_of(moved.periods, folds.open_of)

        def work(unit: Unit) -> None:
            if rows.num_rows:
                unit.append_batch("charges", NAME, number, packed, now)
            for finding in moved.findings:
                unit.add(finding)
            put_states(unit, states)

        self._store.write(Priority.BATCH, work)

    def _next(self) -> _Slice | None:
        """Read the next batches; the rater's own intervals are passed over."""
        reads = self._batches("reads")
        imports = self._batches("intervals")
        foreign = tuple(batch for batch in imports if batch.source != NAME)
        if not reads and not foreign:
            if imports:
                self._seen["intervals"] = imports[-1].seq
            return None
        cursors = tuple(
            Cursor(NAME, dataset, found[-1].seq)
            for dataset, found in (("reads", reads), ("intervals", imports))
            if found
        )
        return _Slice(tuple(reads), foreign, cursors)

    def _batches(self, dataset: str) -> list[Batch]:
        """The next batches of a dataset, at least one, up to the limits of a slice."""
        taken: list[Batch] = []
        rows = 0
        for batch in self._store.batches(dataset, self._seen.get(dataset, 0), SLICE_BATCHES):
            rows += batch.rows
            if taken and rows > SLICE_ROWS:
                break
            taken.append(batch)
        return taken

    def _take(self, folds: Folds, piece: _Slice, now: datetime, report: RateReport) -> None:
        """Convert, rate and commit one slice."""
        reads = [batch.table for batch in piece.reads if batch.rows]
        fresh = convert(self._store, folds.master, reads, self._places) if reads else NOTHING
        own = fresh.intervals
        table = pa.concat_tables([own, *(batch.table for batch in piece.imports)])
        moved = folds.take(table)
        books = KeptBooks(self._store, self._books, self.series)
        late, wrong = corrections.prepare(self._store, folds, books, moved.billed, table)
        rows = charging.table([*moved.charged, *(part for one in late for part in one.charges)], folds.master)
        findings = [*fresh.findings, *moved.findings, *wrong]
        number = "-".join(f"{cursor.dataset[0]}{cursor.seq}" for cursor in piece.cursors)
        packed = [
            (name, batches.pack(name, part)) for name, part in (("intervals", own), ("charges", rows)) if part.num_rows
        ]

        places, states = list(fresh.stored()), rows_of(moved.periods, folds.open_of)

        def work(unit: Unit) -> int:
            for name, part in packed:
                unit.append_batch(name, NAME, number, part, now)
            unit.put_rows(RegisterPlace, places)
            for finding in findings:
                unit.add(finding)
            put_states(unit, states)
            corrections.book_in(unit, late, now)
            for cursor in piece.cursors:
                unit.put(cursor)
            return 0

        self._store.write(Priority.BATCH, work)
        self._seen.update({cursor.dataset: cursor.seq for cursor in piece.cursors})
        self._places.update(fresh.places)
        report.reads += sum(table.num_rows for table in reads)
        report.intervals += table.num_rows
        report.charges += rows.num_rows
        report.accounts += len({period.account for period in moved.periods})
        report.corrections += fresh.corrections + len(late)
        report.findings += findings

    def _estimate(self, folds: Folds, now: datetime) -> None:
        """Write the provisional money of unread slots where it changed."""
        changed = folds.estimate(now)
        if changed:
            states = rows_of(changed, folds.open_of)
            self._store.write(Priority.BATCH, lambda unit: put_states(unit, states))


def _stamp(reader: Reader) -> tuple[int, ...]:
    """What the folds rest on besides intervals: it changes when a bill is posted or master data change."""
    sql = (
        "SELECT (SELECT count(*) FROM bill), (SELECT count(*) FROM account), (SELECT count(*) FROM install),"
        ' (SELECT count(*) FROM install WHERE "end" IS NOT NULL), (SELECT count(*) FROM meter),'
        f" (SELECT coalesce(max(seq), 0) FROM cursor WHERE name = '{REGISTRY}')"
    )
    return tuple(int(value) for value in reader.connection.execute(sql).fetchone())


def accounts_changed(unit: Unit) -> None:
    """Say, with the change, that accounts are not what they were: the rater reads them again before its next step."""
    before = unit.get(Cursor, REGISTRY, "account")
    unit.put(Cursor(REGISTRY, "account", before.seq + 1 if before is not None else 1))


def unrated(store: Store) -> bool:
    """Whether there are reads or foreign intervals that the rater has not taken yet."""

    def look(reader: Reader) -> bool:
        seen = {cursor.dataset: cursor.seq for cursor in reader.find(Cursor, name=NAME)}
        sql = "SELECT 1 FROM inbox WHERE dataset = ? AND seq > ? AND source <> ? LIMIT 1"
        asked = ((name, seen.get(name, 0), NAME) for name in ("reads", "intervals"))
        return any(reader.connection.execute(sql, one).fetchone() is not None for one in asked)

    return store.read(look)
