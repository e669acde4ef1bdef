"""A command and an event go in and the next command comes out: the whole life of a relay order is the table below.

The rules, in prose:

* The happy path is requested -> authorised -> queued -> sent -> acknowledged -> verified. Only the relay's own word or
  load current (a read-back) verifies; an acknowledgement never does.
* ``unknown`` = sent, and no evidence yet. It is not an end: a read-back always resolves it, into verified, queued again
  (the relay did not move and the order is still valid) or expired (it did not move and the validity has passed).
* What has been sent cannot be cancelled and does not simply expire: past its validity without evidence it is unknown.
  Only what never left may be cancelled, or expire, at once.
* A time-out, or a crash of this host, turns sent and acknowledged into unknown: read back before any resend.
* ``unreachable`` says that nothing left this host: back to queued, safe to try again.
* A refusal is an end for a disconnection; for a reconnection bad time or an over-current hold is deferred, no end.
* Acknowledged, but the relay did not move: contradicted, drive again; after ``MAX_DRIVES`` drives it fails
  (relay fault), and a work order follows.
* A payment supersedes a live disconnect in every state; if anything was sent, a reconnect with the next fence follows.
* A read-back may verify a queued command: what it wants is already so.
* A disconnection that a person must approve waits for a day at most; its 45 minutes begin when it is authorised.
* Ends are final: verified, failed, expired, cancelled, superseded, refused know no event at all.
* A repeated acknowledgement, time-out or supersession in flight changes nothing that matters (duplicates are harmless).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from control.canonical import content_id
from control.errors import IllegalStep
from control.records import Action, Command, CommandState

MAX_DRIVES = 3  # acknowledged, yet the relay did not move: then it is stuck or welded
APPROVAL_S = 86_400  # a request that nobody approved within a day is void: the case has changed
BACKOFF_LIMIT_S = 900  # a reconnect is retried at least every 15 min
BACKOFF_FIRST_S = 15
VALID_S: Mapping[Action, int] = {Action.DISCONNECT: 45 * 60, Action.CONNECT: 7 * 86_400}
PRIORITY: Mapping[str, int] = {"connect": 0, "read": 1, "disconnect": 2}  # the lower goes first


class Event(StrEnum):
    """What can happen to a command."""

    AUTHORISE = "authorise"  # approvals are complete, or none are needed
    QUEUE = "queue"  # written to the outbox
    SEND = "send"  # fence raised and committed; the order leaves now
    ACKNOWLEDGE = "acknowledge"  # the device said that it obeyed
    VERIFY = "verify"  # a read-back shows what the command wants
    UNREACHABLE = "unreachable"  # nothing left this host
    TIME_OUT = "time_out"  # no answer, or this host crashed meanwhile
    RETRY = "retry"  # read back after unknown: the relay did not move, the order is still valid
    CONTRADICT = "contradict"  # acknowledged, but a read-back shows that the relay did not move
    LAPSE = "lapse"  # read back after unknown: the relay did not move, the validity has passed
    EXPIRE = "expire"  # valid_until passed
    CANCEL = "cancel"  # a person, or a guard that turned false, stops what has not left
    SUPERSEDE = "supersede"  # a later fact (payment, reversal) makes it void
    REFUSE = "refuse"  # the device said no, with a reason
    DEFER = "defer"  # the device said not now (bad time, over-current hold): put it right and drive again
    FAIL = "fail"  # the relay does not obey: relay fault


S, E = CommandState, Event
_NOT_SENT = {E.CANCEL: S.CANCELLED, E.SUPERSEDE: S.SUPERSEDED, E.EXPIRE: S.EXPIRED}
_IN_FLIGHT = {
    E.VERIFY: S.VERIFIED,
    E.TIME_OUT: S.UNKNOWN,
    E.EXPIRE: S.UNKNOWN,
    E.SUPERSEDE: S.SUPERSEDED,
    E.REFUSE: S.REFUSED,
    E.DEFER: S.QUEUED,
    E.FAIL: S.FAILED,
    E.ACKNOWLEDGE: S.ACKNOWLEDGED,
}

TRANSITIONS: Mapping[CommandState, Mapping[Event, CommandState]] = {
    S.REQUESTED: {E.AUTHORISE: S.AUTHORISED, **_NOT_SENT},
    S.AUTHORISED: {E.QUEUE: S.QUEUED, **_NOT_SENT},
    S.QUEUED: {E.SEND: S.SENT, E.VERIFY: S.VERIFIED, **_NOT_SENT},
    S.SENT: {E.UNREACHABLE: S.QUEUED, **_IN_FLIGHT},
    S.ACKNOWLEDGED: {E.CONTRADICT: S.QUEUED, **_IN_FLIGHT},
    S.UNKNOWN: {E.RETRY: S.QUEUED, E.LAPSE: S.EXPIRED, **_IN_FLIGHT},
    S.VERIFIED: {},
    S.FAILED: {},
    S.EXPIRED: {},
    S.CANCELLED: {},
    S.SUPERSEDED: {},
    S.REFUSED: {},
}
ENDS = frozenset(state for state, events in TRANSITIONS.items() if not events)
LIVE = frozenset(TRANSITIONS) - ENDS
LEFT = frozenset({S.SENT, S.ACKNOWLEDGED, S.UNKNOWN})  # something may be at the device


def step(command: Command, event: Event, at: datetime, **changes: Any) -> Command:
    """The command after ``event``; ``changes`` set more fields. IllegalStep for what the table does not know."""
    after = TRANSITIONS[command.state].get(event)
    if after is None:
        raise IllegalStep(command.command, command.state, event)
    stamped: dict[str, Any] = {"state": after, "updated": at}
    if event is E.SEND:
        stamped |= {"sent_at": at, "attempts": command.attempts + 1, "next_at": None}
    elif event is E.AUTHORISE and command.needs_approval:
        stamped |= {"valid_until": at + timedelta(seconds=VALID_S[command.action])}
    elif event is E.ACKNOWLEDGE and command.state is not S.ACKNOWLEDGED:
        stamped |= {"acknowledged_at": at, "drives": command.drives + 1}
    elif event is E.VERIFY:
        stamped |= {"verified_at": at}
    elif after is S.QUEUED and event is not E.QUEUE:
        stamped |= {"next_at": at + timedelta(seconds=backoff_s(command.attempts))}
    return replace(command, **(stamped | changes))


def allowed(state: CommandState, event: Event) -> bool:
    """Whether the table knows ``event`` in ``state``."""
    return event in TRANSITIONS[state]


def contradicted(command: Command) -> Event:
    """What an acknowledged command does when the relay did not move: drive again, or fail after ``MAX_DRIVES``."""
    return E.FAIL if command.drives >= MAX_DRIVES else E.CONTRADICT


def unmoved(command: Command, now: datetime) -> Event:
    """What an unknown command does when a read-back shows that the relay did not move."""
    return E.LAPSE if now >= command.valid_until else E.RETRY


def backoff_s(attempts: int) -> int:
    """Seconds before the next attempt: 15, 30, 60 ... never more than 15 min."""
    return min(BACKOFF_LIMIT_S, BACKOFF_FIRST_S << min(max(attempts, 1) - 1, 10))


def make(
    action: Action,
    *,
    account: str,
    meter: str,
    fence: int,
    at: datetime,
    decision: str,
    policy_version: str,
    reason: str,
    valid_s: int = 0,
    needs_approval: bool = False,
    requester: str = "engine",
    clock_started: datetime | None = None,
) -> Command:
    """A requested command; its id is derived from its content, so asking twice for the same gives the same command.

    ``fence`` rises per meter. ``valid_s`` shortens the validity: a disconnection is never valid for more than 45 min,
    counted from its authorisation where a person must approve.
    """
    limit = APPROVAL_S if needs_approval else VALID_S[action]
    return Command(
        command=content_id("c", account, meter, action, fence, decision, reason),
        account=account,
        meter=meter,
        action=action,
        fence=fence,
        state=S.REQUESTED,
        valid_until=at + timedelta(seconds=min(valid_s, limit) if valid_s else limit),
        reason=reason,
        decision=decision,
        policy_version=policy_version,
        priority=PRIORITY[action],
        requested=at,
        updated=at,
        needs_approval=needs_approval,
        requester=requester,
        clock_started=clock_started,
    )


def diagram(form: str = "mermaid") -> str:
    """The table as a drawing: ``mermaid`` (documents) or ``dot`` (Graphviz); edges with the same ends share a line."""
    edges: dict[tuple[str, str], list[str]] = {}
    for state, events in TRANSITIONS.items():
        for event, after in events.items():
            edges.setdefault((state.value, after.value), []).append(event.value)
    if form == "dot":
        lines = [f'  {a} -> {b} [label="{", ".join(names)}"];' for (a, b), names in edges.items()]
        return "\n".join(["digraph command {", "  rankdir=LR;", *lines, "}"]) + "\n"
    lines = [f"    {a} --> {b}: {', '.join(names)}" for (a, b), names in edges.items()]
    starts = ["    [*] --> requested", *(f"    {state.value} --> [*]" for state in TRANSITIONS if state in ENDS)]
    return "\n".join(["stateDiagram-v2", starts[0], *lines, *starts[1:]]) + "\n"
