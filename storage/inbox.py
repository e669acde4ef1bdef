"""Reads, intervals, findings and raw frames in, receipts out: committed before the field is told.

Idempotent twice over: a repeated batch number with the same content is known at once, a repeated row by its slot and
value. A second value for a slot is kept aside as a ReadConflict and never lost.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from ingest.records import Finding, Interval, MeterRead, Receipt
from storage import batches, schemas
from storage.codec import to_ms
from storage.judge import Held, Slot, Verdict, judge
from storage.merge import rank_of
from storage.records import ReadConflict
from storage.slots import Slots
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One batch on its way in: its number, its rows as slots and values, its whole content as a table."""

    dataset: str
    source: str
    source_seq: str
    rows: Sequence[MeterRead] | Sequence[Interval]
    slots: list[Slot]
    held: list[Held]
    table: pa.Table
    at: datetime


class ReadInbox:
    """The sink that every collector and importer writes to (ingest.ports.ReadSink and RawStore)."""

    def __init__(self, store: Store) -> None:
        """Bind to the store; several inboxes on one store are safe."""
        self._store = store
        self._slots = {name: store.slots(name) for name in ("reads", "intervals")}

    async def accept(self, source: str, source_seq: str, reads: Sequence[MeterRead], at: datetime) -> Receipt:
        """Commit registers; the receipt means that all of them are on the disk, the new ones in view of the rater."""
        held = [(r.register_wh, rank_of(r.flags)) for r in reads]
        return await self._accept("reads", (source, source_seq), reads, held, at, schemas.reads_table(reads))

    async def accept_intervals(self, source: str, source_seq: str, rows: Sequence[Interval], at: datetime) -> Receipt:
        """Commit intervals that came as such (files, load profiles)."""
        held = [(r.energy_wh, rank_of(r.flags)) for r in rows]
        return await self._accept("intervals", (source, source_seq), rows, held, at, schemas.intervals_table(rows))

    async def found(self, findings: Sequence[Finding]) -> None:
        """Keep what was wrong in the field; a finding that stands already is not repeated."""
        if findings:
            await self._store.commit(Priority.INBOX, lambda unit: [unit.add(f) for f in findings])

    async def keep(self, source: str, at: datetime, frame: bytes, reason: str) -> None:
        """Keep bytes as they came, for a later look."""
        table = pa.table([[source], [at], [frame], [reason]], schema=schemas.RAW.schema)
        number = hashlib.blake2b(f"{to_ms(at)}|{reason}|".encode() + frame, digest_size=16).hexdigest()
        packed = batches.pack("raw", table)
        await self._store.commit(Priority.INBOX, lambda unit: unit.append_batch("raw", source, number, packed, at))

    async def _accept(
        self,
        dataset: str,
        number: tuple[str, str],
        rows: Sequence[MeterRead] | Sequence[Interval],
        held: list[Held],
        at: datetime,
        table: pa.Table,
    ) -> Receipt:
        if not rows:
            return Receipt(0, 0, 0, 0)
        slots = [(r.meter_id, int(r.channel), to_ms(r.end)) for r in rows]
        delivery = _Delivery(dataset, *number, rows, slots, held, table, at)
        packed = batches.pack(dataset, table)
        index = self._slots[dataset]
        suspects = index.suspects(slots)
        stored, upto = index.held(suspects) if suspects else ({}, None)
        return await self._store.commit(
            Priority.INBOX, lambda unit: _take(unit, index, delivery, packed, (dict(stored), upto))
        )


def _take(
    unit: Unit,
    index: Slots,
    delivery: _Delivery,
    packed: batches.Packed,
    known: tuple[dict[Slot, Held], int | None],
) -> Receipt:
    """Inside the transaction: judge against everything committed, insert what is new, keep conflicts aside."""
    total = len(delivery.rows)
    digest = batches.digest_of(unit.connection, delivery.dataset, delivery.source, delivery.source_seq)
    if digest == packed.digest:
        return Receipt(total, 0, total, 0)
    verdict = _judge(unit, index, delivery, known)
    if verdict.new:
        kept = packed if len(verdict.new) == total else _only(packed, verdict.new)
        number = f"{delivery.source_seq}#{packed.digest[:12]}" if digest else delivery.source_seq
        if unit.append_batch(delivery.dataset, delivery.source, number, kept, delivery.at):
            index.took(unit.connection, packed.digest, delivery.slots)
    _set_aside(unit, delivery, verdict)
    return Receipt(total, len(verdict.new), verdict.duplicate, len(verdict.conflicts))


def _judge(unit: Unit, index: Slots, delivery: _Delivery, known: tuple[dict[Slot, Held], int | None]) -> Verdict:
    stored, upto = known
    with index.lock:
        index.refresh(unit.connection)
        suspects = index.suspects(delivery.slots)
    if suspects:
        if upto is None:
            stored, upto = index.held(suspects)
        index.newer(unit.connection, stored, suspects, upto)
    return judge(delivery.slots, delivery.held, stored)


def _only(packed: batches.Packed, rows: Sequence[int]) -> batches.Packed:
    """The new rows alone, under the digest of the whole delivery, so that its repetition is known at once."""
    part = batches.pack(packed.dataset, packed.table.take(pa.array(rows, pa.int64())))
    return dataclasses.replace(part, digest=packed.digest)


def _set_aside(unit: Unit, delivery: _Delivery, verdict: Verdict) -> None:
    for index, kept in verdict.conflicts:
        row = delivery.rows[index]
        other = delivery.held[index][0]
        key = (delivery.dataset, row.meter_id, int(row.channel), row.end, other)
        if unit.get(ReadConflict, *key) is None:
            unit.add(
                ReadConflict(
                    delivery.dataset,
                    row.meter_id,
                    int(row.channel),
                    row.end,
                    kept,
                    other,
                    int(row.flags),
                    delivery.source,
                    delivery.source_seq,
                    delivery.at,
                )
            )
