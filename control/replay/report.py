"""The replay's store goes in after each step, what happened since the last one comes out as events, each once.

Events: read, alert, notice, payment, disconnect, reconnect, balance, held. Money and energy are decimal strings.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from control.records import Action, Command, CommandState, Decision, Notice
from storage.records import AccountState
from storage.unit import Reader
from tariff import money

MICRO, MILLI = 6, 3
AXES = ("money", "kwh", "share", "hours")
Row = Mapping[str, Any]
_SLACK = timedelta(minutes=5)  # time that passes inside a step


def amount(micro: int) -> str:
    """Micro-units as a decimal string."""
    return money.text(micro, MICRO)


def kwh(wh: int) -> str:
    """Wh as a decimal string of kWh."""
    return money.text(wh, MILLI)


@dataclass(slots=True)
class Report:
    """What was told already; ``counts`` by event for the summary."""

    counts: Counter[str] = field(default_factory=Counter)
    _alerts: set[tuple[str, int, str]] = field(default_factory=set)
    _notices: dict[str, str] = field(default_factory=dict)
    _commands: set[str] = field(default_factory=set)
    _held: dict[str, str] = field(default_factory=dict)
    _judged: set[str] = field(default_factory=set)
    _money: dict[str, tuple[int, int]] = field(default_factory=dict)

    def row(self, at: datetime, account: str, name: str, **more: Any) -> Row:
        """One event, counted."""
        self.counts[name] += 1
        return {"at": at, "account": account, "event": name, **more}

    def since(self, reader: Reader, since: datetime, *, balances: bool) -> list[Row]:
        """Everything new after ``since``, in order of time; ``balances`` too where they changed."""
        after = since - _SLACK
        found = [*self._messages(reader, after), *self._standing(reader, after), *self._switched(reader, after)]
        if balances:
            found += self._balances(reader)
        return sorted(found, key=lambda row: (row["at"], row["account"]))

    def _messages(self, reader: Reader, after: datetime) -> list[Row]:
        found = []
        for row in reader.find(Notice, created__ge=after, order="created"):
            axis, _, rung = row.rung.partition(".")
            if axis in AXES and (key := (row.account, row.epoch, row.rung)) not in self._alerts:
                self._alerts.add(key)
                found.append(self.row(row.created, row.account, "alert", axis=axis, rung=rung, **_params(row)))
        for row in reader.find(Notice, delivered_at__ge=after, order="delivered_at"):
            if row.state == "delivered" and row.notice not in self._notices and row.delivered_at is not None:
                self._notices[row.notice] = row.state
                more = {"rung": row.rung, "recipient": row.recipient, "code": row.code, "text": row.text}
                found.append(self.row(row.delivered_at, row.account, "notice", **more))
        return found

    def _switched(self, reader: Reader, after: datetime) -> list[Row]:
        found = []
        for row in reader.find(Command, verified_at__ge=after, state=CommandState.VERIFIED, order="verified_at"):
            if row.command in self._commands or row.verified_at is None:
                continue
            self._commands.add(row.command)
            name = "disconnect" if row.action is Action.DISCONNECT else "reconnect"
            more = {"meter": row.meter, "reason": row.reason, "decision": row.decision, "command": row.command}
            found.append(self.row(row.verified_at, row.account, name, **more))
        return found

    def _standing(self, reader: Reader, after: datetime) -> list[Row]:
        """Whoever would be cut and is held back, when the reason changes."""
        found = []
        for row in reader.find(Decision, at__ge=after, order="at"):
            if row.decision in self._judged:
                continue
            self._judged.add(row.decision)
            if row.verdict != "hold":
                if row.verdict != "alert":
                    self._held.pop(row.account, None)
                continue
            if self._held.get(row.account) == row.reason:
                continue
            self._held[row.account] = row.reason
            guards = [guard.name for guard in row.guards if not guard.value]
            more = {"reason": row.reason, "guards": guards, "available": amount(row.available_micro)}
            found.append(self.row(row.at, row.account, "held", decision=row.decision, **more))
        return found

    def _balances(self, reader: Reader) -> list[Row]:
        posted = reader.balances("customer:")
        found = []
        for state in reader.find(AccountState, order="account"):
            had = posted.get(f"customer:{state.account}", posted.get(state.account, 0))
            now = (had, state.accrued_micro)
            if self._money.get(state.account) == now or state.accrued_to is None:
                continue
            self._money[state.account] = now
            more = {"posted": amount(had), "accrued": amount(now[1]), "available": amount(had - now[1])}
            found.append(self.row(state.accrued_to, state.account, "balance", **more))
        return found


def _params(row: Notice) -> dict[str, str]:
    """What the notice told, under names that no event uses."""
    return {name: value for name, value in row.params.items() if name not in ("at", "account", "event", "axis", "rung")}
