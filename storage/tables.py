"""TableSpecs in, SQLAlchemy tables and prepared statements out: the schema of the state file."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from ingest.records import Finding, MeterPoint
from storage import records as r
from storage.codec import Codec, Kind
from storage.errors import UnknownRecord
from storage.records import TableSpec

DIALECT = sqlite.dialect()
_INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TYPES: Mapping[Kind, Any] = {
    Kind.TEXT: sa.Text(),
    Kind.JSON: sa.Text(),
    Kind.INTEGER: _INTEGER,
    Kind.BOOL: _INTEGER,
    Kind.TIME: _INTEGER,
    Kind.FLOAT: sa.REAL(),
}

POSTING = "posting"
TABLES: tuple[TableSpec, ...] = (
    TableSpec("account", r.Account, ("account",), comment="Customer agreements: tariff book, policy class, contact"),
    TableSpec("account_state", r.AccountState, ("account",), comment="What the rater keeps per account; derivable"),
    TableSpec(
        "meter", MeterPoint, ("meter_id",), indexes=(("meter",), ("gateway",)), comment="Meters and how to reach them"
    ),
    TableSpec(
        "install",
        r.Install,
        ("meter_id", "start"),
        indexes=(("account",), ("meter",)),
        comment="Which meter stood at which account, from when until when",
    ),
    TableSpec(
        "payment",
        r.Payment,
        ("channel", "external_id"),
        indexes=(("account", "at"), ("status",)),
        comment="Payments as the channels delivered them",
    ),
    TableSpec(
        POSTING,
        r.Posting,
        ("source", "source_id", "ledger_account"),
        append_only=True,
        indexes=(("ledger_account", "at"),),
        comment="Double entry: the legs of one source and source_id sum to zero; positive is credit",
    ),
    TableSpec("bill", r.StoredBill, ("account", "start"), comment="Posted bills, as corrected"),
    TableSpec(
        "bill_before",
        r.SupersededBill,
        ("account", "start", "revision"),
        append_only=True,
        comment="Bills as they stood before a correction; the difference is in the ledger",
    ),
    TableSpec("book", r.BookVersion, ("book_hash",), append_only=True, comment="Tariff books as they were used"),
    TableSpec(
        "event",
        r.Event,
        ("seq",),
        append_only=True,
        indexes=(("account", "seq"), ("code", "seq")),
        comment="Timeline: what happened, as codes and parameters",
    ),
    TableSpec("audit", r.AuditRow, ("seq",), append_only=True, comment="Hash chain of what people and the engine did"),
    TableSpec(
        "finding",
        Finding,
        ("at", "code", "meter", "gateway", "detail"),
        append_only=True,
        indexes=(("meter", "at"), ("code", "at")),
        comment="What was wrong in the field: seen, counted, kept",
    ),
    TableSpec(
        "read_conflict",
        r.ReadConflict,
        ("dataset", "meter_id", "channel", "end", "other"),
        append_only=True,
        comment="Second, different values of a slot, kept aside; kept is the one that bills",
    ),
    TableSpec("register_place", r.RegisterPlace, ("meter_id", "channel"), published=False),
    TableSpec("open_period", r.OpenPeriod, ("account", "start"), comment="Money of periods without a posted bill"),
    TableSpec("cursor", r.Cursor, ("name", "dataset"), published=False),
    TableSpec("invocation_counter", r.InvocationCounter, ("key",), published=False),
    TableSpec("job", r.Job, ("job",), published=False),
    TableSpec("config_audit", r.ConfigAudit, ("digest",), append_only=True, published=False),
)

_OWN = """
CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS inbox (
  seq INTEGER PRIMARY KEY, dataset TEXT NOT NULL, source TEXT NOT NULL, source_seq TEXT NOT NULL,
  digest TEXT NOT NULL, rows INTEGER NOT NULL, size INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
  at INTEGER NOT NULL, sealed INTEGER NOT NULL DEFAULT 0, payload BLOB, UNIQUE (dataset, source, source_seq)) STRICT;
CREATE INDEX IF NOT EXISTS inbox_open ON inbox (dataset, seq) WHERE sealed = 0;
CREATE INDEX IF NOT EXISTS inbox_kept ON inbox (dataset, seq) WHERE payload IS NOT NULL;
CREATE TABLE IF NOT EXISTS lake_file (
  path TEXT NOT NULL PRIMARY KEY, dataset TEXT NOT NULL, month TEXT NOT NULL, bucket INTEGER NOT NULL,
  level INTEGER NOT NULL, first_seq INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
  meter_low INTEGER NOT NULL, meter_high INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
  sha256 TEXT NOT NULL, run_id TEXT NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS lake_file_state ON lake_file (state, dataset, month);
CREATE TABLE IF NOT EXISTS ledger_balance (
  ledger_account TEXT NOT NULL, currency TEXT NOT NULL, amount_micro INTEGER NOT NULL,
  PRIMARY KEY (ledger_account, currency)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger_total (currency TEXT NOT NULL PRIMARY KEY, amount_micro INTEGER NOT NULL) STRICT;
"""

_MAINTAIN = """
CREATE TRIGGER IF NOT EXISTS posting_kept AFTER INSERT ON posting BEGIN
  INSERT INTO ledger_balance VALUES (NEW.ledger_account, NEW.currency, NEW.amount_micro)
    ON CONFLICT (ledger_account, currency) DO UPDATE SET amount_micro = amount_micro + excluded.amount_micro;
  INSERT INTO ledger_total VALUES (NEW.currency, NEW.amount_micro)
    ON CONFLICT (currency) DO UPDATE SET amount_micro = amount_micro + excluded.amount_micro;
END;
"""


class Stored:
    """One spec with its codec, its SQLAlchemy table and a cache of compiled statements by shape."""

    def __init__(self, spec: TableSpec, metadata: sa.MetaData) -> None:
        """Build the table from the record's fields."""
        self.spec = spec
        self.codec = Codec(spec.record)
        unknown = [k for k in spec.key if k not in self.codec.names]
        if unknown:
            raise UnknownRecord(f"table {spec.name}: key fields {unknown} are not in {spec.record.__name__}")
        self.key_at = tuple(self.codec.names.index(k) for k in spec.key)
        self.sequence = self.codec.names.index("seq") if "seq" in spec.key else None
        columns = [
            sa.Column(c.name, _TYPES[c.kind], primary_key=c.name in spec.key, nullable=c.optional, autoincrement=False)
            for c in self.codec.columns
        ]
        self.table = sa.Table(spec.name, metadata, *columns, sqlite_strict=True)
        for fields in spec.indexes:
            sa.Index(f"{spec.name}_{'_'.join(fields)}", *[self.table.c[f] for f in fields])
        self.statements: dict[object, tuple[str, tuple[str, ...]]] = {}

    def ddl(self) -> list[str]:
        """Statements that create the table, its indexes and, when it only grows, the triggers that keep it so."""
        out = [str(CreateTable(self.table, if_not_exists=True).compile(dialect=DIALECT))]
        indexes = sorted(self.table.indexes, key=lambda index: str(index.name))
        out += [str(CreateIndex(i, if_not_exists=True).compile(dialect=DIALECT)) for i in indexes]
        if self.spec.append_only:
            for verb in ("UPDATE", "DELETE"):
                out.append(
                    f"CREATE TRIGGER IF NOT EXISTS {self.spec.name}_no_{verb.lower()} BEFORE {verb}"
                    f" ON {self.spec.name} BEGIN SELECT RAISE(ABORT, '{self.spec.name} only grows'); END"
                )
        return out

    def missing(self, present: Iterable[str]) -> list[str]:
        """ALTER statements for fields that the record gained since the table was made, with the field's default."""
        have = set(present)
        out = []
        for column in self.codec.columns:
            if column.name not in have:
                kind = self.table.c[column.name].type.compile(dialect=DIALECT)
                rule = "" if column.optional else f" NOT NULL DEFAULT {_literal(column.default)}"
                out.append(f'ALTER TABLE {self.spec.name} ADD COLUMN "{column.name}" {kind}{rule}')
        return out


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


class Tables:
    """Every stored record type of this home, by type."""

    def __init__(self, specs: Sequence[TableSpec] = ()) -> None:
        """Take storage's own tables first, then those handed in; a name or record given twice is refused."""
        self.metadata = sa.MetaData()
        self.stored: dict[type, Stored] = {}
        names: set[str] = set()
        for spec in (*TABLES, *specs):
            if spec.name in names or spec.record in self.stored:
                raise UnknownRecord(f"two tables named {spec.name} or for {spec.record.__name__}: keep one")
            names.add(spec.name)
            self.stored[spec.record] = Stored(spec, self.metadata)

    def of(self, record: type) -> Stored:
        """The table of a record type; UnknownRecord names what to do."""
        found = self.stored.get(record)
        if found is None:
            raise UnknownRecord(f"{record.__name__} has no TableSpec: hand one to Store.open(tables=...)")
        return found

    def ddl(self) -> list[str]:
        """Everything that creates the state file's schema, in order, safe to run again."""
        own = [s for s in _OWN.split(";") if s.strip()]
        return own + [s for stored in self.stored.values() for s in stored.ddl()] + [_MAINTAIN]
