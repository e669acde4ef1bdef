"""The screen drops nobody: whoever is called quiet gets no verdict, in drawn cases and in a town that lived."""

import random
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest

from control import alerts, assemble, carry, decide, quota, screen
from control.assemble import Outlook
from control.foresight import Foresight, aged
from control.ladder import reached
from control.policy import Policy, template
from control.records import Case, Service
from control.standing import Raised, Standing, standings
from control.verdicts import Verdict
from ingest.records import RelayState
from sim.faults import FAULTS
from sim.run import START, play
from sim.town import build
from sim.world import Cast, World
from storage.unit import Reader, Unit
from storage.writer import Priority
from tests.control.scenes import CNY, DAY, HOUR, NOW, hold, well_off

POLICIES = [policy for name in ("cn-remote", "minigrid", "in-uppcl", "us-tx") for policy in template(name).values()]
CASES = 4_000


def drawn(rng: random.Random, policy: Policy) -> Case:
    """A case near the lines at which something becomes due."""
    line = policy.disconnection_balance_micro
    near = rng.choice([line, line + policy.emergency_credit_micro, 0, *policy.money_micro, 40 * CNY, 200 * CNY])
    rungs = [*policy.hours, 700]
    raised = [f"money.{n}" for n in range(1, len(policy.money_micro) + 1)]
    raised += [f"hours.{h}" for h in policy.hours] + [f"share.{p}" for p in policy.share_percent] + ["over_tier.1"]
    raised += ["over_tier_soon.1", "over_tier_soon.2.2026-03", "over_tier.1.2026-03"]
    accrued_to = rng.choice([None, NOW - HOUR, NOW - 3 * DAY, NOW - 9 * DAY]) if rng.random() < 0.3 else NOW - HOUR
    later = NOW - rng.choice([1, 80, 200]) * HOUR  # the register may stand later than what is rated, never earlier
    return well_off(
        klass=policy.klass,
        posted_micro=300 * CNY,
        accrued_micro=300 * CNY - near - rng.choice([-CNY, -1, 0, 1, CNY]),
        accrued_to=accrued_to,
        read_end=max(accrued_to, later) if accrued_to is not None else rng.choice([None, later]),
        estimate_micro=rng.choice([0, 0, CNY, 50 * CNY, 500 * CNY]),
        balance_after_payment_micro=rng.choice([0, 50 * CNY, 300 * CNY]),
        alerts=tuple(sorted(rng.sample(raised, rng.randrange(len(raised))))),
        hours_left=rng.choice([None, 0.0, *[h + d for h in rungs for d in (-1, 0, 1)]]),
        kwh_left=rng.choice([None, 0, 4_999, 200_000]),
        tier=rng.choice([None, 0, 1, 2]),
        tier_period=rng.choice(["", "2026-03"]),
        next_tier_h=rng.choice([None, None, 1.0, 71.0, 73.0]),
        relay=rng.choices(list(RelayState), [9, 1, 1, 1])[0],
        service=rng.choices(list(Service), [20] + [1] * (len(Service) - 1))[0],
        live_command=rng.choice(["", "", "", "c1"]),
        holds=rng.choice([(), (), (hold("dispute"),)]),
    )


def glance(case: Case) -> Standing:
    """The standing of a case."""
    return Standing(
        case.account, case.klass, case.mode, case.closed, case.posted_micro, case.accrued_micro, case.accrued_to,
        case.estimate_micro, case.balance_after_payment_micro, case.last_payment_micro, case.book_hash, case.relay,
        case.service, bool(case.live_command), frozenset(case.alerts), case.hours_left, case.kwh_left, case.tier,
        case.tier_period, case.next_tier_h,
    )  # fmt: skip


def test_whoever_is_quiet_is_due_nothing_and_the_screen_is_worth_having() -> None:
    rng, quiet = random.Random(1), 0
    for _ in range(CASES):
        policy = rng.choice(POLICIES)
        case = drawn(rng, policy)
        row = glance(case)
        expected = case.posted_micro - case.accrued_micro - max(case.estimate_micro, 0)
        highest = max((rung.level for rung in reached(case, policy)), default=0)
        assert screen.level(row, policy, expected) == highest
        if screen.quiet(row, policy, NOW):
            quiet += 1
            assert decide.verdict(case, policy) == "none", case
            assert alerts.due(case, policy) == ()
    assert quiet > CASES // 40


def test_a_rule_that_the_screen_does_not_know_switches_it_off() -> None:
    assert screen.trusted()
    known = screen.KNOWN
    try:
        screen.KNOWN = known - {"tell"}
        assert not screen.trusted()
    finally:
        screen.KNOWN = known


def test_a_lived_town_stands_as_its_cases_say_and_the_rows_foresee_what_the_cases_do() -> None:
    world = World(build(4, 12, start=START), FAULTS["none"], Cast(transport="direct"))
    try:
        play(world, 2)
        assert world.store is not None
        assert world.engine is not None
        seen = world.engine.world()
        rows = world.store.read(lambda reader: standings(reader, seen, Raised()))
        cases = world.store.read(lambda reader: assemble.cases(reader, None, seen))
        assert {name: glance(case) for name, case in cases.items()} == rows
        assert any(row.raised for row in rows.values())
        by_rows = world.store.read(lambda reader: quota.foreseen_of(reader, rows.keys(), seen.now + 3 * DAY))
        later = list(world.store.read(lambda r: assemble.cases(r, None, _at(seen, 3 * DAY))).values())
        assert by_rows == quota.foreseen_in(later, seen.now + 3 * DAY) > 0
    finally:
        world.close()


def test_who_is_held_for_the_reason_on_record_costs_no_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stands still would have written nothing, carried out in the same moment."""
    town, stood = World(build(4, 16, start=START), FAULTS["standard"], Cast(transport="direct")), 0
    whole = carry.stands

    def stands(reader: Reader, case: Case, said: Verdict, policy: Policy) -> bool:
        nonlocal stood
        found = whole(reader, case, said, policy)
        if found and town.store is not None and town.engine is not None:
            stood += 1
            assert town.store.write(Priority.BATCH, partial(_written, case=case, world=town.engine.world())) == 0
        return found

    monkeypatch.setattr(carry, "stands", stands)
    try:
        play(town, 1)
        assert stood > 10
    finally:
        town.close()


def _written(unit: Unit, case: Case, world: assemble.World) -> int:
    before = unit.connection.total_changes
    carry.carry(unit, case, world, admitted=frozenset())
    return unit.connection.total_changes - before


def _at(world: assemble.World, shift: timedelta) -> assemble.World:
    from dataclasses import replace

    return replace(world, now=world.now + shift)


def test_an_outlook_ages_by_the_hours_that_pass_and_a_payment_makes_it_anew() -> None:
    known = Outlook(100.0, 120.0, 60_000, tier=1)
    assert aged(known, 20.0) == Outlook(80.0, 100.0, 50_000, tier=1)
    assert aged(known, 500.0) == Outlook(0.0, 0.0, 0, tier=1)
    assert aged(Outlook(), 5.0) == Outlook()
    foresight = Foresight(None, Raised())  # type: ignore[arg-type]
    foresight.outlooks["A1"] = known
    foresight.paid("A1")
    foresight.paid("A2")
    assert foresight.outlooks == {"A1": Outlook(tier=1)}


def test_who_runs_out_before_it_was_foreseen_is_forecast_anew_with_fresh_flags() -> None:
    policy = template("minigrid")["residential"]
    world = SimpleNamespace(now=NOW, policies={"residential": policy})
    known = Foresight(None, Raised())  # type: ignore[arg-type]
    known.outlooks["a"], known._made["a"] = Outlook(500.0, 600.0, 9000), NOW - HOUR
    line = policy.disconnection_balance_micro + policy.emergency_credit_micro
    for left, due in ((line + 1, False), (line, True), (line - CNY, True)):
        row = glance(well_off(klass="residential", posted_micro=left, accrued_micro=0))
        assert known._due("a", row, world) is due  # type: ignore[arg-type]
