"""The unit of work: add, put, delete, find, numbers, and what a failed work leaves behind (nothing)."""

import gc
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from storage import bulk
from storage.errors import AppendOnly, Conflict, NestedWrite, UnknownRecord
from storage.records import Account, Event, Install, Payment, TableSpec
from storage.store import Store
from storage.uncollected import uncollected
from storage.unit import Unit
from storage.writer import Priority
from tests.storage.conftest import HOUR, T0, StillClock

A1 = Account("A1", "Ada", "residential", "zj", "Asia/Shanghai", "CNY", attributes={"kva": "8"}, opened=T0)


def put(store: Store, *records: object) -> None:
    store.write(Priority.BATCH, lambda unit: [unit.put(r) for r in records])


def test_add_is_idempotent_and_tells(any_store: Store) -> None:
    assert any_store.write(Priority.MONEY, lambda u: u.add(A1)) is True
    assert any_store.write(Priority.MONEY, lambda u: u.add(A1)) is False
    with pytest.raises(Conflict, match="A1"):
        any_store.write(Priority.MONEY, lambda u: u.add(replace(A1, name="Eve")))
    assert any_store.read(lambda r: r.get(Account, "A1")) == A1


def test_put_overwrites_and_delete_removes(any_store: Store) -> None:
    put(any_store, A1)
    put(any_store, replace(A1, name="Eve"))
    assert any_store.read(lambda r: r.get(Account, "A1")) == replace(A1, name="Eve")
    any_store.write(Priority.BATCH, lambda u: u.delete(Account, "A1"))
    assert any_store.read(lambda r: r.get(Account, "A1")) is None


def test_a_work_that_raises_leaves_nothing(any_store: Store) -> None:
    def work(unit: Unit) -> None:
        unit.add(A1)
        unit.event("opened", T0, "A1")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        any_store.write(Priority.MONEY, work)
    assert any_store.read(lambda r: (r.count(Account), r.count(Event))) == (0, 0)


def test_find_takes_every_condition(store: Store) -> None:
    for n in range(6):
        put(store, Install(n, f"M{n}", f"A{n % 2}", "s", T0 + n * HOUR, None if n < 4 else T0 + 9 * HOUR))

    def ids(**conditions: object) -> list[int]:
        return [i.meter_id for i in store.read(lambda r: r.find(Install, order="meter_id", **conditions))]  # type: ignore[arg-type]

    assert ids(account="A1") == [1, 3, 5]
    assert ids(meter_id__in=[5, 0, 7]) == [0, 5]
    assert ids(meter_id__in=[]) == []
    assert ids(start__ge=T0 + 4 * HOUR) == [4, 5]
    assert ids(start__gt=T0 + 4 * HOUR) == [5]
    assert ids(start__lt=T0 + HOUR) == [0]
    assert ids(start__le=T0 + HOUR) == [0, 1]
    assert ids(meter__ne="M0", account="A0") == [2, 4]
    assert ids(end=None) == ids(end__null=True) == [0, 1, 2, 3]
    assert ids(end__null=False) == ids(end__ne=None) == [4, 5]
    assert store.read(lambda r: r.count(Install, account="A0")) == 3


def test_nothing_is_in_an_empty_list_whatever_else_is_asked(store: Store) -> None:
    put(store, Install(1, "M1", "A1", "s", T0))
    find = {"account__in": [], "start__le": T0, "meter": "M1"}
    assert store.read(lambda reader: reader.find(Install, order="start", limit=3, **find)) == []
    assert store.read(lambda reader: reader.count(Install, **find)) == 0


def test_find_orders_and_limits(store: Store) -> None:
    for n in range(5):
        put(store, Install(n, f"M{n}", f"A{n % 2}", "s", T0))
    found = store.read(lambda r: r.find(Install, order=("-account", "-meter_id"), limit=3))
    assert [i.meter_id for i in found] == [3, 1, 4]
    assert [i.meter_id for i in store.read(lambda r: r.find(Install, limit=2, account="A1"))] == [1, 3]


def test_find_names_an_unknown_field(store: Store) -> None:
    with pytest.raises(ValueError, match="no field 'nmae'"):
        store.read(lambda r: r.find(Account, nmae="x"))


def test_a_key_of_the_wrong_length_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="key"):
        store.read(lambda r: r.get(Payment, "webhook"))


def test_events_are_numbered_and_never_change(any_store: Store) -> None:
    first = any_store.write(Priority.BATCH, lambda u: u.event("a", T0, "A1", wh="5"))
    second = any_store.write(Priority.BATCH, lambda u: u.event("b", T0))
    assert (first.seq, second.seq) == (1, 2)
    assert any_store.read(lambda r: r.find(Event, order="-seq")) == [second, first]
    for work in (lambda u: u.put(first), lambda u: u.delete(Event, 1)):
        with pytest.raises(AppendOnly):
            any_store.write(Priority.BATCH, work)


def test_not_even_sql_changes_a_growing_table(store: Store) -> None:
    store.write(Priority.BATCH, lambda u: u.event("a", T0))
    for sql in ("UPDATE event SET code = 'x'", "DELETE FROM event"):
        with pytest.raises(Exception, match="event only grows"):
            store.write(Priority.BATCH, lambda u, s=sql: u.connection.execute(s))


@dataclass(frozen=True, slots=True)
class Step:
    command: str
    seq: int
    at: datetime
    word: str


def test_seq_is_given_within_the_rest_of_the_key(tmp_path, clock: StillClock) -> None:
    spec = TableSpec("step", Step, ("command", "seq"), append_only=True)
    with Store.open(tmp_path / "h", (spec,), clock=clock, writer="inline", durable=False) as store:
        for command in ("c1", "c2", "c1"):
            store.write(Priority.COMMAND, lambda u, c=command: u.add(Step(c, 0, T0, "w")))
        found = store.read(lambda r: r.find(Step))
    assert [(s.command, s.seq) for s in found] == [("c1", 1), ("c1", 2), ("c2", 1)]


def test_an_unknown_record_says_what_to_do(store: Store) -> None:
    with pytest.raises(UnknownRecord, match="TableSpec"):
        store.read(lambda r: r.get(Step, "c", 1))


def test_a_write_within_a_write_is_refused(any_store: Store) -> None:
    with pytest.raises(NestedWrite):
        any_store.write(Priority.MONEY, lambda u: any_store.write(Priority.MONEY, lambda v: v.add(A1)))


def test_types_are_enforced_by_the_table(store: Store) -> None:
    with pytest.raises(Exception, match="cannot store TEXT value in INTEGER"):
        store.write(Priority.BATCH, lambda u: u.put(replace(Install(1, "M", "A", "s", T0), multiplier="ten")))  # type: ignore[arg-type]


def test_a_read_is_a_snapshot(any_store: Store) -> None:
    def look(reader):  # type: ignore[no-untyped-def]
        before = reader.count(Account)
        any_store.write(Priority.MONEY, lambda u: u.add(A1))
        return before, reader.count(Account)

    assert any_store.read(look) == (0, 0)
    assert any_store.read(lambda r: r.count(Account)) == 1


def test_put_all_writes_what_put_writes(store: Store) -> None:
    installs = [Install(n, f"M{n}", f"A{n}", "s", T0, T0 + n * HOUR if n % 2 else None) for n in range(1, 6)]
    events = [Event(0, T0, "a")]

    def work(unit: Unit) -> None:
        unit.put(replace(installs[0], serial="old"))
        unit.put_all(installs)
        unit.put_all([])
        with pytest.raises(AppendOnly):
            unit.put_all(events)

    store.write(Priority.BATCH, work)
    assert store.read(lambda reader: reader.find(Install)) == installs


def test_bulk_work_leaves_the_collector_as_it_was() -> None:
    with pytest.raises(KeyError), uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_many_at_once_are_what_each_alone_is_and_the_last_of_a_key_stands(any_store: Store) -> None:
    rows = [Install(n % 1_100, f"M{n}", f"A{n}", "S", T0) for n in range(2 * bulk.ROWS + 203)]
    any_store.write(Priority.BATCH, lambda unit: unit.put_all(rows))
    last = {row.meter_id: row for row in rows}
    assert any_store.read(lambda reader: reader.find(Install)) == [last[number] for number in sorted(last)]
    with pytest.raises(ValueError, match="not an INSERT"):
        any_store.write(Priority.BATCH, lambda unit: bulk.insert(unit.connection, "DELETE FROM t", [()] * bulk.ROWS))
