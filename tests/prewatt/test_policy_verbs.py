"""A policy is tried on the last month before it is published: what would have happened to whom, and no way around."""

from pathlib import Path

import pytest

from control.policy import template, template_text
from prewatt import publishing
from prewatt.config import load
from prewatt.home import find
from prewatt.wiring import opened, reading
from storage.records import AuditRow
from tests.prewatt.conftest import Run

SPAN = ("--from", "2026-03-05", "--to", "2026-03-10")


@pytest.fixture
def grid(home: Path, run: Run, tmp_path: Path) -> Path:
    """Two homes on a mini-grid that is live: one runs out after days, one has plenty."""
    config = home / "prewatt.toml"
    text = config.read_text().replace("shadow_days = 30", "shadow_days = 0").replace('"cn-remote"', '"minigrid"')
    config.write_text(text)
    hours = [f"{m},2026-03-{1 + n // 24:02} {n % 24:02}:00,1.0" for m in ("M1", "M2") for n in range(9 * 24)]
    (tmp_path / "reads.csv").write_text("meter,stamp,kWh\n" + "\n".join(hours) + "\n")
    rows = "".join(f"A{n},M{n},demo,residential,Asia/Shanghai,+86,en,2026-03-01\n" for n in (1, 2))
    (tmp_path / "accounts.csv").write_text("account,meter,book,class,zone,phone,lang,from\n" + rows)
    assert run("accounts", "import", tmp_path / "accounts.csv").code == 0
    assert run("reads", "import", tmp_path / "reads.csv", "--zone", "UTC").code == 0
    return home


def lazy(tmp_path: Path) -> Path:
    """The mini-grid's policy with a line far below."""
    file = tmp_path / "lazy.toml"
    found = template("minigrid")["residential"]
    assert found.disconnection_balance_micro > -500_000_000
    file.write_text(template_text("minigrid") + '\n[class.residential.credit]\ndisconnection_balance = "-500"\n')
    return file


def in_force(home: Path) -> str:
    with reading(load(find(home))) as shell:
        return shell.policies["residential"].id


def take(home: Path, file: Path) -> None:
    """The file becomes the home's, and the home is opened."""
    (home / "policies" / "minigrid.toml").write_text(file.read_text())
    with opened(load(find(home))):
        pass


def test_an_unsimulated_policy_waits_and_a_simulated_one_is_published(grid: Path, run: Run, tmp_path: Path) -> None:
    before, file = in_force(grid), lazy(tmp_path)
    take(grid, file)
    assert in_force(grid) == before
    found = run("policy", "simulate", file, "--class", "residential", *SPAN, "-o", "json")
    assert found.code == 0, found.err
    told = found.json
    assert (told["accounts"], told["of"], told["classes"]) == (2, 2, ["residential"])
    assert told["policies"]["residential"]["now"] == before != told["policies"]["residential"]["then"]
    assert told["totals"]["then"]["accounts_cut"] == 0
    assert set(told["cut_no_more"]) == {row["account"] for row in told["changed"] if row["now"]["cuts"]}
    take(grid, file)
    assert in_force(grid) == told["policies"]["residential"]["then"]
    with reading(load(find(grid))) as shell:
        rows = shell.store.read(lambda reader: reader.find(AuditRow, order="seq"))
    assert [row.action for row in rows if row.action.startswith("policy.")][-2:] == ["policy.clear", "policy.publish"]


def test_the_gate_lets_through_what_was_cleared_and_nothing_else(
    grid: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, file = in_force(grid), lazy(tmp_path)
    assert run("policy", "clear", file, "--owner", " ", "--reason", "x").code == 2
    done = run("policy", "clear", file, "--class", "residential", "--owner", "ann", "--reason", "storm", "-o", "json")
    assert done.json["why"] == "ann: storm"
    other = tmp_path / "other.toml"
    other.write_text(file.read_text().replace('"-500"', '"-400"'))
    take(grid, other)
    assert in_force(grid) == before  # another text is another policy
    take(grid, file)
    assert in_force(grid) == done.json["cleared"]["residential"]
    with monkeypatch.context() as patch:  # ablation: without the gate the other text is in force
        patch.setattr(publishing, "live", lambda *_: False)
        take(grid, other)
        assert in_force(grid) not in (before, done.json["cleared"]["residential"])
    take(grid, file)
    assert run("shadow", "set", "residential", "--days", "5", "--reason", "trial").code == 0
    other.write_text(file.read_text().replace('"-500"', '"-300"'))
    take(grid, other)  # in shadow nobody is switched: the file's word is enough
    assert in_force(grid) not in (before, done.json["cleared"]["residential"])


def test_wrong_words_are_refused(grid: Path, run: Run, tmp_path: Path) -> None:
    file, bad = lazy(tmp_path), tmp_path / "bad.toml"
    bad.write_text("[credit]\nlimit = 1\n")
    for words, said in (
        ((file, "--class", "residentail"), "residential"),
        ((bad,), "bad.toml"),
        ((file, "--from", "2026-03-09", "--to", "2026-03-08"), "--to must be later"),
        ((file, "--from", "soon"), "soon"),
        ((file, "--class", "large"), "accounts import"),
    ):
        found = run("policy", "simulate", *words)
        assert found.code in (2, 78) and said in found.err, (words, found.err)
