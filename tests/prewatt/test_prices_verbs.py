"""A change of prices waits until two persons saw what it does to last month's bills and vouch for it."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from control import pricebasis
from control.records import PriceBasis
from prewatt.config import load
from prewatt.home import find
from prewatt.wiring import opened
from storage.records import Account, AccountState
from storage.store import Store
from storage.writer import Priority
from tariff.book import shipped_text
from tests.prewatt.conftest import Run
from tests.prewatt.test_policy_verbs import grid

__all__ = ["grid"]
FIRST, CHANGED = datetime(2026, 4, 2), datetime(2026, 4, 5)


def look(store: Store, at: datetime) -> int:
    return store.write(Priority.BATCH, lambda unit: pricebasis.mark(unit, at, "code"))


def moved(home: Path) -> None:
    """A1 is moved to a dearer book by mistake; A2 stays."""
    dear = home / "books" / "dear.toml"
    dear.write_text(shipped_text("demo").replace('name = "demo"', 'name = "dear"').replace('["0.', '["9.'))
    with opened(load(find(home))) as shell:
        hashes = {name: shell.books[name].hash for name in ("demo", "dear")}
        accounts = shell.store.read(lambda reader: reader.find(Account))
        put = [AccountState(row.account, book_hash=hashes["demo"]) for row in accounts]
        shell.store.write(Priority.BATCH, lambda unit: unit.put_all(put))
        assert look(shell.store, FIRST) == 0
        wrong = next(row for row in accounts if row.account == "A1")
        shell.store.write(Priority.BATCH, lambda unit: unit.put(replace(wrong, book="dear")))
        shell.store.write(Priority.BATCH, lambda unit: unit.put(AccountState("A1", book_hash=hashes["dear"])))
        assert look(shell.store, CHANGED) == 1


def test_a_change_is_seen_and_then_confirmed_by_two_persons(grid: Path, run: Run) -> None:
    moved(grid)
    (row,) = run("prices", "list", "-o", "json").json["changes"]
    assert (row["accounts"], row["kind"]) == (1, "book") and row["after"].startswith("dear ")
    unseen = run("prices", "confirm", row["change"], "--by", "ann")
    assert unseen.code != 0 and "prices simulate" in unseen.err
    told = run("prices", "simulate", row["change"], "-o", "json").json
    assert (told["month"], told["compared"], told["dearer"]) == ("2026-03", 1, 1)
    assert float(told["percent"]) > 100 and told["dearest"][0]["account"] == "A1"
    one = run("prices", "confirm", row["change"], "--by", "ann", "-o", "json").json
    assert one["confirmed"] == 0
    again = run("prices", "confirm", row["change"], "--by", "cli:Ann", "-o", "json").json
    assert (again["confirmed"], again["persons"]) == (0, ["ann"])
    two = run("prices", "confirm", row["change"], "--by", "bob", "-o", "json").json
    assert (two["persons"], two["confirmed"]) == (["ann", "bob"], 1)
    assert run("prices", "list", "-o", "json").json["changes"] == []
    assert run("prices", "confirm", row["change"], "--by", "cid").code == 2


def test_who_changed_after_the_showing_waits_on(grid: Path, run: Run) -> None:
    moved(grid)
    (row,) = run("prices", "list", "-o", "json").json["changes"]
    run("prices", "simulate", row["change"])
    with opened(load(find(grid))) as shell:
        later = shell.store.read(lambda reader: reader.get(PriceBasis, "A1"))
        assert later is not None
        put = replace(later, account="A2", since=datetime(2026, 4, 6))
        shell.store.write(Priority.BATCH, lambda unit: unit.put(put))
    run("prices", "confirm", row["change"], "--by", "ann")
    assert run("prices", "confirm", row["change"], "--by", "bob", "-o", "json").json["confirmed"] == 1
    (left,) = run("prices", "list", "-o", "json").json["changes"]
    assert left["accounts"] == 1 and left["since"].startswith("2026-04-05")
