"""Kill switch and quarantine by persons: one pulls and two reset, two release or drop, each alone and by name."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from control import invariants, switches
from control.breaker import KillSwitch
from control.records import CommandState, Incident
from control.switches import DROP, RELEASE, Standing
from storage.records import AuditRow
from storage.unit import Unit
from storage.writer import Priority
from tests.control.rig import DAY, HOUR, Rig
from tests.control.test_engine import play

STORM = 8


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Eight who are due at once, where one a day is usual."""
    return Rig(tmp_path, accounts=STORM)


def said(rig: Rig, work: Callable[..., Any], *words: Any) -> Any:
    return rig.store.write(Priority.COMMAND, lambda unit: work(unit, *words, rig.world()))


def standing(rig: Rig) -> Standing:
    return rig.store.read(lambda reader: switches.standing(reader, rig.clock.now()))


def decide(rig: Rig) -> int:
    """How many disconnections a pass makes."""
    engine = rig.engine()
    before = len(rig.commands())
    play(rig, engine.decide())
    return len(rig.commands()) - before


def open_incidents(rig: Rig) -> list[str]:
    return [row.kind for row in rig.find(Incident) if row.closed is None]


def test_one_pulls_and_two_other_names_reset(rig: Rig) -> None:
    assert not standing(rig).kill.pulled
    said(rig, switches.pull, "ann", "festival")
    assert said(rig, switches.reset, "Bob").pulled
    assert said(rig, switches.reset, "cli:bob").pulled, "one person under two names"
    assert standing(rig).kill.resets == ("bob",) and open_incidents(rig) == ["kill_switch"]
    said(rig, switches.pull, "dan", "once more")
    assert standing(rig).kill == KillSwitch("ann"), "pulled again: the resets are forgotten"
    said(rig, switches.reset, "bob")
    assert not said(rig, switches.reset, "eve").pulled
    assert not standing(rig).kill.pulled and open_incidents(rig) == []
    assert [row.actor for row in rig.find(AuditRow, action="kill_switch.reset")] == ["Bob", "cli:bob", "bob", "eve"]
    assert not said(rig, switches.reset, "eve").pulled, "there is nothing to reset"


def test_a_pulled_switch_holds_every_cut_until_it_is_reset(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    said(rig, switches.pull, "ann", "test")
    assert decide(rig) == 0
    for person in ("bob", "eve"):
        said(rig, switches.reset, person)
    assert decide(rig) == 1


def test_two_persons_release_what_is_kept_back_and_their_words_are_of_this_trip(rig: Rig) -> None:
    assert said(rig, switches.say, RELEASE, "ann") == (), "nothing has tripped"
    assert decide(rig) == 0
    now = standing(rig)
    assert now.tripped and len(now.kept) == STORM and f"{STORM} planned" in now.reason
    assert said(rig, switches.say, RELEASE, "ann") == ("ann",)
    assert said(rig, switches.say, RELEASE, "cli:Ann") == ("ann",)
    assert said(rig, switches.say, DROP, "bob") == ("bob",), "one word for each is not two for one"
    assert decide(rig) == 0 and standing(rig).releasing == ("ann",)
    assert said(rig, switches.say, RELEASE, "bob") == ("ann", "bob")
    assert not standing(rig).tripped and open_incidents(rig) == []
    assert decide(rig) == STORM


def test_what_two_persons_drop_never_leaves_today_and_is_planned_anew_tomorrow(rig: Rig) -> None:
    assert decide(rig) == 0
    for person in ("ann", "bob"):
        said(rig, switches.say, DROP, person)
    now = standing(rig)
    assert (now.tripped, now.dropped) == (False, True)
    assert said(rig, switches.say, RELEASE, "ann") == (), "what was dropped is not released"
    rig.clock.forward(HOUR.total_seconds())
    rig.facts_now()
    assert decide(rig) == 0
    rig.clock.forward((DAY - HOUR).total_seconds())
    assert not standing(rig).dropped


def test_what_was_queued_before_the_trip_ends_with_the_drop(rig: Rig) -> None:
    engine = rig.engine()

    async def some() -> None:
        await engine.decide(["A1"])
        await engine.decide()
        for person in ("ann", "bob"):
            await rig.store.commit(Priority.COMMAND, partial(drop, rig, person))

    play(rig, some())
    assert [row.state for row in rig.commands()] == [CommandState.CANCELLED]
    asyncio.run(engine.dispatch())
    assert rig.link.drives == []
    found = rig.store.read(lambda reader: invariants.check(reader, rig.clock.now(), rig.settings))
    assert found == []


def drop(rig: Rig, person: str, unit: Unit) -> None:
    switches.say(unit, DROP, person, rig.world())
