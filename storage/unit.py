"""Records in one transaction: Reader answers from a snapshot, Unit writes within the one writer's transaction."""

import dataclasses
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import pyarrow as pa

from storage import audit, batches, bulk, ledger, statements
from storage.errors import AppendOnly, Conflict
from storage.records import AuditRow, Event, Posting
from storage.tables import Stored, Tables

R = TypeVar("R")


class Reader:
    """Reads of one snapshot; valid only inside the function that was handed it."""

    def __init__(self, connection: sqlite3.Connection, tables: Tables) -> None:
        """Bind one connection that is inside a transaction."""
        self.connection = connection
        self.tables = tables

    def get(self, record: type[R], *key: Any) -> R | None:
        """The record under ``key`` (fields in the spec's order), or None."""
        stored = self.tables.of(record)
        row = self.connection.execute(statements.get(stored)[0], self._key(stored, key)).fetchone()
        found: R | None = stored.codec.load(row) if row else None
        return found

    def find(
        self, record: type[R], *, order: str | tuple[str, ...] = "", limit: int | None = None, **conditions: Any
    ) -> list[R]:
        """Records that meet every condition: ``field=value`` or ``field__in / lt / le / gt / ge / ne / null``.

        ``order`` names fields, ``-field`` descending; the key always ends it.
        """
        stored = self.tables.of(record)
        fields = (order,) if isinstance(order, str) and order else tuple(order)
        sql, values = statements.search(stored, conditions, order=fields, limited=limit is not None)
        if limit is not None:
            values.append(limit)
        load = stored.codec.load
        return [load(row) for row in self.connection.execute(sql, values)]

    def count(self, record: type, **conditions: Any) -> int:
        """How many records meet every condition."""
        sql, values = statements.search(self.tables.of(record), conditions, count=True)
        return int(self.connection.execute(sql, values).fetchone()[0])

    def balance(self, ledger_account: str, currency: str = "") -> int:
        """Micro-units on one ledger account such as ``customer:A1``; 0 when it has no posting."""
        return ledger.balance(self.connection, ledger_account, currency)

    def balances(self, prefix: str = "customer:") -> dict[str, int]:
        """Micro-units by ledger account, for those that start with ``prefix``."""
        return ledger.balances(self.connection, prefix)

    def ledger_sum(self) -> int:
        """What the whole ledger sums to: 0, or something is broken."""
        return ledger.total(self.connection)

    @staticmethod
    def _key(stored: Stored, key: Sequence[Any]) -> list[Any]:
        if len(key) != len(stored.spec.key):
            raise ValueError(f"{stored.spec.name} has the key {stored.spec.key}, not {len(key)} values")
        return [stored.codec.value(name, value) for name, value in zip(stored.spec.key, key, strict=True)]


class Unit(Reader):
    """One write transaction: everything in it is committed together or not at all."""

    def add(self, record: Any) -> bool:
        """Insert. False when the same record stands already; Conflict when its key holds another body.

        A key field ``seq`` of 0 is given the next number.
        """
        stored = self.tables.of(type(record))
        row = stored.codec.row(record)
        if stored.sequence is not None and row[stored.sequence] == 0:
            row[stored.sequence] = self._next(stored, row)
        if self._execute(stored, statements.insert_new(stored), row):
            return True
        key = [row[i] for i in stored.key_at]
        there = self.connection.execute(statements.get(stored)[0], key).fetchone()
        if list(there) == row:
            return False
        raise Conflict(f"{stored.spec.name} {key} is stored with another body: use a new key, or put")

    def add_all(self, records: Sequence[Any]) -> None:
        """Insert many records of one type, whose keys are given and new; what stands under a key is left as it is."""
        if records:
            stored = self.tables.of(type(records[0]))
            sql, names = statements.insert_new(stored)
            assert names == stored.codec.names
            bulk.insert(self.connection, sql, map(stored.codec.row, records))

    def put(self, record: Any) -> None:
        """Insert, or overwrite what stands under the same key; AppendOnly for tables that only grow."""
        stored = self._changing(type(record))
        row = stored.codec.row(record)
        if stored.sequence is not None and row[stored.sequence] == 0:
            row[stored.sequence] = self._next(stored, row)
        self._execute(stored, statements.insert_or_replace(stored), row)

    def put_all(self, records: Sequence[Any]) -> None:
        """``put`` for many records of one type, whose keys are given: one statement, so much faster."""
        if records:
            row = self._changing(type(records[0])).codec.row
            self.put_rows(type(records[0]), map(row, records))

    def put_rows(self, record_type: type, rows: Iterable[Sequence[Any]]) -> None:
        """``put_all`` of rows as they are stored: in the order of the record's fields, each as its codec writes it."""
        stored = self._changing(record_type)
        sql, names = statements.insert_or_replace(stored)
        at = [stored.codec.names.index(name) for name in names]
        plain = at == list(range(len(stored.codec.names)))
        bulk.insert(self.connection, sql, rows if plain else ([row[i] for i in at] for row in rows))

    def delete(self, record_type: type, *key: Any) -> None:
        """Remove what stands under ``key``, if anything; AppendOnly for tables that only grow."""
        stored = self._changing(record_type)
        self.connection.execute(statements.delete(stored)[0], self._key(stored, key))

    def post(self, postings: Sequence[Posting]) -> bool:
        """The legs of one (source, source_id), which sum to zero per currency; False when they are posted already."""
        return ledger.post(self.connection, self.tables.of(Posting), postings)

    def post_all(self, transactions: Sequence[Sequence[Posting]]) -> int:
        """Many transactions at once (daily usage, bills): the fast way of ``post``; how many of them were new."""
        return ledger.post_all(self.connection, self.tables.of(Posting), transactions)

    def audit(self, actor: str, action: str, subject: str, body: Mapping[str, Any], at: datetime) -> AuditRow:
        """Append one link to the hash chain."""
        row = audit.link(self.connection, actor, action, subject, body, at)
        self.add(row)
        return row

    def event(self, code: str, at: datetime, account: str = "", **params: str) -> Event:
        """Append one line to the timeline; its number is given here."""
        stored = self.tables.of(Event)
        event = Event(0, at, code, account, params)
        event = dataclasses.replace(event, seq=self._next(stored, stored.codec.row(event)))
        self.add(event)
        return event

    def append_batch(
        self, dataset: str, source: str, source_seq: str, table: pa.Table | batches.Packed, at: datetime
    ) -> bool:
        """Add one batch to the inbox: reads, intervals, charges or raw. False when its number is there already.

        BadBatch when the columns do not fit; Conflict when the same number brings other content. Pack a large table
        before the transaction (``storage.batches.pack``), so that the writer does not wait for the compression.
        """
        packed = table if isinstance(table, batches.Packed) else batches.pack(dataset, table)
        return batches.append(self.connection, packed, source, source_seq, at)

    def _changing(self, record_type: type) -> Stored:
        stored = self.tables.of(record_type)
        if stored.spec.append_only:
            raise AppendOnly(f"{stored.spec.name} only grows: add a record that corrects instead")
        return stored

    def _next(self, stored: Stored, row: list[Any]) -> int:
        sql, names = statements.last_seq(stored)
        values = [row[stored.codec.names.index(n)] for n in names]
        last = self.connection.execute(sql, values).fetchone()[0]
        return int(last or 0) + 1

    def _execute(self, stored: Stored, statement: statements.Statement, row: list[Any]) -> bool:
        sql, names = statement
        if names != stored.codec.names:
            at = stored.codec.names
            row = [row[at.index(n)] for n in names]
        return self.connection.execute(sql, row).rowcount == 1
