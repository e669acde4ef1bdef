"""S3, S8 and L4 can turn red: a send whose record lies, one on an estimate, and an engine that never cuts."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from control import cuts, invariants, quota
from control.canonical import dumps, loads
from control.records import Case, CommandEvent, CommandState, Decision, Hold
from control.signals import BREAKER, Signal, Visit
from ingest.records import Flag
from storage.records import AccountState
from storage.store import Priority
from tests.control.rig import CNY, HOUR, NOW, Rig, residential
from tests.control.test_dispatch import order


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    order(rig)
    rig.dispatch()
    assert rig.command().state is CommandState.VERIFIED
    assert broken(rig) == set()
    return rig


def broken(rig: Rig) -> set[str]:
    policies = [residential()]
    found = rig.store.read(lambda r: invariants.check(r, rig.clock.now(), rig.settings, policies=policies))
    return {violation.id for violation in found}


def forge(rig: Rig, change: Callable[[Case], Case], **fields: object) -> None:
    """Put another record behind a send."""
    sent = rig.find(CommandEvent, event="send")[0]
    record = rig.get(Decision, sent.detail)
    assert isinstance(record, Decision)
    forged = replace(record, decision="d-forged", case=dumps(change(loads(Case, record.case))), **fields)  # type: ignore[arg-type]

    def work(unit):  # type: ignore[no-untyped-def]
        unit.add(forged)
        unit.add(CommandEvent(sent.command, 0, NOW, "send", "queued", "sent", "d-forged"))

    rig.store.write(Priority.BATCH, work)


def test_the_record_of_a_real_send_is_its_own_proof(rig: Rig) -> None:
    forge(rig, lambda case: case)
    assert broken(rig) == set()


@pytest.mark.parametrize(
    "change",
    [
        lambda case: replace(case, at_send=False),
        lambda case: replace(case, holds=(Hold("h", "A1", "medical", "x", NOW - HOUR),)),
        lambda case: replace(case, fresh_read_at=NOW - HOUR),
        lambda case: replace(case, kill_switch=True),
    ],
)
def test_a_record_whose_case_contradicts_its_booleans_breaks_s3(rig: Rig, change: Callable[[Case], Case]) -> None:
    forge(rig, change)
    assert "S3" in broken(rig)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (lambda case: replace(case, read_flags=int(Flag.ESTIMATED)), {}),
        (lambda case: replace(case, read_flags=int(Flag.SUSPECT)), {}),
        (lambda case: replace(case, estimate_micro=30 * CNY), {"available_micro": -40 * CNY}),
        (lambda case: replace(case, accrued_to=None), {}),
        (lambda case: replace(case, accrued_to=NOW + HOUR), {}),
    ],
)
def test_a_send_on_an_estimate_breaks_s8(rig: Rig, change: Callable[[Case], Case], fields: dict[str, int]) -> None:
    forge(rig, change, **fields)
    assert "S8" in broken(rig)


# ---- L4


def later(rig: Rig, minutes: int) -> None:
    """Time goes on, and all that must be young is."""
    rig.clock.forward(minutes * 60)
    rig.facts_now()
    state, visit = rig.get(AccountState, "A1"), rig.get(Visit, "M1")
    now = rig.clock.now()
    rig.put(replace(state, accrued_to=now.replace(minute=0)), replace(visit, at=now))  # type: ignore[type-var]


def looks(rig: Rig, engine: Callable[[Rig], None]) -> list[str]:
    """An hour of looks, a quarter of an hour apart, on an engine that does something, or nothing, between them."""
    ready: dict[str, datetime] = {}
    found: list[str] = []
    for _ in range(5):
        look = lambda reader: cuts.l4_never_cut(reader, rig.world(), ready, window=timedelta(hours=1))  # noqa: E731
        found = [violation.id for violation in rig.store.read(look)]
        engine(rig)
        later(rig, 15)
    return found


def nothing(rig: Rig) -> None:
    """An engine that never cuts."""


@pytest.mark.parametrize(
    ("work", "found"),
    [
        (nothing, ["L4"]),
        (lambda rig: asyncio.run(rig.engine().decide()), []),
        (lambda rig: rig.put(Hold("h", "A1", "dispute", "x", NOW)), []),
        (lambda rig: rig.put(Signal(BREAKER, "open", NOW)), []),
    ],
)
def test_never_cutting_breaks_l4_and_any_good_reason_does_not(
    tmp_path: Path, work: Callable[[Rig], None], found: list[str]
) -> None:
    assert looks(Rig(tmp_path), work) == found


def test_a_full_day_is_a_good_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "held_back", lambda *_, **__: "1 of today's 1 have left")
    assert looks(Rig(tmp_path), nothing) == []
