"""A failing run becomes a small scenario file that replays it; the outside auditor sees what no guard would say."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from control import settle
from sim.faults import FAULTS, FaultPlan
from sim.scenario import FOLDER, Scenario, broken, read
from sim.shrink import Holds, shrink
from sim.swarm import STRONGEST, swarm
from storage.records import Payment, Posting

pytestmark = pytest.mark.long

BIG = Scenario("till", 2, 4, 1, FAULTS["wire"], note="a till that keeps a part of each payment", warm_up_days=0)


def test_a_scenario_reads_back_as_it_was_kept(tmp_path: Path) -> None:
    one = replace(BIG, plan=swarm(5), breaks=("S6",), note='says "why"')
    assert read(one.keep(tmp_path)) == one


def test_the_smallest_that_still_breaks_is_found_by_halving_and_leaving_out() -> None:
    tried: list[Scenario] = []

    def breaks(one: Scenario) -> frozenset[str]:
        tried.append(one)
        return frozenset({"L1"} if one.accounts >= 7 and one.days >= 3 and one.plan.link_down else set())

    found = shrink(Scenario("x", 1, 120, 10, FAULTS["standard"]), breaks=breaks, tries=200)
    assert (found.accounts, found.days, found.breaks) == (7, 3, ("L1",))
    assert found.plan == FaultPlan(link_down=0.036)
    assert len(tried) <= 120


def test_what_holds_cannot_be_made_smaller() -> None:
    with pytest.raises(Holds, match="no invariant breaks"):
        shrink(BIG, breaks=lambda one: frozenset())


def test_a_removed_safeguard_is_caught_shrunk_kept_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A till that keeps a part: both legs agree, so the ledger sums to zero, and only the outside auditor can tell."""
    whole = settle._legs

    def short(payment: Payment, amount_micro: int, source: str, now: datetime) -> list[Posting]:
        return whole(payment, amount_micro - 1_000_000, source, now)

    with monkeypatch.context() as patch:
        patch.setattr(settle, "_legs", short)
        small = shrink(BIG, tries=4)
        assert small.breaks == ("S1",)
        assert (small.accounts, small.days, small.plan) == (1, 1, FaultPlan())
        again = read(small.keep(tmp_path))
        assert broken(again.play()) == {"S1"}
    assert broken(again.play()) == frozenset()


def test_a_swarm_has_every_kind_of_fault_on_in_some_seeds_and_off_in_others() -> None:
    plans = [swarm(seed) for seed in range(40)]
    for name in (*STRONGEST, "stuck_relay", "crash_h", "clock_step"):
        on = sum(bool(getattr(plan, name)) for plan in plans)
        assert 8 <= on <= 32, name
    assert swarm(3) == swarm(3)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_kept_scenario_is_whole(path: Path) -> None:
    assert read(path).name == path.stem
