"""The screen drops nobody: whoever is called quiet gets no verdict, in drawn cases and in a town that lived."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from control import alerts, assemble, carry, decide, quota, screen
from control.assemble import Outlook
from control.foresight import Foresight, aged, due
from control.ladder import delivered_at, reached
from control.loud import loud
from control.outlookbook import NONE, Outlooks
from control.policy import Policy, template
from control.raised import Raised
from control.records import Case, Notice, Service
from control.standing import RELAYS, SERVICES, Standing, Standings, Words, standings
from control.verdicts import Verdict
from ingest.records import RelayState
from sim import run
from sim.faults import FAULTS
from sim.world import Cast, World
from storage.codec import to_ms
from storage.records import Account, AccountState
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
    raised += ["over_tier_soon.1", "over_tier_soon.2.2026-03", "over_tier.1.2026-03", "stop.1", "stop.1", "stop.2"]
    told = tuple(sorted(set(rng.sample(raised, rng.randrange(len(raised))))))
    ages = [HOUR, policy.stop_notice_days_most * DAY, (policy.stop_notice_days_most + 1) * DAY]
    stops = [key for key in told if key.startswith("stop") and rng.random() < 0.8]
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
        alerts=told,
        delivered={key: (NOW - rng.choice(ages)).isoformat() for key in stops},
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
        case.tier_period, case.next_tier_h, stop_told=_stop_told(case),
    )  # fmt: skip


def _stop_told(case: Case) -> datetime | None:
    """When the newest stop notice arrived; datetime.max while one has not."""
    stops = [key for key in case.alerts if key.startswith("stop.")]
    arrived = delivered_at(case, "stop")
    return None if not stops else arrived[-1] if len(arrived) == len(stops) else datetime.max


def _some(rng: random.Random, count: int) -> list[tuple[int, Policy]]:
    return [(number, rng.choice(POLICIES)) for number in range(count)]


def columns(cases: Sequence[Case]) -> tuple[Standings, Raised]:
    """The standings of cases as columns, as if they had been read."""
    words, raised = Words(), Raised()
    klass, mode = words.numbers([case.klass for case in cases]), words.numbers([case.mode for case in cases])
    closed = np.array(_ms([case.closed for case in cases]), np.int64)
    rows = Standings([case.account for case in cases], klass, mode, closed, words)
    for column, name in (("posted", "posted"), ("accrued", "accrued"), ("estimate", "estimate"),
                         ("base", "balance_after_payment"), ("paid", "last_payment")):  # fmt: skip
        getattr(rows, column)[:] = [getattr(case, f"{name}_micro") for case in cases]
    rows.accrued_to[:] = _ms([case.accrued_to for case in cases])
    rows.book_hash[:] = words.numbers([case.book_hash for case in cases])
    rows.relay[:] = [RELAYS.index(case.relay) for case in cases]
    rows.service[:] = [SERVICES.index(case.service) for case in cases]
    rows.live[:] = [bool(case.live_command) for case in cases]
    rows.outlooks = Outlooks(
        {
            case.account: Outlook(
                case.hours_left, case.hours_left, case.kwh_left, case.tier, case.tier_period, case.next_tier_h
            )
            for case in cases
        }
    )
    rows.ahead = rows.outlooks.ahead(rows.names)
    rows.stops = {case.account: at for case in cases if (at := _stop_told(case)) is not None}
    raised._told = {case.account: {0: frozenset(case.alerts)} for case in cases}
    rows.told = raised.of
    return rows, raised


def _ms(times: Sequence[datetime | None]) -> list[int]:
    return [NONE if at is None else to_ms(at) for at in times]


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


def test_the_arrays_find_whom_the_scalar_screen_finds_and_go_on_from_look_to_look() -> None:
    rng = random.Random(2)
    classes = {policy.id: replace(policy, klass=policy.id) for policy in POLICIES}
    seen: tuple[Standings, Raised] | None = None
    louds = 0
    for look in range(4):
        cases = [replace(drawn(rng, policy), account=f"A{n:04d}", klass=policy.id) for n, policy in _some(rng, 600)]
        cases[0] = replace(well_off(account="A0000", klass=cases[0].klass), posted_micro=(1 << 62) + look)
        rows, raised = columns(cases)
        for case in cases:
            assert rows[case.account] == glance(case)
        if seen is not None and look % 2:
            raised.columns, raised.news = seen[1].columns, {case.account for case in cases}
        found = loud(rows, raised, classes, NOW)
        assert found == [case.account for case in cases if not screen.quiet(glance(case), classes[case.klass], NOW)]
        seen, louds = (rows, raised), louds + len(found)
    assert 200 < louds < 2_300


def test_a_rule_that_the_screen_does_not_know_switches_it_off() -> None:
    assert screen.trusted()
    known = screen.KNOWN
    try:
        screen.KNOWN = known - {"tell"}
        assert not screen.trusted()
    finally:
        screen.KNOWN = known


@dataclass(slots=True)
class Held:
    """How often somebody was held for the reason on record, and what carrying that out would have written."""

    times: int = 0
    written: int = 0


@pytest.fixture(scope="module")
def lived() -> Iterator[tuple[World, Held]]:
    """A town under the standard faults after two days, in sets of five accounts, and who was held in it."""
    town, held = World(run.town(4, 12), FAULTS["standard"], Cast(transport="direct")), Held()
    stands = carry.stands

    def counted(reader: Reader, case: Case, said: Verdict, policy: Policy) -> bool:
        found = stands(reader, case, said, policy)
        if found and town.store is not None and town.engine is not None:
            held.times += 1
            held.written += town.store.write(Priority.BATCH, partial(_written, case=case, world=town.engine.world()))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assemble, "CHUNK", 5)  # what was found of the first ones is not forgotten
        patch.setattr(carry, "stands", counted)
        try:
            run.play(town, 2)
            yield town, held
        finally:
            town.close()


def test_a_lived_town_stands_as_its_cases_say_and_the_rows_foresee_what_the_cases_do(lived: tuple[World, Held]) -> None:
    world, _ = lived
    assert world.store is not None
    assert world.engine is not None
    seen = world.engine.world()
    world.store.write(Priority.BATCH, lambda unit: _stop_notices(unit, seen.now))
    world.store.write(Priority.BATCH, lambda unit: unit.put(replace(unit.find(Account)[0], account="!")))  # comes first
    rows = world.store.read(lambda reader: standings(reader, seen, Raised(), hashes=True))
    cases = world.store.read(lambda reader: assemble.cases(reader, None, seen))
    assert {name: glance(case) for name, case in cases.items()} == rows
    assert list(cases) == list(rows)
    assert any(row.raised for row in rows.values())
    told = [rows[name].stop_told for name in rows.names[1:5]]
    assert told == [seen.now - HOUR, datetime.max, seen.now - DAY, None]
    ahead = world.store.read(lambda reader: quota.foreseen_by(reader, seen.now + 3 * DAY))
    later = list(world.store.read(lambda r: assemble.cases(r, None, _at(seen, 3 * DAY))).values())
    assert len(set(ahead) & rows.keys()) == len(ahead) == quota.foreseen_in(later, seen.now + 3 * DAY) > 0


def _stop_notices(unit: Unit, now: datetime) -> None:
    """One that arrived, one on its way beside one that arrived, one that arrived twice, one of an earlier epoch."""
    states = unit.find(AccountState, order="account")
    for number, (rung, epoch, recipient, arrived) in (
        (0, ("stop.1", 0, "customer", now - HOUR)), (0, ("stop.1", 0, "second", None)),
        (1, ("stop.1", 0, "customer", now - DAY)), (1, ("stop.2", 0, "second", now)),
        (2, ("stop.1", 0, "meter", now - HOUR)), (2, ("stop.1", 0, "customer", now - DAY)),
        (3, ("stop.1", -1, "customer", now)),
    ):  # fmt: skip
        state = states[number]
        name = f"{number}{rung}{recipient}"
        unit.put(
            Notice(
                name, state.account, state.epoch + epoch, rung, recipient, "file", "", "en", "stop", {}, now,
                delivered_at=arrived,
            )
        )  # fmt: skip


def test_who_is_held_for_the_reason_on_record_costs_no_transaction(lived: tuple[World, Held]) -> None:
    """Whoever stands still would have written nothing, carried out in the same moment."""
    _, held = lived
    assert held.times > 10
    assert held.written == 0


def _written(unit: Unit, case: Case, world: assemble.World) -> int:
    before = unit.connection.total_changes
    carry.carry(unit, case, world, admitted=frozenset())
    return unit.connection.total_changes - before


def _at(world: assemble.World, shift: timedelta) -> assemble.World:
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
    line = policy.disconnection_balance_micro + policy.emergency_credit_micro
    for left, wanted in ((line + 1, False), (line, True), (line - CNY, True)):
        assert _due(left, Outlook(500.0, 600.0, 9000), NOW - HOUR, world) is wanted
    for hours, made, wanted in (
        (500.0, NOW - 6 * HOUR, True), (500.0, NOW - 6 * HOUR + timedelta(seconds=1), False),
        (500.0, NOW + HOUR, True), (500.0, None, True), (30.0, NOW, True), (30.1, NOW, False), (None, NOW, True),
    ):  # fmt: skip
        assert _due(line + 1, Outlook(hours, hours, 9000), made, world) is wanted, (hours, made)
    assert _due(line + 1, None, None, world)
    assert _due(line + 1, Outlook(500.0, 600.0, 9000), NOW, world, mode="postpaid")


def _due(left: int, known: Outlook | None, made: datetime | None, world: object, mode: str = "prepaid") -> bool:
    """Whether an account with so much money left is forecast anew."""
    rows, _ = columns([well_off(account="a", klass="residential", posted_micro=left, accrued_micro=0, mode=mode)])
    book = Outlooks({"a": known} if known is not None else {})
    if made is not None:
        book.mark(["a"], made)
    found: list[int] = due(rows, book.ahead(["a"]), world).tolist()  # type: ignore[arg-type]
    return found == [0]


def test_an_outlook_is_kept_in_columns_as_it_is_alone() -> None:
    rng, book, alone = random.Random(5), Outlooks(), dict[str, Outlook]()
    for number in range(2_000):
        name, deed = f"A{rng.randrange(60)}", rng.random()
        if deed < 0.6:
            p10 = rng.choice([None, 0.0, round(rng.uniform(0, 700), 3)])
            p50 = None if p10 is None else p10 + rng.choice([0.0, 12.5])
            book[name] = alone[name] = Outlook(
                p10, p50, rng.choice([None, 0, rng.randrange(10**7)]), rng.choice([None, 0, 2]),
                rng.choice(["", "2026-03", "2026"]), rng.choice([None, 3.25]), rng.choice([0, 16]),
            )  # fmt: skip
        elif deed < 0.7 and name in alone:
            del book[name], alone[name]
        elif deed < 0.8:
            kept = set(rng.sample([f"A{n}" for n in range(60)], 55))
            book.keep(kept.__contains__)
            alone = {key: value for key, value in alone.items() if key in kept}
        elif number % 9 == 0:
            hours = rng.choice([1.0, 0.25, 7 / 3600, 24.0, rng.uniform(0, 3)])
            book.age(hours)
            alone = {key: aged(value, hours) for key, value in alone.items()}
        assert book == alone
    assert len(book) > 10
    assert Outlooks.of(book) is book
    assert Outlooks.of(alone) == alone
    assert book.ahead(["nobody", *alone]).known.tolist() == [False, *[True] * len(alone)]
