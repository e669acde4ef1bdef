"""The analysts' door: every view from the first hour on, explicit files, exact money, readers beside a writer."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from control.records import Action, Command, CommandEvent, CommandState
from control.tables import TABLES as CONTROL
from ingest.records import Flag, MeterPoint
from storage import catalog, snapshot, views
from storage.catalog import publish
from storage.records import Account, AccountState, Event, Posting
from storage.schemas import CHARGES, intervals_table, reads_table
from storage.store import Store
from storage.writer import Priority
from tests.storage.conftest import HOUR, T0, StillClock, interval, read

PROMISED = [
    "reads",
    "reads_raw",
    "intervals",
    "charges",
    "bills",
    "ledger",
    "payments",
    "notices",
    "commands",
    "decisions",
    "relay_events",
    "accounts",
    "meters",
    "gaps",
    "tariffs",
    "completeness",
]


@contextmanager
def opened(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    link = duckdb.connect(str(store.home / "catalog.duckdb"), read_only=True)
    try:
        yield link
    finally:
        link.close()


def ask(store: Store, sql: str) -> list[tuple[Any, ...]]:
    with opened(store) as link:
        return link.execute(sql).fetchall()


def add(store: Store, dataset: str, number: str, table: pa.Table) -> None:
    store.write(Priority.INBOX, lambda u: u.append_batch(dataset, "t", number, table, T0))


@pytest.mark.parametrize("tables", [(), CONTROL])
def test_every_promised_view_exists_when_nothing_does(tmp_path: Path, clock: StillClock, tables: Any) -> None:
    with Store.open(tmp_path, tables, clock=clock, writer="inline", durable=False) as store:
        publish(store, T0)
        for name in PROMISED:
            assert ask(store, f"SELECT count(*) FROM {name}") == [(0,)], name
        comments = dict(ask(store, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"))
        assert set(PROMISED) <= set(comments)
        assert all(comments[name] for name in PROMISED)
        version = ask(store, "SELECT tags FROM duckdb_databases() WHERE database_name = 'catalog'")
        assert "v1.5.0" in str(version)


def test_views_name_their_files_and_never_glob(store: Store) -> None:
    add(store, "reads", "1", reads_table([read(1, 5)]))
    store.lake.seal(T0)
    publish(store, T0)
    for name, sql in ask(store, "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal"):
        assert "*.parquet" not in sql, name
    (sql,) = ask(store, "SELECT sql FROM duckdb_views() WHERE view_name = 'reads'")[0]
    assert str(store.lake.root.resolve() / store.lake.files("reads")[0].path) in sql


def test_rows_columns_and_comments_of_the_lake(store: Store) -> None:
    add(store, "reads", "1", reads_table([read(1, 5), read(2, 6)]))
    add(store, "intervals", "1", intervals_table([interval(1, 1500), interval(2, 7)]))
    charge = {
        "meter_id": 1, "account": "A1", "end": T0 + HOUR, "minutes": 60, "energy_wh": 1500, "amount_micro": 123_456,
        "period": "peak", "tier": 1, "price": 5, "price_scale": 1, "book_hash": "h", "run_id": "r",
    }  # fmt: skip
    add(store, "charges", "1", pa.Table.from_pylist([charge], schema=CHARGES.schema))
    store.lake.seal(T0)
    publish(store, T0)
    assert ask(store, 'SELECT meter_id, "end", register_wh FROM reads ORDER BY 2') == [
        (1, T0 + HOUR, 5), (1, T0 + 2 * HOUR, 6)]  # fmt: skip
    assert ask(store, "SELECT energy_kwh FROM intervals ORDER BY energy_wh DESC") == [
        (Decimal("1.500"),),
        (Decimal("0.007"),),
    ]
    assert ask(store, "SELECT amount, amount_micro, period FROM charges") == [(Decimal("0.123456"), 123_456, "peak")]
    for view in ("reads", "reads_raw", "intervals", "charges"):
        assert ask(store, f"SELECT DISTINCT month FROM {view}") == [(date(2025, 1, 1),)]
    found = ask(store, "SELECT comment FROM duckdb_columns() WHERE table_name = 'charges' AND column_name = 'amount'")
    assert found == [("money in the account's currency, exact",)]


def test_a_slot_that_stands_twice_is_shown_once(store: Store) -> None:
    """The better standing wins in reads; in derived data the later wins; reads_raw shows both."""
    add(store, "reads", "1", reads_table([read(1, 5), read(2, 6)]))
    add(store, "intervals", "1", intervals_table([interval(1, 10), interval(2, 20)]))
    store.lake.seal(T0)
    add(store, "reads", "2", reads_table([read(1, 9), read(2, 7, flags=Flag.FINAL)]))
    add(store, "intervals", "2", intervals_table([interval(1, 11), interval(2, 99, flags=Flag.ESTIMATED)]))
    add(store, "intervals", "3", intervals_table([interval(700, 1)]))
    store.lake.seal(T0)
    files = store.lake.files("intervals")
    assert views.dirty(files) == {f.path for f in files if f.rows == 2 and f.month == "2025-01"}
    publish(store, T0)
    assert ask(store, 'SELECT register_wh FROM reads ORDER BY "end"') == [(5,), (7,)]
    assert ask(store, 'SELECT energy_wh FROM intervals ORDER BY "end"') == [(11,), (20,), (1,)]
    assert ask(store, "SELECT count(*) FROM reads_raw") == [(4,)]
    assert store.intervals(T0, T0 + 999 * HOUR).column("energy_wh").to_pylist() == [11, 20, 1]
    store.lake.compact(T0 + timedelta(days=400))
    assert views.dirty(store.lake.files("reads")) == set()
    publish(store, T0)
    assert ask(store, 'SELECT register_wh FROM reads ORDER BY "end"') == [(5,), (7,)]


def test_gaps_and_completeness(store: Store) -> None:
    rows = [interval(h, 1) for h in (1, 2, 5, 6, 30)] + [interval(h, 1, meter=2) for h in range(1, 25)]
    add(store, "intervals", "1", intervals_table(rows))
    store.lake.seal(T0)
    publish(store, T0)
    assert ask(store, 'SELECT meter_id, start, "end", intervals FROM gaps ORDER BY start') == [
        (1, T0 + 2 * HOUR, T0 + 4 * HOUR, 2), (1, T0 + 6 * HOUR, T0 + 29 * HOUR, 23)]  # fmt: skip
    assert ask(store, "SELECT * FROM completeness ORDER BY day") == [
        (T0.date(), 2, 28, 28 * 60, 2880), (T0.date() + timedelta(days=1), 1, 1, 60, 1440)]  # fmt: skip


def test_state_is_shown_with_money_as_decimals(tmp_path: Path, clock: StillClock) -> None:
    command = Command("c1", "A1", "M1", Action.DISCONNECT, 1, CommandState.VERIFIED, T0, "r", "d", "v", 2, T0, T0)
    with Store.open(tmp_path, CONTROL, clock=clock, writer="inline", durable=False) as store:

        def fill(unit: Any) -> None:
            unit.add(Account("A1", "Ada", "residential", "zj", "Asia/Shanghai", "CNY", opened=T0))
            unit.add(AccountState("A1", accrued_micro=250_000))
            unit.add(MeterPoint(1, "M1", "s", "m", "modbus", "g", "h", 502, 1))
            legs = [Posting("payment", "p1", "customer:A1", 5_500_000, "CNY", T0, T0)]
            unit.post([*legs, replace(legs[0], ledger_account="cash:x", amount_micro=-5_500_000)])
            unit.put(command)
            unit.add(CommandEvent("c1", 1, T0, "read_back", "acknowledged", "verified"))

        store.write(Priority.BATCH, fill)
        publish(store, T0)
        assert ask(store, "SELECT account, balance, accrued, opened FROM accounts") == [
            ("A1", Decimal("5.500000"), Decimal("0.250000"), T0)]  # fmt: skip
        assert ask(store, "SELECT sum(amount), sum(amount_micro) FROM ledger") == [(Decimal("0.000000"), 0)]
        assert ask(store, 'SELECT "at", account, action FROM relay_events') == [(T0, "A1", "disconnect")]
        assert ask(store, "SELECT meter FROM meters") == [("M1",)]
        words = "SELECT comment FROM duckdb_columns() WHERE table_name = 'payments' AND column_name = 'at'"
        assert ask(store, words) == [('UTC; a word of SQL, so quote it: "at"',)]


def test_nothing_changed_means_nothing_written(store: Store) -> None:
    assert publish(store, T0).written > 10
    assert publish(store, T0).written == 0
    store.write(Priority.BATCH, lambda u: u.event("x", T0))
    assert publish(store, T0).written == 1


def test_a_growing_table_is_written_on_and_folded_in_time(store: Store) -> None:
    for n in range(snapshot.PARTS + 3):
        store.write(Priority.BATCH, lambda u, n=n: u.event(f"e{n}", T0))
        publish(store, T0)
        assert ask(store, "SELECT count(*), max(seq) FROM events") == [(n + 1, n + 1)]
    assert len(store.lake.files("state/event")) <= 4
    with opened(store) as held:
        store.lake.sweep(T0 + timedelta(hours=23))
        assert held.execute("SELECT count(*) FROM events").fetchall() == [(snapshot.PARTS + 3,)]


def test_the_old_catalog_answers_while_the_new_one_stands(store: Store) -> None:
    """A reader that holds the old file open finds its files; a publish neither waits nor fails."""
    add(store, "reads", "1", reads_table([read(1, 5)]))
    store.lake.seal(T0)
    publish(store, T0)
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.home / "catalog.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"1\n"
    add(store, "reads", "2", reads_table([read(2, 6)]))
    store.lake.seal(T0)
    store.lake.compact(T0 + timedelta(days=400))
    publish(store, T0)
    assert child.communicate(b"go\n", timeout=60)[0] == b"1\n"
    assert child.returncode == 0
    assert ask(store, "SELECT count(*) FROM reads") == [(2,)]


HOLDER = """
import sys, duckdb
link = duckdb.connect(sys.argv[1], read_only=True)
print(link.execute("SELECT count(*) FROM reads").fetchone()[0], flush=True)
sys.stdin.readline()
print(link.execute("SELECT count(*) FROM reads").fetchone()[0], flush=True)
"""

ANALYST = """
import json, sys, time, duckdb
seen, until = [], time.monotonic() + 60
while time.monotonic() < until:
    link = duckdb.connect(sys.argv[1], read_only=True)
    slots = 'count(DISTINCT (meter_id, channel, "end"))'
    seen.append(link.execute(f"SELECT count(*), {slots}, max(register_wh) FROM reads").fetchone())
    link.close()
    if seen[-1][0] >= int(sys.argv[2]):
        break
print(json.dumps(seen))
"""


@pytest.mark.sockets
def test_two_processes_query_while_the_store_writes(tmp_path: Path, clock: StillClock) -> None:
    """Real files, real fsync: no query fails, none sees a slot twice, each sees more and more, both see the end."""
    rounds, per_round = 12, 50
    with Store.open(tmp_path, clock=clock) as store:
        publish(store, T0)
        analysts = [
            subprocess.Popen(
                [sys.executable, "-c", ANALYST, str(tmp_path / "catalog.duckdb"), str(rounds * per_round)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for _ in range(2)
        ]  # fmt: skip
        stop = threading.Event()

        def pay() -> None:
            while not stop.is_set():
                store.write(Priority.MONEY, lambda u: u.event("paid", T0))

        payer = threading.Thread(target=pay)
        payer.start()
        for n in range(rounds):
            add(store, "reads", str(n), reads_table([read(n + 1, n, meter=m) for m in range(per_round)]))
            store.lake.seal(T0)
            if n % 4 == 3:
                store.lake.compact(T0 + timedelta(days=400))
            publish(store, T0)
        stop.set()
        payer.join()
        for analyst in analysts:
            out, errors = analyst.communicate(timeout=90)
            assert analyst.returncode == 0, errors.decode()
            seen = json.loads(out)
            assert [a for a, _, _ in seen] == [b for _, b, _ in seen]
            assert [a for a, _, _ in seen] == sorted(a for a, _, _ in seen)
            assert seen[-1][0] == rounds * per_round
        assert store.read(lambda r: r.count(Event)) > 0


def test_a_quote_in_the_path_is_no_harm(tmp_path: Path, clock: StillClock) -> None:
    with Store.open(_made(tmp_path / "it's"), clock=clock, writer="inline", durable=False) as store:
        add(store, "reads", "1", reads_table([read(1, 5)]))
        store.lake.seal(T0)
        publish(store, T0)
        assert ask(store, "SELECT count(*) FROM reads") == [(1,)]


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def test_names_of_views_are_unique() -> None:
    assert len(set(catalog.NAMES.values())) == len(catalog.NAMES)
    assert datetime(2025, 1, 10) == T0
