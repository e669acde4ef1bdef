"""A replay of three London homes beside arithmetic that shares nothing with the program: reads, money, alerts, cuts.

The reference reads the file and the book's price by itself. Half-hours are GMT slot starts; a month's use costs its kWh
times the price, rounded half up to pence; what was used before the start is owed by nobody.
"""

import csv
import gzip
import json
import tomllib
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.prewatt.conftest import Run

pytestmark = pytest.mark.shared
HOMES = ("MAC000007", "MAC000009", "MAC000027")
BEGIN, FROM, TO = (datetime(2013, month, day, tzinfo=UTC) for month, day in ((2, 1), (3, 4), (3, 12)))
HALF, HOUR = timedelta(minutes=30), timedelta(hours=1)
SHARES, AFTER = (30, 10, 0), timedelta(hours=6)
OPENING, TOPUP = Decimal("6.00"), Decimal("10.00")
RULE = 'opening = "6.00"\ntopup = "10.00"\nhours_after = 6\nshares = [30, 10, 0]\nshares_of = "balance_after_payment"\n'
POLICY = """name = "plain"
version = "1"
currency = "GBP"
source = "a test"
[credit]
disconnection_balance = "0"
connection_balance = "0.01"
[alerts]
money = []
share_percent = [50]
share_of = "balance_after_payment"
hours = []
recipients = ["customer"]
[notices]
warning_h = 0
stop_notice_days = 0
final_min = 30
call = "us"
pay = "here"
[window]
from = "06:00"
to = "20:00"
[approval]
mode = "automatic"
batch = 5
"""
PRICE = Path(__file__).resolve().parents[2] / "tariff" / "books" / "london-flat-2013.toml"
Row = dict[str, Any]


def used(shared: Path) -> dict[str, dict[datetime, int]]:
    """Wh by end of slot, of each home."""
    found: dict[str, dict[datetime, int]] = defaultdict(dict)
    with gzip.open(shared / "data" / "meters" / "london_lcl_2013_a.csv.gz", "rt", encoding="utf-8") as lines:
        for home, stamp, value in list(csv.reader(lines))[1:]:
            at = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
            if home in HOMES and BEGIN <= at < TO:
                found[home][at + HALF] = int(Decimal(value.strip()) * 1000)
    return found


def cost(wh: int) -> Decimal:
    """What a month of so many Wh costs."""
    price = Decimal(tomllib.loads(PRICE.read_text())["version"][0]["component"][0]["prices"][0])
    return (Decimal(wh) / 1000 * price).quantize(Decimal("0.01"), ROUND_HALF_UP)


def replayed(run: Run, home: Path, folder: Path, wh: dict[str, dict[datetime, int]]) -> list[Row]:
    """What the command line tells, as a user would ask it."""
    rows = [f"{name},{end - HALF:%Y-%m-%d %H:%M:%S},{n / 1000:.3f}" for name in HOMES for end, n in wh[name].items()]
    accounts = [f"{name},{name},london-flat-2013,residential,Europe/London,,en,2013-01-01" for name in HOMES]
    for name, text in (
        ("reads.csv", "\n".join(["LCLid,tstp,energy(kWh/hh)", *rows])),
        ("accounts.csv", "\n".join(["account,meter,book,class,zone,phone,lang,from", *accounts])),
        ("policy.toml", POLICY),
        ("rule.toml", RULE),
    ):
        (folder / name).write_text(text + "\n")
    assert run("reads", "import", folder / "reads.csv", "-o", "json").json["new"] == len(rows)
    assert run("accounts", "import", folder / "accounts.csv", "-o", "json").json["accepted"] == len(HOMES)
    words = ("--from", f"{FROM:%Y-%m-%d}", "--to", f"{TO:%Y-%m-%d}", "--policy", folder / "policy.toml")
    told = run("replay", *words, "--payments", folder / "rule.toml", "-o", "ndjson")
    assert told.code == 0, told.err
    assert home.is_dir()
    return [json.loads(line) for line in told.out.splitlines()]


def at(row: Row) -> datetime:
    return datetime.fromisoformat(row["at"])


def of(rows: list[Row], name: str, event: str) -> list[Row]:
    return [row for row in rows if row["event"] == event and row["account"] == name]


def left(wh: int, end: datetime, off: list[tuple[datetime, datetime]]) -> int:
    """What of a slot is used when supply is off in the spans ``off``: its share of the minutes, rounded down."""
    dark = sum((max(min(end, over) - max(end - HALF, begin), timedelta()) for begin, over in off), timedelta())
    return int(wh * (HALF - dark) // HALF)


def shut(hour: datetime) -> bool:
    """No cut by night, on a weekend or on the day before one."""
    return not 6 <= hour.hour < 20 or hour.weekday() >= 4


def test_a_replay_is_what_arithmetic_says(run: Run, home: Path, tmp_path: Path, shared: Path) -> None:
    """Two of the three run out on one day: the breaker trips, and its persons' word is counted."""
    wh = used(shared)
    rows = replayed(run, home, tmp_path, wh)
    assert rows[-1]["event"] == "summary" and rows[-1]["ledger_sum"] == "0"
    for name in HOMES:
        check(rows[:-1], name, wh[name])
    counts = rows[-1]["counts"]
    assert counts["disconnect"] == counts["reconnect"] == len(HOMES)
    assert rows[-1]["persons"]["released"] == 1


def check(rows: list[Row], name: str, wh: dict[datetime, int]) -> None:
    """Everything that is told of one home."""
    cuts, returns, paid = (of(rows, name, event) for event in ("disconnect", "reconnect", "payment"))
    assert [at(row) for row in paid] == [FROM, *(at(cut) + AFTER for cut in cuts)]
    assert [Decimal(row["amount"]) for row in paid] == [OPENING, *([TOPUP] * len(cuts))]
    assert [at(row) for row in returns] == [at(row) for row in paid[1:]], "supply is back with the payment"
    off = [(at(cut), at(back)) for cut, back in zip(cuts, returns, strict=True)]
    seen = {at(row): int(Decimal(row["kwh"]) * 1000) for row in of(rows, name, "read")}
    want = {end: left(n, end, off) for end, n in wh.items() if FROM < end <= TO}
    assert seen == want, "every read, and nothing in the dark"
    before = sum(n for end, n in wh.items() if datetime(2013, 3, 1, tzinfo=UTC) < end <= FROM)

    def money(when: datetime) -> Decimal:
        """Available then, with a payment of that very moment."""
        credit = sum(Decimal(row["amount"]) for row in paid if at(row) <= when)
        return credit + cost(before) - cost(before + sum(n for end, n in want.items() if end <= when))

    for row in of(rows, name, "balance"):
        if at(row) > FROM and at(row) not in {at(one) for one in paid}:
            assert Decimal(row["available"]) == money(at(row)), row
    alerts, due = [], []
    base, told, final = money(FROM), set[int](), None
    hours = [FROM + n * HOUR for n in range(1, int((TO - FROM) / HOUR) + 1)]
    for hour in hours:
        now = money(hour)
        if hour in {at(row) for row in paid}:
            base, told, final = now, set(), None
        dark = any(begin < hour < over for begin, over in off)
        for share in SHARES:
            if now * 100 <= share * base and share not in told and not dark:
                told.add(share)
                alerts.append((hour, str(share)))
        if now < 0 and not shut(hour) and not dark:
            if final is not None and hour >= final + HALF:
                due.append(hour)
            final = final or hour
    assert [(at(row), row["rung"]) for row in of(rows, name, "alert")] == alerts
    assert [at(cut) for cut in cuts] == due, "an hour after the first hour at which a final notice could be given"
