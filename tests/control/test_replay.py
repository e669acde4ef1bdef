"""A replay is the engine on stored reads: alerts, cut and return when arithmetic says, the home untouched."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from control import guards
from control.errors import PaymentsError
from control.policy import Policy, template
from control.records import Guard
from control.replay import history, rule
from control.replay.history import Series, consumed, filled
from control.replay.line import ReplayClock
from control.replay.rule import Paying
from control.replay.run import Rules, replay
from control.tables import TABLES
from ingest.records import MeterPoint
from storage.imports import import_files
from storage.records import Account, Install
from storage.store import Store
from storage.writer import Priority
from tariff import book as books

START = datetime(2013, 3, 4)  # a Monday; the book's zone is London, which is UTC until the end of the month
END = datetime(2013, 3, 8)
RULE = b'opening = "10.00"\ntopup = "20.00"\nhours_after = 3\nshares = [30, 10, 0]\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two homes on the flat price of 14.228 p: one uses 1 kWh every hour, one next to nothing."""
    folder = tmp_path_factory.mktemp("home")
    first = START - timedelta(days=20)
    hours = [first + timedelta(hours=n) for n in range(20 * 24 + 96)]
    text = "".join(
        f"{name},{at:%Y-%m-%d %H:%M},{kwh}\n" for name, kwh in (("M1", "1.0"), ("M2", "0.01")) for at in hours
    )
    (folder / "reads.csv").write_text("meter,stamp,kWh\n" + text)
    with Store.open(folder / "h", TABLES, clock=ReplayClock(START), writer="inline", durable=False) as store:

        def rows(unit: Any) -> None:
            for number, name in enumerate(("1", "2"), 1):
                unit.add(MeterPoint(number, f"M{name}", "", "file", "file", "", "", 0, 0))
                unit.add(
                    Account(f"A{name}", f"Home {name}", "residential", "london-flat-2013", "Europe/London", "GBP", "en")
                )
                unit.add(Install(number, f"M{name}", f"A{name}", "", datetime(2013, 1, 1)))

        store.write(Priority.BATCH, rows)
        assert import_files(store, [folder / "reads.csv"], START).new == 2 * len(hours)
    return folder / "h"


def policies() -> dict[str, Policy]:
    return {klass: replace(one, currency="GBP") for klass, one in template("minigrid").items()}


def run(home: Path, folder: Path, paying: Paying, rules: Rules | None = None) -> list[Mapping[str, Any]]:
    name = "london-flat-2013"
    rules = rules or Rules({name: books.load(books.shipped_text(name), name)}, policies())

    async def all_of() -> list[Mapping[str, Any]]:
        with Store.open(home, TABLES, clock=ReplayClock(START), writer="none") as store:
            found = history.load(store, START, END)
        return [row async for row in replay(found, rules, paying, START, END, home=folder)]

    return asyncio.run(all_of())


def of(rows: list[Mapping[str, Any]], *names: str) -> list[tuple[str, str, str]]:
    return [(row["event"], row["account"], f"{row['at']:%d %H:%M}") for row in rows if row["event"] in names]


def test_every_event_comes_at_the_hour_that_the_price_gives(home: Path, tmp_path: Path):
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in home.rglob("*.parquet")}
    rows = run(home, tmp_path, rule.read(RULE, "rule.toml"))
    assert of(rows, "payment", "disconnect", "reconnect") == [
        ("payment", "A1", "04 00:00"),
        ("payment", "A2", "04 00:00"),
        ("disconnect", "A1", "07 10:00"),  # 10.00 / 0.14228 = 70.3 h; night; final notice at 9; half an hour; the hour
        ("payment", "A1", "07 13:00"),
        ("reconnect", "A1", "07 13:00"),
    ]
    alerts = [(f"{row['at']:%d %H:%M}", row["rung"]) for row in rows if row["event"] == "alert"]
    assert alerts == [("06 02:00", "30"), ("06 16:00", "10"), ("06 23:00", "0")]  # 49.2, 63.3 and 70.3 h
    held = next(row for row in rows if row["event"] == "held")
    assert (held["reason"], f"{held['at']:%d %H:%M}", held["available"]) == ("G4", "06 23:00", "-0.11")
    used = [row["kwh"] for row in rows if row["event"] == "read" and row["account"] == "A1"]
    assert (len(used), used.count("1"), used.count("0")) == (96, 93, 3)
    last = [row for row in rows if row["event"] == "balance" and row["account"] == "A1"][-1]
    assert last["available"] == "16.76"  # 30.00 less 93 h of a month: 23.48 (165 h) - 10.24 (72 h), at 0.14228
    summary = rows[-1]
    assert (summary["event"], summary["ledger_sum"]) == ("summary", "0")
    assert summary["assumed"] == {"agreement": 2, "contact": 2, "phone": 2, "proof": 2}
    assert summary["counts"]["disconnect"] == summary["counts"]["reconnect"] == 1
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in home.rglob("*.parquet")} == before


@pytest.mark.parametrize(("of_what", "hour"), [("last_payment", "07 23:00"), ("balance_after_payment", "04 11:00")])
def test_a_share_is_of_what_the_rule_says(home: Path, tmp_path: Path, of_what: str, hour: str):
    """20.00 are paid at 1.67 below zero: 85 % of it is passed in ten hours, 85 % of 18.33 not before the end."""
    shares = f'opening = "10.00"\ntopup = "20.00"\nhours_after = 3\nshares = [85]\nshares_of = "{of_what}"\n'
    rows = run(home, tmp_path, rule.read(shares.encode(), "rule.toml"))
    assert [f"{row['at']:%d %H:%M}" for row in rows if row["event"] == "alert" and row["account"] == "A1"][-1] == hour


def test_what_waits_for_persons_has_their_word_and_is_counted(home: Path, tmp_path: Path):
    """Where each cut needs a person, and the breaker lets none go, the replay goes on all the same."""
    manual = {klass: replace(one, approval="manual") for klass, one in policies().items()}
    name = "london-flat-2013"
    rules = Rules({name: books.load(books.shipped_text(name), name)}, manual)
    rows = run(home, tmp_path, rule.read(RULE, "rule.toml"), rules)
    assert of(rows, "disconnect") == [("disconnect", "A1", "07 09:30")]
    assert rows[-1]["persons"] == {"approved": 2, "released": 0}


def test_two_replays_tell_the_same_and_a_guard_holds_in_them_too(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    paying = rule.read(b'opening = "9.00"\n', "rule.toml")
    first, again = run(home, tmp_path / "1", paying), run(home, tmp_path / "2", paying)
    assert first == again
    assert of(first, "disconnect") == [("disconnect", "A1", "07 10:00")]
    shut = {**guards.CHECKS, "G5": lambda case, policy, at_send: Guard("G5", False, "held")}
    monkeypatch.setattr(guards, "CHECKS", shut)
    assert of(run(home, tmp_path / "3", paying), "disconnect") == []


def test_payments_of_a_file_come_at_their_own_time(home: Path, tmp_path: Path):
    data = (
        b"id,account,amount,currency,paid_at\nx1,A1,50.00,GBP,2013-03-06T22:50:00Z\nx2,A2,1,GBP,2013-03-04T00:00:00Z\n"
    )
    rows = run(home, tmp_path, rule.read(data, "bank.csv"))
    assert of(rows, "payment", "disconnect") == [("payment", "A2", "04 00:00"), ("payment", "A1", "06 22:50")]


def test_holes_of_the_period_at_hand_are_filled_with_nothing_used():
    import numpy as np

    hour = 3_600_000
    ends = np.array([2 * hour, 3 * hour, 6 * hour], np.int64)
    series = Series(1, 1, ends, np.full(3, 60, np.int64), np.array([7, 8, 9], np.int64), np.zeros(3, np.int64))
    epoch = datetime(1970, 1, 1)
    found = filled(series, epoch + timedelta(hours=1), epoch + timedelta(hours=8))
    assert (found.end // hour).tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert found.energy.tolist() == [7, 8, 0, 0, 9, 0, 0]
    assert filled(series, epoch + timedelta(hours=7), epoch + timedelta(hours=9)) is series


def test_what_was_dark_in_part_keeps_its_share():
    import numpy as np

    hour = 3_600_000
    day = [np.array(column, np.int64) for column in ([hour, 2 * hour, 3 * hour], [60] * 3, [600, 601, 602], [0] * 3)]
    series = Series(1, 1, day[0], day[1], day[2], day[3])
    epoch = datetime(1970, 1, 1)
    dark = [(epoch + timedelta(minutes=90), epoch + timedelta(minutes=150))]
    assert consumed(series, dark)[1].tolist() == [600, 300, 301]
    assert consumed(series, [(epoch + timedelta(minutes=60), None)])[1].tolist() == [600, 0, 0]
    assert consumed(series, [])[1].tolist() == [600, 601, 602]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'opening = "1"\ntop_up = "2"\n', "rule.toml:2: unknown key 'top_up'"),
        (b'topup = "2"\n', "topup and hours_after go together"),
        (b'opening = "-1"\n', "rule.toml:1: opening must be an amount"),
        (b"opening = 1.5\n", "rule.toml:1: opening must be an amount"),
        (b'topup = "1"\n\nhours_after = "soon"\n', "rule.toml:3: hours_after must be hours"),
        (b"shares = [30, 30]\n", "rule.toml:1: shares must be different whole percents"),
        (b'shares = [30]\nshares_of = "balance"\n', "rule.toml:2: shares_of must be one of"),
        (b"opening = \n", "not TOML"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_line(text: bytes, says: str):
    with pytest.raises(PaymentsError, match=says.replace("[", r"\[")):
        rule.read(text, "rule.toml")
