"""What rules say of one case goes in and one verdict comes out: coming back on first, and hold beats disconnect.

A rule is one file of ``control/policies``: a constant ``RULE`` with a name and one pure function from View to Verdict
or None. Rules do not know each other; which of their verdicts wins is said here, once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from control import credit, guards, reconnect
from control.policy import Policy
from control.records import Case, Credit, Guard, Service
from ingest.plugins import load

CONNECT, FIELD_ORDER, HOLD, READ_BACK = "connect", "field_order", "hold", "read_back"
REQUEST_APPROVAL, DISCONNECT, ALERT, NONE = "request_approval", "disconnect", "alert", "none"
SHADOW = "shadow"  # what the rules want is on record, and nothing leaves: its reason is ``verdict.reason``
ORDER = (CONNECT, FIELD_ORDER, READ_BACK, HOLD, REQUEST_APPROVAL, DISCONNECT, ALERT, NONE)


@dataclass(frozen=True, slots=True)
class View:
    """One case as the rules see it: every guard evaluated once."""

    case: Case
    policy: Policy
    credit: Credit
    available_micro: int
    guards: Mapping[str, Guard]  # G1 to G13
    returns: Mapping[str, Guard]  # RG1 to RG4

    def all_but(self, *names: str) -> bool:
        """Whether every disconnect guard other than ``names`` is true."""
        return all(guard.value for name, guard in self.guards.items() if name not in names)

    def first_false(self, *names: str) -> str:
        """The first false disconnect guard other than ``names``, "" if there is none."""
        return next((name for name, guard in self.guards.items() if not guard.value and name not in names), "")

    @property
    def below(self) -> bool:
        """G1: what disconnection begins with."""
        return self.guards["G1"].value

    @property
    def entitled(self) -> bool:
        """Whether supply is paid for: to the connection balance after a disconnection, else to the line of G1."""
        was_off = self.case.service in (Service.DISCONNECTED, Service.ARMED_FOR_CONNECTION)
        line = self.policy.connection_balance_micro if was_off else self.policy.disconnection_balance_micro
        return self.available_micro >= line


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule wants, and the stable code of why."""

    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of control: ``judge`` returns its verdict or None where it has nothing to say."""

    name: str
    judge: Callable[[View], Verdict | None]


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule by name; two of one name are an error."""
    return load("control.policies", "RULE", Rule, group="prewatt.policies")


def view(case: Case, policy: Policy, at_send: bool = False) -> View:
    """Evaluate every guard of ``case`` once."""
    return View(
        case=case,
        policy=policy,
        credit=credit.status(case, policy),
        available_micro=credit.available(case),
        guards={guard.name: guard for guard in guards.evaluate(case, policy, at_send)},
        returns={guard.name: guard for guard in reconnect.evaluate(case, at_send)},
    )


def combine(verdicts: Mapping[str, Verdict]) -> Verdict:
    """The verdict that stands first in ``ORDER``; of equals, that of the rule whose name sorts first."""
    ranked = sorted(verdicts.items(), key=lambda item: (ORDER.index(item[1].verdict), item[0]))
    return ranked[0][1] if ranked else Verdict(NONE, "nothing_to_do")
