"""A snapshot, a time and limits go in together as a View; what a check finds comes out as a Violation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from control.commands import Event
from control.policy import Policy
from control.records import Action, Command, CommandEvent
from control.settings import Settings
from storage.unit import Reader


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise: the rule's id, whose it is, and what was seen."""

    id: str
    at: datetime
    account: str
    detail: str


@dataclass(frozen=True, slots=True)
class View:
    """What the checks look at."""

    reader: Reader
    now: datetime
    since: datetime
    limits: Settings
    policies: Mapping[str, Policy] = field(default_factory=dict)  # by id: to judge records again

    def broken(self, rule: str, account: str, detail: str) -> Violation:
        """A violation seen now."""
        return Violation(rule, self.now, account, detail)

    def sends(self) -> Iterator[tuple[CommandEvent, Command]]:
        """Every disconnection that left since ``since``, with its command."""
        for row in self.reader.find(CommandEvent, event=Event.SEND.value, at__ge=self.since, order=("at", "command")):
            command = self.reader.get(Command, row.command)
            if command is not None and command.action is Action.DISCONNECT:
                yield row, command
