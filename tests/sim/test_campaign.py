"""Districts are merged into one run's figures; the benchmark's baselines are engines that carry orders out simply."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import campaign, reconnect
from sim.campaign import DISTRICT, districts, merged, run
from sim.faults import FAULTS, FaultPlan
from sim.run import simulate
from sim.world import Cast

DIRECT = Cast(transport="direct")


def figures(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "seed": 1, "accounts": 5, "days": 2, "account_days": 10, "disconnects": 2, "hours_wrongly_off": 0.25,
        "reconnect_p50_s": 1.0, "reconnect_p95_s": 2.0, "invariants": "ok", "faults": {"late": 1}, "trace_hash": "a",
    }  # fmt: skip
    return plain | changes


def test_districts_are_nearly_equal_and_each_has_a_seed_of_its_own() -> None:
    parts = districts(2 * DISTRICT + 1, 3, 7, FaultPlan(), DIRECT)
    assert [part.accounts for part in parts] == [267, 267, 267]
    assert len({part.seed for part in parts}) == 3
    assert parts[0].seed == 7
    assert len(districts(5, 1, 7, FaultPlan(), DIRECT, count=9)) == 5


def test_merging_adds_up_and_a_fault_needs_to_strike_only_somewhere() -> None:
    parts = districts(10, 2, 1, FaultPlan(late=0.1), DIRECT, count=2)
    silent = [{"id": "fault", "at": "", "account": "", "detail": ""}]
    found = merged(parts, [(figures(), [9.0]), (figures(faults={"late": 0}, invariants=silent), [1.0, 2.0])])
    assert (found["account_days"], found["disconnects"], found["hours_wrongly_off"]) == (20, 4, 0.5)
    assert (found["reconnect_p50_s"], found["reconnect_p95_s"]) == (2.0, 9.0)
    assert (found["invariants"], found["faults"], found["districts"]) == ("ok", {"late": 1}, 2)
    none = merged(parts, [(figures(faults={"late": 0}), []), (figures(faults={"late": 0}), [])])
    assert [row["id"] for row in none["invariants"]] == ["fault"]
    bad = [{"id": "S6", "at": "", "account": "A", "detail": ""}]
    assert merged(parts, [(figures(), []), (figures(invariants=bad), [])])["invariants"] == bad


def test_a_run_is_the_same_however_many_processes_share_it() -> None:
    early = replace(DIRECT, warm_up_days=0)
    parts = districts(2, 1, 3, FAULTS["none"], early, count=2)
    apart, together = run(parts, processes=2), run(parts)
    assert apart == together
    assert apart["accounts"] == 2
    one = districts(1, 1, 3, FAULTS["none"], early)
    assert run(one)["trace_hash"] == simulate(1, 1, 3, faults="none", cast=early)["trace_hash"]


@pytest.mark.parametrize("design", ["fire_and_forget", "retries", "ours_with_crews"])
def test_a_design_lives_switches_off_and_on(design: str) -> None:
    runs = [reconnect.lived((design, 10, 2, 2))]
    row = reconnect.row(design, runs)
    assert row["figures"]["disconnects"] >= 1
    assert row["figures"]["reconnects"] >= 1
    assert row["broken"] == []


def test_a_campaign_goes_on_where_it_was_and_tells_what_broke_with_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived: list[reconnect.Job] = []
    bad = [{"id": "S6", "at": "", "account": "A", "detail": ""}, {"id": "fault", "at": "", "account": "", "detail": ""}]

    def run_of(job: reconnect.Job) -> dict[str, Any]:
        lived.append(job)
        found = dict.fromkeys(reconnect.SUMS, 0) | figures(account_days=10, invariants=bad if job[3] == 2 else "ok")
        return {"figures": found, "waits": [], "cpu_s": 0.05, "wall_s": 1.0, "peak_mib": 1.0}

    monkeypatch.setattr(campaign, "lived", run_of)
    monkeypatch.setattr(campaign, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(reconnect, "commit", lambda: "c")
    jobs: list[reconnect.Job] = [(campaign.DESIGN, 5, 2, seed) for seed in (1, 2, 3)]
    campaign.campaign(jobs[:2], reconnect.Kept(tmp_path / "runs"), 1)
    found = campaign.report(campaign.campaign(jobs, reconnect.Kept(tmp_path / "runs"), 1), 30)
    assert lived == jobs
    assert found["faults"] == {"late": 3}
    assert found["bar"]["account_days"] == {"want": 30, "got": 30, "ok": True}
    assert found["bar"]["invariants"]["got"] == [{"seed": 2, **bad[0]}]
    assert found["bar"]["account_days_per_s_of_two"]["ok"]


class Here:
    """A pool of processes that is this one."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        del args, settings

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        return

    map = staticmethod(map)


def test_the_bars_turn_red() -> None:
    good = dict.fromkeys(reconnect.SUMS, 0) | {"reconnect_p95_s": 2.0, "unpaid_on_hours": 100}
    rows: list[dict[str, Any]] = [{"name": name, "figures": dict(good), "broken": []} for name in reconnect.DESIGNS]
    assert all(bar["ok"] for bar in reconnect.bars(rows).values())
    rows[-1]["figures"] |= {
        "reconnect_p95_s": None, "paid_but_dark_end": 1, "hours_wrongly_off": 0.1, "silent_breaches": 1,
        "unpaid_on_hours": 106,
    }  # fmt: skip
    rows[-1]["broken"] = ["S6"]
    assert not any(bar["ok"] for bar in reconnect.bars(rows).values())
