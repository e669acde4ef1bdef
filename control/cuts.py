"""Disconnections that left, and those that should have, go in; what was wrong with them comes out: S3, S8 and L4.

The record of a send is judged by itself: by its booleans, by what its case says in plain numbers, and, where the policy
of then is at hand, by evaluating every guard anew.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from control import assemble, credit, guards, journal, quota
from control.assemble import World
from control.canonical import loads
from control.errors import CanonicalError
from control.records import Action, Case, Command, Decision
from control.violations import View, Violation
from ingest.records import NOT_ACTUAL, RelayState
from storage.unit import Reader

GUARDS = 13
WINDOW = timedelta(hours=6)  # a whole window of disconnection


def s3_guards(seen: View) -> Iterator[Violation]:
    """Nothing left to disconnect while a guard was false in the record of its send, and the record alone says so."""
    for row, command in seen.sends():
        record = seen.reader.get(Decision, row.detail)
        if record is None:
            yield seen.broken("S3", command.account, f"{command.command} left without a record of its guards")
            continue
        judged = [guard for guard in record.guards if guard.name[0] == "G"]
        false = [guard.name for guard in judged if not guard.value]
        if false or len(judged) < GUARDS:
            yield seen.broken("S3", command.account, f"{command.command} left while {', '.join(false) or 'unjudged'}")
        why = _not_derived(seen, record)
        if why:
            yield seen.broken("S3", command.account, f"{command.command}: {why}")


def _not_derived(seen: View, record: Decision) -> str:
    """Why the record does not re-derive its own guards, "" = it does."""
    try:
        case = loads(Case, record.case)
    except CanonicalError as error:
        return f"its record cannot be read: {error}"
    if not case.at_send:
        return "its record was not judged at the send"
    policy = seen.policies.get(record.policy_version)
    judged = tuple(guard for guard in record.guards if guard.name[0] == "G")
    if policy is not None and guards.evaluate(case, policy, True) != judged:
        return "its record does not re-derive its guards"
    return ""


def s8_estimates(seen: View) -> Iterator[Violation]:
    """An estimate cuts nobody: what was owed is posted minus accrued, on an actual read, whatever was estimated."""
    for row, command in seen.sends():
        record = seen.reader.get(Decision, row.detail)
        case = _case(record)
        if record is None or case is None:
            continue  # S3 says so
        if case.read_flags & NOT_ACTUAL:
            yield seen.broken("S8", command.account, f"{command.command} left on a read flagged {case.read_flags}")
        if case.mode != credit.POSTPAID and record.available_micro != case.posted_micro - case.accrued_micro:
            yield seen.broken("S8", command.account, f"{command.command} left on {record.available_micro} estimated")
        if case.mode != credit.POSTPAID and (case.accrued_to is None or case.accrued_to > row.at):
            yield seen.broken("S8", command.account, f"{command.command} left on nothing rated, or on the future")


def _case(record: Decision | None) -> Case | None:
    try:
        return loads(Case, record.case) if record is not None else None
    except CanonicalError:
        return None


def l4_never_cut(
    reader: Reader,
    world: World,
    ready: dict[str, datetime],
    *,
    window: timedelta = WINDOW,
    accounts: Collection[str] | None = None,
) -> list[Violation]:
    """Who met every guard for a whole window was asked about, attempted or quarantined: "never cut" is no safety.

    ``ready`` is the caller's memory between looks: since when each account has met all guards but the approval.
    ``accounts``: only these can have met them (None: anybody).
    """
    cases = assemble.cases(reader, sorted(accounts) if accounts is not None else None, world)
    for name in [name for name in ready if name not in cases]:
        del ready[name]
    found = []
    for name, case in cases.items():
        policy = world.policies[case.klass]
        false = {guard.name for guard in guards.evaluate(case, policy) if not guard.value}
        if false - {"G10"} or case.relay is not RelayState.CLOSED or not policy.remote or case.live_command:
            ready.pop(name, None)
            continue
        since = ready.setdefault(name, world.now)
        if world.now - since < window or _tried(reader, name, case.meter, since, world):
            continue
        found.append(Violation("L4", world.now, name, f"every guard true since {since.isoformat()}Z, nobody cut it"))
    return found


def _tried(reader: Reader, account: str, meter: str, since: datetime, world: World) -> bool:
    """Whether a disconnection was asked for since then, another command stands in the way, or the breaker is full."""
    if reader.count(Command, account=account, action=Action.DISCONNECT, requested__ge=since):
        return True
    if journal.live(reader, meter=meter):
        return True
    return bool(quota.held_back(reader, account, world))
