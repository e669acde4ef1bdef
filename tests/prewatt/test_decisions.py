"""A decision on record is derived anew by ``explain`` and ``verify``; whoever changes one, or its policy, is found."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from control import commands
from control.decide import decide
from control.policy import template
from control.records import Action
from control.tables import TABLES
from prewatt.clock import clock
from storage.store import Store
from storage.writer import Priority
from tests.control.scenes import NOW, ready_to_cut
from tests.prewatt.conftest import Run

POLICY = template("cn-remote")["residential"]
MADE = decide(ready_to_cut(), POLICY)


@pytest.fixture
def decided(accounts: Path, home: Path) -> Path:
    """Account A1 with one decision, and the command that rests on it."""
    command = commands.make(
        Action.DISCONNECT, account="A1", meter="M1", fence=1, at=NOW, decision=MADE.decision, policy_version=POLICY.id,
        reason="exhausted", valid_s=2700,
    )  # fmt: skip
    with Store.open(home, TABLES, clock=clock(), writer="inline") as store:
        store.write(Priority.COMMAND, lambda unit: unit.add(MADE))
        store.write(Priority.COMMAND, lambda unit: unit.put(command))
    return home


def change(home: Path, sql: str, *given: str) -> None:
    link = sqlite3.connect(home / "state.db")
    for (name,) in link.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        link.execute(f'DROP TRIGGER "{name}"')  # the store's own refusal to change what only grows
    assert link.execute(sql, given).rowcount == 1
    link.commit()
    link.close()


def told(run: Run) -> list[tuple[str, str]]:
    found = run("verify", "--no-bills", "--no-charges", "-o", "json")
    rows = found.json["decisions"]["differences"]
    assert (found.code == 0) == found.json["ok"] == (not rows)
    return [(row["decision"], row["reason"]) for row in rows]


def test_a_decision_that_nobody_touched_is_derived_bit_for_bit(decided: Path, run: Run) -> None:
    found = run("explain", "A1", "--at", "2026-03-10T03:00:00Z", "-o", "json")
    assert (found.code, found.json["rederived"], found.json["wrong"]) == (0, True, "")
    assert found.json["guards"]["G1"]["value"] and found.json["inputs"]["accrued_micro"] == 103_000_000
    assert told(run) == []
    assert run("verify", "-o", "json").json["decisions"]["checked"] == 1


CHANGES = {
    "verdict": ("hold", "its verdict"),
    "reason": ("overdue", "its reason"),
    "available_micro": ("1", "its available_micro"),
    "guards": ("[]", "its guards"),
    "policy_version": ("cn-remote/residential/2026.1#00000000", "never kept"),
    "case": ("{", "JSON"),
}


def test_a_changed_decision_is_named(decided: Path, run: Run) -> None:
    link = sqlite3.connect(decided / "state.db")
    for column, (value, said) in CHANGES.items():
        (before,) = link.execute(f'SELECT "{column}" FROM decisions').fetchone()
        link.rollback()
        change(decided, f'UPDATE decisions SET "{column}" = ?', value)
        found = run("explain", "A1", "-o", "json")
        assert found.code == 1 and found.json["rederived"] is False and said in found.json["wrong"], column
        ((name, reason),) = told(run)
        assert name == MADE.decision and said in reason
        change(decided, f'UPDATE decisions SET "{column}" = ?', before)
    link.close()
    assert told(run) == []


def test_a_case_that_was_made_to_fit_has_another_id_which_no_command_rests_on(decided: Path, run: Run) -> None:
    forged = decide(replace(ready_to_cut(), accrued_micro=200_000_000), POLICY)
    change(decided, 'UPDATE decisions SET "case" = ?', forged.case)
    assert told(run)[0][1] == "its decision is not what its case leads to"
    change(decided, "UPDATE decisions SET decision = ?, available_micro = ?", forged.decision, str(-100_000_000))
    guards = json.dumps([{"because": g.because, "name": g.name, "value": g.value} for g in forged.guards])
    change(decided, "UPDATE decisions SET guards = ?", guards)
    assert (MADE.decision, "is not on record") in [(name, reason[-16:]) for name, reason in told(run)]


def test_a_policy_whose_kept_text_was_changed_explains_nothing(decided: Path, run: Run) -> None:
    link = sqlite3.connect(decided / "state.db")
    (table,) = [
        n for (n,) in link.execute("SELECT name FROM sqlite_master WHERE name LIKE 'config_%' AND type='table'")
    ]
    (text,) = link.execute(f'SELECT text FROM "{table}" WHERE digest = ?', (POLICY.id,)).fetchone()
    link.close()
    assert "[alerts]" in text
    change(
        decided,
        f'UPDATE "{table}" SET text = ? WHERE digest = ?',
        text.replace("[alerts]", "[alerts]\nhours = [1]", 1),
        POLICY.id,
    )
    assert len(told(run)) == 1
