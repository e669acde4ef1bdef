"""``prewatt replay``: one event a line, the summary last; wrong words are refused with what to write."""

import json
from pathlib import Path

from tests.prewatt.conftest import Run


def stored(run: Run, tmp_path: Path) -> None:
    hours = "".join(f"M1,2026-03-{1 + n // 24:02} {n % 24:02}:00,1.0\n" for n in range(4 * 24))
    (tmp_path / "reads.csv").write_text("meter,stamp,kWh\n" + hours)
    (tmp_path / "accounts.csv").write_text(
        "account,meter,book,class,zone,phone,lang,from\nA1,M1,demo,residential,Asia/Shanghai,+86,en,2026-03-01\n"
    )
    assert run("accounts", "import", tmp_path / "accounts.csv", "-o", "json").code == 0
    assert run("reads", "import", tmp_path / "reads.csv", "--zone", "UTC", "-o", "json").code == 0


def test_every_event_is_a_line_and_the_home_stays_as_it_was(home: Path, run: Run, tmp_path: Path):
    stored(run, tmp_path)
    (tmp_path / "rule.toml").write_text('opening = "3.00"\nshares = [50]\n')
    span = ("--from", "2026-03-04", "--to", "2026-03-04T08:00:00Z", "--payments", tmp_path / "rule.toml")
    before = run("accounts", "balance", "A1", "-o", "json").json
    told = [json.loads(line) for line in run("replay", *span, "-o", "ndjson").out.splitlines()]
    assert [row["event"] for row in told].count("read") == 8
    assert told[0] == {
        "at": "2026-03-04T00:00:00Z", "account": "A1", "event": "payment", "amount": "3", "status": "posted",
        "external_id": "opening-A1", "available": "3",
    }  # fmt: skip
    assert (told[-1]["event"], told[-1]["ledger_sum"], told[-1]["counts"]["alert"]) == ("summary", "0", 1)
    whole = run("replay", *span, "-o", "json").json
    assert whole["schema"] == "prewatt.replay/1"
    assert whole["events"] == told[:-1]
    assert run("accounts", "balance", "A1", "-o", "json").json == before


def test_what_cannot_be_replayed_is_refused(home: Path, run: Run, tmp_path: Path):
    empty = run("replay", "--from", "2026-03-04", "--to", "2026-03-05", "-o", "json")
    assert (empty.code, "prewatt reads import" in empty.err) == (2, True)
    stored(run, tmp_path)
    (tmp_path / "rule.toml").write_text('opening = "3.00"\ntop_up = "1"\n')
    for words, says in (
        (("--from", "2026-03-05", "--to", "2026-03-04"), "--to must be later"),
        (("--from", "soon", "--to", "2026-03-04"), "--from 'soon' is no time"),
        (("--from", "2026-03-04", "--to", "2026-03-05", "--payments", tmp_path / "rule.toml"), "rule.toml:2: unknown"),
        (("--from", "2026-03-04", "--to", "2026-03-05", "--payments", tmp_path / "none.toml"), "none.toml"),
        (("--from", "2026-03-04", "--to", "2026-03-05", "--policy", tmp_path / "rule.toml"), "rule.toml:1"),
    ):
        found = run("replay", *words, "-o", "json")
        assert (found.code in (2, 78), says in found.err) == (True, True), found.err
