"""The store in, ``catalog.duckdb`` out: views over explicit files, built aside and put in place in one rename.

Nobody holds the catalog: it is built in memory of its own, closed, flushed and renamed; readers open it read-only for
as long as their query lasts. Old files stay for a day, so a query on the catalog before this one still ends well.
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

import duckdb

from storage import manifest, snapshot, views
from storage.manifest import LakeFile
from storage.parquet import TEMPORARY, sync_directories
from storage.store import CATALOG, Store
from storage.tables import Tables
from storage.unit import Unit
from storage.views import View
from storage.writer import Priority

STORAGE_VERSION = "v1.5.0"
"""DuckDB file format of the catalog: readable from 1.5 on."""

NAMES = {
    "account": "account_master",
    "account_state": "account_state",
    "meter": "meters",
    "install": "installs",
    "payment": "payments",
    "posting": "ledger",
    "bill": "bills",
    "book": "tariffs",
    "event": "events",
    "audit": "audit",
    "finding": "findings",
    "read_conflict": "read_conflicts",
}
"""View names of storage's own tables; other parts' tables keep theirs."""

_PUBLISH = threading.Lock()


@dataclass(frozen=True, slots=True)
class Published:
    """What one publish did."""

    views: int
    files: int
    written: int


def publish(store: Store, now: datetime) -> Published:
    """Snapshot the state tables that changed, then replace the catalog with views over what is in view now."""
    with _PUBLISH:
        store.crash("publish.start")
        changes = store.read(lambda reader: snapshot.changes(reader.connection, store.tables))
        made = [snapshot.write(store.lake.root, c, store.next_file(), durable=store.durable) for c in changes]
        if made:
            if store.durable:
                for folder in sorted({(store.lake.root / f.path).parent for f in made}):
                    sync_directories(store.lake.root, folder)
            store.crash("publish.before_commit")
            old = [f for c in changes for f in c.replaces]

            def commit(unit: Unit) -> None:
                manifest.replace(unit.connection, made, old, now)

            store.write(Priority.BATCH, commit)
        files = store.lake.files()
        found = compose(store.lake.root.resolve(), store.tables, files)
        _replace(store, found)
        return Published(len(found), len(files), len(made))


def compose(root: Path, tables: Tables, files: Sequence[LakeFile]) -> list[View]:
    """Every view of the catalog, in an order in which each finds those that it builds on."""
    by_dataset = {name: list(group) for name, group in groupby(files, key=lambda f: f.dataset)}
    out = views.lake_views(root, by_dataset)
    comments = {stored.spec.name: stored.spec for stored in tables.stored.values()}
    for source in snapshot.sources(tables):
        select = views.state_select(root, source.schema, by_dataset.get(source.dataset, ()))
        spec = comments.get(source.name)
        comment = spec.comment if spec else "Balances of all ledger accounts"
        columns = {**views.RESERVED, **(spec.columns if spec else {})}
        out.append(View(NAMES.get(source.name, source.name), select, comment, columns))
    there = {v.name for v in out}
    out += [views.absent(name) for name in views.ABSENT if name not in there]
    return [*out, *views.DERIVED, views.RELAY_EVENTS]


def _replace(store: Store, found: Sequence[View]) -> None:
    final = store.home / CATALOG
    temporary = final.with_name(CATALOG + TEMPORARY)
    for stale in (temporary, temporary.with_name(temporary.name + ".wal")):
        stale.unlink(missing_ok=True)
    _build(temporary, found)
    store.crash("publish.built")
    if store.durable:
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
    store.crash("publish.synced")
    temporary.rename(final)
    if store.durable:
        sync_directories(store.home, store.home)
    store.crash("publish.replaced")


def _build(path: Path, found: Sequence[View]) -> None:
    """Make the file in an engine of its own, which is closed with it."""
    engine = duckdb.connect(config={"threads": 1})
    try:
        engine.execute("SET enable_progress_bar = false")
        engine.execute(f"ATTACH {views.quoted(str(path))} AS prewatt_catalog (STORAGE_VERSION '{STORAGE_VERSION}')")
        engine.execute("USE prewatt_catalog")
        engine.execute("BEGIN")
        for view in found:
            engine.execute(f'CREATE VIEW "{view.name}" AS {view.select}')
            engine.execute(f'COMMENT ON VIEW "{view.name}" IS {views.quoted(view.comment)}')
        there = engine.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal").fetchall()
        for view in found:
            for name, text in view.columns.items():
                if (view.name, name) in there:
                    engine.execute(f'COMMENT ON COLUMN "{view.name}"."{name}" IS {views.quoted(text)}')
        engine.execute("COMMIT")
        engine.execute("USE memory")
        engine.execute("DETACH prewatt_catalog")
    finally:
        engine.close()
