"""An idle turn reads nothing: until something is committed, or until the next command or notice is due."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from control import commands
from control.channels.file import FileOutbox
from control.dispatch import due_at
from control.records import Action, CommandState, Notice
from control.settings import Settings
from ingest.poller import CycleReport
from storage.store import Store
from tests.control.rig import NOW, SETTINGS, Rig
from tests.control.test_dispatch import order

MINUTE = timedelta(minutes=1)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    found: list[None] = []
    read = Store.read

    def counted(self: Store, work: Any) -> Any:
        found.append(None)
        return read(self, work)

    monkeypatch.setattr(Store, "read", counted)
    return found


def test_a_command_is_looked_for_after_a_commit_and_at_its_time(tmp_path: Path, reads: list[None]) -> None:
    rig = Rig(tmp_path)
    later = NOW + 10 * MINUTE

    async def story() -> list[int]:
        dispatcher = rig.dispatcher()
        counts = []

        async def turn() -> None:
            reads.clear()
            dispatcher.launch()
            counts.append(len(reads))
            await dispatcher.settled()

        await turn()
        await turn()
        order(rig, next_at=later, valid_until=NOW + 45 * MINUTE)
        await turn()
        await turn()
        rig.clock.forward(599)
        await turn()
        rig.clock.forward(1)
        await turn()
        return counts

    assert asyncio.run(story()) == [1, 0, 1, 0, 0, 1]
    assert len(rig.link.drives) == 1


def test_a_notice_is_looked_for_after_a_commit_and_at_its_time(tmp_path: Path, reads: list[None]) -> None:
    rig = Rig(tmp_path)
    engine = rig.engine(file=FileOutbox(tmp_path / "outbox.ndjson", durable=False))
    delivered = rig.find(Notice)[0]
    waits = replace(delivered, notice="n-w", rung="money.9", state="queued", delivered_at=None, created=NOW)

    async def story() -> list[tuple[int, bool]]:
        seen = []

        async def turn() -> None:
            reads.clear()
            touched = await engine.notify()
            seen.append((touched, bool(reads)))

        await turn()
        await turn()
        rig.put(replace(waits, not_before=NOW + MINUTE, next_at=NOW + MINUTE))
        await turn()
        await turn()
        rig.clock.forward(60)
        await turn()
        return seen

    assert asyncio.run(story()) == [(0, True), (0, False), (0, True), (0, False), (1, True)]


@pytest.mark.parametrize(
    ("state", "changes", "at"),
    [
        (CommandState.QUEUED, {}, None),
        (CommandState.QUEUED, {"next_at": NOW + 3 * MINUTE}, 3),
        (CommandState.QUEUED, {"next_at": NOW + 90 * MINUTE}, 45),
        (CommandState.REQUESTED, {"next_at": NOW + 3 * MINUTE}, 45),
        (CommandState.AUTHORISED, {}, 45),
        (CommandState.SENT, {"sent_at": NOW}, 2),
        (CommandState.ACKNOWLEDGED, {"next_at": NOW + 90 * MINUTE}, 90),
    ],
)
def test_when_a_command_is_due(state: CommandState, changes: dict[str, Any], at: int | None) -> None:
    made = commands.make(
        Action.DISCONNECT, account="A1", meter="M1", fence=1, at=NOW, decision="d", policy_version="p", reason="test"
    )
    command = replace(made, state=state, valid_until=NOW + 45 * MINUTE, **changes)
    found = due_at(command, Settings().sent_timeout_s, NOW)
    assert found == NOW + at * MINUTE if at is not None else found < NOW


def test_the_stop_ends_a_pause(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    engine = rig.engine()
    engine.settings = replace(SETTINGS, idle_s=3600.0)

    async def story() -> None:
        stop = asyncio.Event()
        task = asyncio.ensure_future(engine.run(stop))
        await asyncio.sleep(0.05)
        stop.set()
        await asyncio.wait_for(task, 5)

    asyncio.run(story())


def test_a_clock_that_was_set_back_makes_it_look_again(tmp_path: Path, reads: list[None]) -> None:
    rig = Rig(tmp_path)
    dispatcher, engine = rig.dispatcher(), rig.engine()

    async def story() -> list[int]:
        counts = []
        for step_s in (0, 60, -30, -3600):
            rig.clock.at += timedelta(seconds=step_s)
            reads.clear()
            dispatcher.launch()
            await engine.notify()
            counts.append(len(reads))
        return counts

    assert asyncio.run(story()) == [2, 0, 0, 2]


def test_a_stop_ends_the_turns_of_slow_gateways(tmp_path: Path) -> None:
    """A turn that hangs must not commit into a store that is closed behind it."""
    rig = Rig(tmp_path)
    engine = rig.engine()

    async def story() -> bool:
        never = asyncio.get_running_loop().create_task(asyncio.Event().wait())
        engine._poller._turns["G1"] = (never, CycleReport(at=NOW))  # type: ignore[assignment]
        await engine._drain({})
        return never.cancelled()

    assert asyncio.run(story())
