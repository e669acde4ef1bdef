"""Outages: whom they touch, in any order of words; who is without supply is not cut, no relay closed behind a crew."""

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import assemble, guards, outagedesk, outages, reconnect
from control.fieldbook import OVER, UNDER_WAY, Outage, Site
from control.outagedesk import Word
from control.records import Notice, WorkOrder
from ingest.records import HandheldMessage
from storage.unit import Unit
from storage.writer import Priority
from tests.control.rig import DAY, HOUR, NOW, SETTINGS, Rig
from tests.control.test_engine import play


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path, settings=replace(SETTINGS, offload=False), accounts=3)
    made.put(Site("M1", transformer="T1", feeder="F1"), Site("M2", transformer="T2", feeder="F1"), Site("M3"))
    return made


def tell(rig: Rig, *words: Word) -> None:
    for word in words:
        rig.store.write(Priority.COMMAND, lambda unit, word=word: outagedesk.take(unit, word, rig.clock.now()) and None)


def sweep(rig: Rig) -> int:
    return rig.store.write(Priority.COMMAND, lambda unit: outagedesk.sweep(unit, rig.world()))


def held(rig: Rig, account: str) -> tuple[bool, bool]:
    """G5 and RG1 of one account now."""
    case = rig.store.read(lambda reader: assemble.case(reader, account, rig.world()))
    assert case is not None
    by_name = {guard.name: guard.value for guard in guards.evaluate(case, rig.rules)}
    return by_name["G5"], reconnect.rg1(case, False).value


FAULT = Word("o1", "crew-2", cause="fault", start=NOW - HOUR, transformer="T1", work="cable")


@pytest.mark.parametrize(
    ("where", "touched"),
    [
        ({"transformer": "T1"}, ["A1"]),
        ({"transformer": "", "feeder": "F1"}, ["A1", "A2"]),
        ({"transformer": "", "meter": "M3"}, ["A3"]),
        ({"transformer": ""}, []),
    ],
)
def test_an_outage_touches_what_hangs_on_it(rig: Rig, where: dict[str, str], touched: list[str]) -> None:
    tell(rig, replace(FAULT, **where))
    (outage,) = rig.find(Outage)
    assert rig.store.read(lambda reader: outages.affected(reader, outage, NOW)) == touched
    for account in ("A1", "A2", "A3"):
        found = rig.store.read(lambda reader, account=account: outages.of_account(reader, account, NOW))
        assert [row.outage for row in found] == (["o1"] if account in touched else [])
        assert held(rig, account) == ((False, False) if account in touched else (True, True))


def test_who_is_without_supply_is_not_cut_and_is_cut_when_it_is_over(rig: Rig) -> None:
    tell(rig, FAULT)
    engine = rig.engine()
    assert play(rig, engine.decide(["A1"])).commands == []
    tell(rig, Word("o1", "crew-2", OVER, ended=NOW))
    assert play(rig, engine.decide(["A1"])).commands != []


def test_an_outage_that_begins_before_the_send_stops_the_order(rig: Rig) -> None:
    engine = rig.engine()
    play(rig, engine.decide(["A1"]))
    tell(rig, FAULT)
    play(rig, engine.dispatch())
    assert rig.link.drives == [], "the guard is asked again at the send"


def test_planned_works_hold_from_their_start_and_temporary_ones_lock_no_relay(rig: Rig) -> None:
    tell(rig, replace(FAULT, cause="planned", start=NOW + 2 * HOUR))
    assert held(rig, "A1") == (True, True)
    rig.clock.forward(2 * 3600)
    assert held(rig, "A1")[1] is False, "nobody had to say that it began"
    tell(rig, Word("o1", "office", "cancelled"), replace(FAULT, outage="o2", cause="temporary"))
    assert held(rig, "A1") == (False, True)


def test_the_words_of_an_outage_may_come_in_any_order_and_twice(rig: Rig) -> None:
    words = [
        FAULT,
        replace(FAULT, expected_end=NOW + HOUR, work="cable, two men"),
        Word("o1", "crew-2", OVER, ended=NOW - timedelta(minutes=5)),
    ]
    ends = set()
    for order in itertools.permutations([0, 2, 0, 2]):
        row = None
        for index in order:
            row = outagedesk.fold(row, words[index], NOW)
        assert row is not None
        ends.add((row.state, row.start, row.ended, row.transformer, row.cause, row.work))
    assert ends == {(OVER, NOW - HOUR, NOW - timedelta(minutes=5), "T1", "fault", "cable")}
    later = outagedesk.fold(outagedesk.fold(None, words[0], NOW), words[1], NOW)
    assert (later.state, later.expected_end, later.work) == (UNDER_WAY, NOW + HOUR, "cable, two men")


def test_every_customer_it_touches_is_told_once_of_each_state(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outagedesk, "SLICE", 1)
    start = NOW + 3 * DAY
    planned = Word(
        "o1", "office", cause="planned", start=start, expected_end=start + 4 * HOUR, feeder="F1", work="pole"
    )
    tell(rig, planned)
    while sweep(rig):
        pass
    rows = rig.find(Notice, code="outage_planned")
    assert sorted(row.account for row in rows) == ["A1", "A2"]
    assert {row.text for row in rows} == {
        "Planned works: supply will be off from 05-18 10:30, back by 05-18 14:30 as planned. Help: 95598"
    }
    assert [sweep(rig) for _ in range(3)] == [0, 0, 0]
    rig.clock.at = start
    while sweep(rig):
        pass
    tell(rig, Word("o1", "crew-2", OVER, ended=start + HOUR))
    while sweep(rig):
        pass
    for code in ("outage_planned", "outage_now", "outage_over"):
        assert sorted(row.account for row in rig.find(Notice, code=code)) == ["A1", "A2"], code


def test_an_outage_that_was_over_before_anybody_was_told_tells_nobody(rig: Rig) -> None:
    tell(rig, FAULT, Word("o1", "crew-2", OVER, ended=NOW))
    assert sweep(rig) == 0 and [row.code for row in rig.find(Notice) if row.code.startswith("outage")] == []


def test_one_that_lasts_longer_than_expected_is_asked_after_until_it_is_over(rig: Rig) -> None:
    tell(rig, replace(FAULT, expected_end=NOW - outagedesk.OVERDUE), replace(FAULT, outage="o2", expected_end=NOW))
    sweep(rig)
    assert rig.find(WorkOrder) == []
    rig.clock.forward(60)
    sweep(rig)
    sweep(rig)
    (order,) = rig.find(WorkOrder)
    assert (order.kind, order.cause, order.state) == ("outage_overdue", "o1", "open")
    tell(rig, Word("o1", "crew-2", OVER, ended=NOW))
    assert rig.find(WorkOrder)[0].state == "cancelled"


def test_a_crews_messages_make_one_outage(rig: Rig) -> None:
    engine = rig.engine()
    begun = HandheldMessage(
        "c-1", "C2", "outage", 1, NOW - HOUR, person="zhao", detail="tree on the line", cause="temporary",
        transformer="T1", expected_end=NOW + HOUR,
    )  # fmt: skip
    back = HandheldMessage("c-2", "C2", "restored", 2, NOW, person="zhao", outage="c-1")

    async def say() -> list[str]:
        return [(await engine.handheld(one)).status for one in (back, begun, begun)]

    assert play(rig, say()) == ["accepted", "accepted", "duplicate"]
    (outage,) = rig.find(Outage)
    assert (outage.outage, outage.cause, outage.state, outage.by) == ("c-1", "temporary", OVER, "zhao")
    assert (outage.start, outage.ended, outage.work) == (NOW - HOUR, NOW, "tree on the line")


def test_without_its_hold_the_account_would_be_cut(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ablation: take the derived hold away, and a home without supply is cut."""

    def none(reader: Unit, names: object, installs: object, now: object) -> list[object]:
        return []

    tell(rig, FAULT)
    monkeypatch.setattr(outages, "holds", none)
    play(rig, rig.engine().decide(["A1"]))
    assert [command.account for command in rig.commands()] == ["A1"]
