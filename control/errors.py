"""The tree of control's errors.

ControlError
├── PolicyError       a policy file is wrong: file, line, key, what to write instead
├── IllegalStep       an event that a command's state does not know; names state and event
├── PaymentsError     a payments file of a replay is wrong: file, line, what to write
├── CanonicalError    text that is not the canonical form of the record it should be
└── OutOfDate         an order that was about to leave is void; nothing was sent
"""


class ControlError(Exception):
    """Root of control's errors."""


class PolicyError(ControlError):
    """A policy file says something that is not understood, or contradicts itself."""

    def __init__(self, file: str, line: int, problem: str, hint: str = "") -> None:
        """Name the place, the problem and what to try."""
        super().__init__(f"{file}:{line}: {problem}" + (f"; try: {hint}" if hint else ""))
        self.file = file
        self.line = line
        self.problem = problem
        self.hint = hint


class IllegalStep(ControlError):
    """A command in ``state`` knows no ``event``: the table has no such entry, and ends are final."""

    def __init__(self, command: str, state: str, event: str) -> None:
        """Name command, state and event."""
        super().__init__(f"command {command}: {event} is not a step from {state}; re-read the command and decide again")
        self.state = state
        self.event = event


class PaymentsError(ControlError):
    """A payments file of a replay that cannot be used; the message says file, line and what to write."""


class CanonicalError(ControlError):
    """A stored record cannot be read back: another shape, or a value of another type."""


class OutOfDate(ControlError):
    """An order that was about to leave is void: its command has ended, or the kill switch was pulled meanwhile."""

    def __init__(self, meter: str, fence: int, why: str) -> None:
        """Name meter and fence, and what ended it."""
        super().__init__(f"meter {meter}: the order with fence {fence} is void ({why}); nothing was sent")
