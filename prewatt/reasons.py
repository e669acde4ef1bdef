"""An account and a time go in, the decision then in force comes out with its inputs and guards, derived anew."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from control.errors import CanonicalError, PolicyError
from control.explain import rederive
from control.records import Decision
from prewatt.errors import ShellError
from prewatt.listing import decision_row, guards_of
from prewatt.lookup import config_of, known
from prewatt.remembering import policy_of
from prewatt.wiring import reading
from storage.unit import Reader


def explained(option: Path | None, account: str, at: datetime | None) -> dict[str, Any]:
    """The last decision on ``account`` at or before ``at`` (None: the last of all)."""
    with reading(config_of(option)) as shell:
        return shell.store.read(lambda reader: explained_in(reader, account, at))


def explained_in(reader: Reader, account: str, at: datetime | None) -> dict[str, Any]:
    """The same on a snapshot at hand."""
    known(reader, account)
    conditions: dict[str, Any] = {"at__le": at} if at else {}
    found = reader.find(Decision, account=account, order=("-at", "-decision"), limit=1, **conditions)
    if not found:
        raise ShellError(f"nothing was decided on {account} by then", attempt=f"prewatt accounts show {account}")
    decision = found[0]
    wrong = contradicted(reader, decision)
    return {
        "decision": decision_row(decision),
        "inputs": _inputs(decision),
        "guards": guards_of(decision.guards),
        "rederived": not wrong,
        "wrong": wrong,
    }


def contradicted(reader: Reader, decision: Decision) -> str:
    """Why a decision on record does not follow from its own case and the policy of then; "" when it does."""
    try:
        policy = policy_of(reader, decision.policy_version)
        made = rederive(decision, policy)
    except (CanonicalError, PolicyError, ShellError) as error:
        return str(error)
    for name in ("decision", "verdict", "reason", "credit", "available_micro", "guards", "account", "at", "case"):
        if getattr(made, name) != getattr(decision, name):
            return f"its {name} is not what its case leads to"
    return ""


def _inputs(decision: Decision) -> Any:
    """The case as values; what is no JSON any more is shown as it is."""
    try:
        return json.loads(decision.case)
    except ValueError:
        return decision.case
