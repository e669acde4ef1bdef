"""The verbs of the shadow: a class's first month begins with its first account, and a person ends it with a reason."""

from pathlib import Path

from tests.prewatt.conftest import Run


def test_the_first_month_begins_with_the_first_account_and_a_person_ends_it(accounts: Path, run: Run) -> None:
    rows = {row["class"]: row for row in run("shadow", "list", "-o", "json").json["classes"]}
    assert set(rows) == {"residential", "large"} and not rows["residential"]["live"]
    done = run("shadow", "set", "residential", "--days", "0", "--reason", "accepted", "-o", "json")
    assert done.json["live"], done.err
    rows = {row["class"]: row for row in run("shadow", "list", "-o", "json").json["classes"]}
    assert rows["residential"]["live"] and not rows["large"]["live"]


def test_a_report_of_a_class_that_did_nothing_is_empty(accounts: Path, run: Run) -> None:
    found = run("shadow", "report", "residential", "-o", "json").json
    assert (found["accounts"], found["pairs"]) == (2, [])
    assert found["disconnects"] == {"both": 0, "only_ours": 0, "only_theirs": 0, "median_lead_h": None}


def test_what_is_wrong_is_said(accounts: Path, run: Run) -> None:
    for words, said in (
        (("set", "residentail", "--reason", "x"), "residential"),
        (("set", "large", "--reason", " "), "--reason TEXT"),
        (("set", "large", "--days", "400", "--reason", "x"), "0 to 366"),
        (("report", "large", "--from", "2026-03-02", "--to", "2026-03-01"), "--to must be later"),
        (("report", "large", "--from", "noon"), "noon"),
    ):
        done = run("shadow", *words)
        assert done.code == 2 and said in done.err, (words, done.err)
