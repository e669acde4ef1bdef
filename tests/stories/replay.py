"""A story's file goes in; its steps, done by the engine on a real store with a meter that obeys faults, come out."""

import asyncio
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from control.records import Action, Decision, Evidence, Incident, Service, Wanted, WorkOrder
from ingest.records import RelayState
from storage.records import Account, AccountState
from tests.control.rig import CNY, Rig
from tests.control.test_dispatch import order

FOLDER = Path(__file__).resolve().parents[2] / "sim" / "scenarios" / "field"


def stories() -> dict[str, dict[str, Any]]:
    """Every story by its file's name."""
    return {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.toml"))}


class Stage:
    """One story being told: each step is a method of its name."""

    def __init__(self, home: Path, story: Mapping[str, Any]) -> None:
        """The rig with as many accounts as the story has."""
        self.rig = Rig(home, accounts=story.get("accounts", 1))
        self.engine = self.rig.engine()
        for step in story["steps"]:
            words = dict(step)
            getattr(self, words.pop("do"))(**words)

    def clock(self, at: str) -> None:
        """The story plays then."""
        self.rig.clock.at = datetime.fromisoformat(at)
        self.rig.facts_now()

    def wait(self, minutes: int) -> None:
        """Nothing happens for so long."""
        self.rig.clock.forward(60 * minutes)

    def reconciled(self) -> None:
        """The payment channel says that nothing is missing."""
        self.rig.facts_now()

    def dark(self) -> None:
        """The account was cut for want of money."""
        now = self.rig.clock.now()
        self.rig.meter.relay = RelayState.OPEN
        self.rig.put(Evidence("M1", RelayState.OPEN, now, "read_back", 0), Wanted("A1", Service.DISCONNECTED, now))

    def order(self, action: str) -> None:
        """Somebody queued an order for everybody, past every decision."""
        for number in range(1, self.rig.accounts + 1):
            order(self.rig, Action(action), number)

    def fault(self, name: str) -> None:
        """The wire or the meter does so from now on."""
        self.rig.link.faults.add(name)

    def mend(self) -> None:
        """No fault any more."""
        self.rig.link.faults.clear()

    def migrated(self) -> None:
        """Everybody's account was taken over today."""
        for row in self.rig.find(Account):
            self.rig.put(replace(row, migrated=self.rig.clock.now()))

    def debt(self, amount: int) -> None:
        """So much is charged at once."""
        state = self.rig.get(AccountState, "A1")
        assert isinstance(state, AccountState)
        self.rig.put(replace(state, accrued_micro=state.accrued_micro + amount * CNY))

    def pay(self, amount: int) -> None:
        """The customer pays."""
        asyncio.run(self.engine.pay(self.rig.payment(amount)))

    def decide(self) -> None:
        """The hour's decision."""
        asyncio.run(self.engine.decide())

    def sweep(self) -> None:
        """The engine's own look at everybody whose supply is not simply on."""
        asyncio.run(self.engine.reconcile())

    def dispatch(self, turns: int) -> None:
        """So many minutes of sending and reading back."""
        for _ in range(turns):
            asyncio.run(self.engine.dispatch())
            self.rig.clock.forward(60)

    def late_copy(self, says: str) -> None:
        """The first order that ever left arrives again."""
        assert self.rig.link.deliver("M1", self.rig.link.drives[0]).value == says

    def found(self) -> dict[str, Any]:
        """What can be told afterwards."""
        decisions = self.rig.find(Decision, account="A1", order="at")
        return {
            "drives": [drive.action for drive in self.rig.link.drives],
            "relay": self.rig.meter.relay.value,
            "states": [row.state.value for row in self.rig.commands()],
            "held_by": decisions[-1].reason if decisions and decisions[-1].verdict == "hold" else "",
            "orders": sorted(row.kind for row in self.rig.find(WorkOrder)),
            "incidents": sorted(row.kind for row in self.rig.find(Incident)),
        }
