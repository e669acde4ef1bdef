"""A class in shadow: decided on as ever, nothing sent, and what people did stands beside it. With its ablation."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from control import decide, shadow, sidebyside
from control.channels.file import FileOutbox
from control.records import (
    SHADOW_ALL,
    SHADOW_CUTS,
    Command,
    Decision,
    Evidence,
    Notice,
    Service,
    Wanted,
    WorkOrder,
)
from control.settings import Settings
from control.signals import Signal
from control.visits import observe
from ingest.records import RelayState
from storage.records import Account
from storage.store import Priority
from tests.control.rig import DAY, HOUR, NOW, SETTINGS, Rig
from tests.control.scenes import paid_and_dark, ready_to_cut

WATCHED = replace(SETTINGS, shadow_days=30)
LIVE = Signal("shadow.residential", shadow.OFF, NOW)


def play(rig: Rig, work: Coroutine[Any, Any, Any]) -> Any:
    """Without the checkers: in shadow people work the relay, and L2 is not ours to keep."""
    del rig
    return asyncio.run(work)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, settings=WATCHED)


def whole(rig: Rig, tmp_path: Path) -> list[str]:
    """One whole turn of the engine; what left over the notice channel."""
    outbox = tmp_path / "notices.ndjson"
    engine = rig.engine(file=FileOutbox(outbox, durable=False))

    async def turn() -> None:
        await engine.decide()
        await engine.dispatch()
        await engine.reconcile()
        await engine.dispatch()
        await engine.notify()

    play(rig, turn())
    return outbox.read_text().splitlines() if outbox.exists() else []


def seen_open(rig: Rig, state: RelayState = RelayState.OPEN) -> None:
    """People turned the relay by hand, and a read saw it."""
    rig.meter.relay = state
    now = rig.clock.now()
    rig.store.write(Priority.BATCH, lambda unit: observe(unit, Evidence("M1", state, now, "read_back", 0)))


# ---- nothing leaves


def test_a_class_in_shadow_sends_nothing_and_says_what_it_would_have_done(rig: Rig, tmp_path: Path) -> None:
    assert whole(rig, tmp_path) == [] and rig.link.drives == [] and rig.commands() == []
    (found,) = rig.find(Decision)
    assert (found.verdict, found.reason) == ("shadow", "disconnect.exhausted")
    assert all(guard.value for guard in found.guards)
    assert rig.get(Wanted, "A1").service is Service.CONNECTED and rig.find(WorkOrder) == []


def test_the_same_class_live_cuts(tmp_path: Path) -> None:
    rig = Rig(tmp_path, settings=WATCHED)
    rig.put(LIVE)
    whole(rig, tmp_path)
    assert [drive.action for drive in rig.link.drives] == ["disconnect"]


def test_what_people_opened_people_close_again(rig: Rig, tmp_path: Path) -> None:
    seen_open(rig)
    assert whole(rig, tmp_path) == [] and rig.link.drives == []
    play(rig, rig.engine().pay(rig.payment(60)))
    whole(rig, tmp_path)
    assert rig.link.drives == [] and rig.commands() == [] and rig.find(WorkOrder) == []
    assert "connect.paid" in {row.reason for row in rig.find(Decision, verdict="shadow")}


def test_whom_we_cut_before_the_shadow_we_bring_back_in_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    whole(rig, tmp_path)
    assert rig.meter.relay is RelayState.OPEN
    rig.settings = WATCHED
    play(rig, rig.engine().pay(rig.payment(60)))
    whole(rig, tmp_path)
    assert rig.meter.relay is RelayState.CLOSED


def test_a_command_that_waits_when_the_shadow_falls_is_cancelled(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    play(rig, rig.engine().decide())
    rig.settings = WATCHED
    play(rig, rig.engine().dispatch())
    assert rig.link.drives == [] and rig.command().state == "cancelled"


# ---- ablation: each stop alone is what the test above rests on


def test_without_the_verdict_of_the_shadow_a_command_is_made(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "in_shadow", lambda case, chosen: chosen)
    whole(rig, tmp_path)
    assert len(rig.commands()) == 1


def test_without_the_gate_at_the_send_a_waiting_command_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    play(rig, rig.engine().decide())
    rig.settings = WATCHED
    gate = decide.may_send
    monkeypatch.setattr(decide, "may_send", lambda case, policy: gate(replace(case, shadow=""), policy))
    play(rig, rig.engine().dispatch())
    assert [drive.action for drive in rig.link.drives] == ["disconnect"]


def test_without_the_rows_of_its_own_a_notice_leaves(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.store.write(Priority.BATCH, lambda unit: [unit.put(replace(n, rung="over_tier.0")) for n in unit.find(Notice)])
    assert whole(rig, tmp_path) == []
    assert {row.state for row in rig.find(Notice, channel="shadow")} == {"shadow"}
    monkeypatch.setattr("control.notices.STATE", "queued")
    monkeypatch.setattr("control.notices.CHANNEL", "file")
    rig.store.write(
        Priority.BATCH, lambda unit: [unit.delete(Notice, row.notice) for row in unit.find(Notice, channel="shadow")]
    )
    assert whole(rig, tmp_path) != []


# ---- notices


def test_a_notice_of_the_shadow_counts_in_the_shadow_only(rig: Rig, tmp_path: Path) -> None:
    told = [row for row in rig.find(Notice) if row.recipient == "customer"]
    rig.store.write(Priority.BATCH, lambda unit: [unit.put(replace(n, channel="shadow", state="shadow")) for n in told])
    whole(rig, tmp_path)
    assert rig.find(Decision)[-1].verdict == "shadow"  # they were as good as delivered
    rig.put(LIVE)
    sent = whole(rig, tmp_path)
    assert rig.link.drives == []  # nobody had been told: the ladder begins
    assert rig.find(Decision, verdict="hold")[-1].reason == "G6" and sent


# ---- pure


def test_who_was_driven_by_us_comes_back_in_shadow() -> None:
    policy = Rig.__dataclass_fields__["rules"].default_factory()  # type: ignore[misc]
    for mode, verdict in (("", "connect"), (SHADOW_CUTS, "connect"), (SHADOW_ALL, "shadow")):
        assert decide.decide(paid_and_dark(shadow=mode), policy).verdict == verdict
    for mode, verdict in (("", "disconnect"), (SHADOW_CUTS, "shadow"), (SHADOW_ALL, "shadow")):
        assert decide.decide(ready_to_cut(shadow=mode), policy).verdict == verdict
        assert decide.may_send(ready_to_cut(shadow=mode), policy)[0] is (mode == "")


def test_a_class_of_which_nothing_is_on_record_is_in_shadow_where_the_house_wants_one() -> None:
    silent, limits = {}, Settings(shadow_days=30)
    assert shadow.until("large", silent, Settings(), NOW) is None
    assert shadow.until("large", silent, limits, NOW) == NOW + 30 * DAY
    facts = {"shadow.large": Signal("shadow.large", (NOW + DAY).isoformat(), NOW)}
    assert shadow.until("large", facts, limits, NOW) == NOW + DAY
    assert shadow.until("large", facts, limits, NOW + DAY) is None
    facts["shadow.large"] = replace(facts["shadow.large"], value="tomorrow")
    assert shadow.until("large", facts, limits, NOW) is not None


def test_the_first_month_begins_once(rig: Rig) -> None:
    def start() -> list[str]:
        return rig.store.write(Priority.BATCH, lambda unit: shadow.begin(unit, {"residential"}, 30, rig.clock.now()))

    assert start() == ["residential"]
    rig.clock.forward(3600)
    assert start() == []
    assert rig.get(Signal, "shadow.residential").value == (NOW + 30 * DAY).isoformat()


# ---- beside what people did


def test_ours_stand_beside_theirs(rig: Rig, tmp_path: Path) -> None:
    whole(rig, tmp_path)
    rig.clock.forward(5 * 3600)
    seen_open(rig)  # people cut five hours after we would have
    rig.clock.forward(DAY / timedelta(seconds=1))
    play(rig, rig.engine().pay(rig.payment(60)))
    rig.facts_now()
    whole(rig, tmp_path)
    rig.clock.forward(3 * 3600)
    seen_open(rig, RelayState.CLOSED)
    found = rig.store.read(lambda reader: sidebyside.compare(reader, "residential", NOW - DAY, NOW + 9 * DAY))
    assert found.counts("disconnect") == {"both": 1, "only_ours": 0, "only_theirs": 0, "median_lead_h": "5.0"}
    assert found.counts("connect") == {"both": 1, "only_ours": 0, "only_theirs": 0, "median_lead_h": "3.0"}


def test_an_opening_that_only_people_made_names_the_guard_that_held_us(rig: Rig, tmp_path: Path) -> None:
    account = rig.get(Account, "A1")
    rig.put(replace(account, agreement_from=None))
    whole(rig, tmp_path)
    rig.clock.forward(HOUR / timedelta(seconds=1))
    seen_open(rig)
    found = rig.store.read(lambda reader: sidebyside.compare(reader, "residential", NOW - DAY, NOW + 9 * DAY))
    assert [(pair.ours, pair.why) for pair in found.pairs] == [(None, "hold.G13")]
    assert found.counts("disconnect")["only_theirs"] == 1


def test_a_change_that_our_own_command_made_is_not_theirs(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    whole(rig, tmp_path)
    assert rig.find(Command)[0].state == "verified"
    found = rig.store.read(lambda reader: sidebyside.compare(reader, "residential", NOW - DAY, NOW + 9 * DAY))
    assert found.pairs == ()
