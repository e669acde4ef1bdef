"""A snapshot of the store goes in, every broken promise comes out: the S and L rules, checked on what is committed.

Runs in production as it does after each step of the simulator. ``since`` limits the journals that are looked through;
None looks through all of them. No check here trusts the code that it checks: it reads rows and compares.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from control import commands, cuts, journal
from control.commands import Event
from control.policy import Policy
from control.records import (
    Action,
    Allocated,
    Command,
    CommandEvent,
    CommandState,
    Evidence,
    Fence,
    Hold,
    Incident,
    Notice,
    Wanted,
    WorkOrder,
)
from control.settings import Settings
from control.signals import KILL_SWITCH, Signal
from control.violations import View, Violation
from control.workorders import OPEN_STATES
from ingest.records import MeterPoint, RelayState
from storage import audit, ledger
from storage.records import AuditRow, Install, Payment, Posting
from storage.unit import Reader

GRACE = timedelta(minutes=15)  # between a clock running out and the sweep that must have seen it
RESTARTED = timedelta(hours=2)  # an unknown or a notice that nobody touched for so long is forgotten


def check(
    reader: Reader, now: datetime, limits: Settings, *, since: datetime | None = None, policies: Iterable[Policy] = ()
) -> list[Violation]:
    """Every violation visible at ``now``, in order of rule; records made under ``policies`` are judged again."""
    seen = View(reader, now, since or datetime(1970, 1, 1), limits, {policy.id: policy for policy in policies})
    return [violation for rule in CHECKS.values() for violation in rule(seen)]


def s1_money(seen: View) -> Iterator[Violation]:
    """Money is conserved: the ledger sums to zero, a payment posts once, a reversal is at most its original."""
    if seen.reader.ledger_sum():
        yield seen.broken("S1", "", f"the ledger sums to {seen.reader.ledger_sum()} micro")
    for row in seen.reader.find(Payment, received__ge=seen.since, order=("channel", "external_id")):
        legs = {leg.source: leg for leg in _legs(seen.reader, row)}
        posted, back = legs.get(f"payment:{row.channel}"), legs.get(f"reversal:{row.channel}")
        if (posted is not None) != (row.status == "posted" or row.reason.startswith("reversed_micro=")):
            yield seen.broken(
                "S1", row.account, f"payment {row.external_id} is {row.status}, posted: {posted is not None}"
            )
        if back is not None and (posted is None or -back.amount_micro > posted.amount_micro):
            yield seen.broken("S1", row.account, f"reversal of {row.external_id} is more than its original")


def _legs(reader: Reader, row: Payment) -> list[Posting]:
    found = []
    for source in (f"payment:{row.channel}", f"reversal:{row.channel}"):
        key = f"customer:{row.account}"
        leg = reader.get(Posting, source, row.external_id, key)
        found += [leg] if leg is not None else []
    return found


def s2_fold(seen: View) -> Iterator[Violation]:
    """Balances are the fold of their postings."""
    for fault in ledger.check(seen.reader.connection):
        yield seen.broken("S2", "", fault)


def s4_fence(seen: View) -> Iterator[Violation]:
    """Nothing leaves expired or above the durable fence; a fence belongs to one command of its meter."""
    for row in seen.reader.find(CommandEvent, event=Event.SEND.value, at__ge=seen.since):
        command = seen.reader.get(Command, row.command)
        if command is None:
            continue
        fence = seen.reader.get(Fence, command.meter)
        if fence is None or fence.fence < command.fence:
            yield seen.broken("S4", command.account, f"{command.command} left with fence {command.fence}, not durable")
        if row.at >= command.valid_until:
            yield seen.broken(
                "S4", command.account, f"{command.command} left at {row.at}, valid until {command.valid_until}"
            )
    seen_fences: dict[tuple[str, int], str] = {}
    for command in seen.reader.find(Command, requested__ge=seen.since, order=("meter", "fence")):
        other = seen_fences.setdefault((command.meter, command.fence), command.command)
        if other != command.command:
            yield seen.broken("S4", command.account, f"{other} and {command.command} share fence {command.fence}")


def s5_lives(seen: View) -> Iterator[Violation]:
    """One live command per meter; every step is one of the table's, so that ends are final."""
    by_meter: dict[str, str] = {}
    for command in journal.live(seen.reader):
        other = by_meter.setdefault(command.meter, command.command)
        if other != command.command:
            yield seen.broken("S5", command.account, f"{other} and {command.command} are both live on {command.meter}")
    for row in seen.reader.find(CommandEvent, at__ge=seen.since):
        if row.before == row.after or not row.before:
            continue
        table = commands.TRANSITIONS[CommandState(row.before)]
        if row.event not in set(Event) or table.get(Event(row.event)) != row.after:
            yield seen.broken(
                "S5", "", f"{row.command}: {row.before} -{row.event}-> {row.after} is no step of the table"
            )


def s6_protected(seen: View) -> Iterator[Violation]:
    """Nothing left against whoever was held at that moment."""
    for row, command in seen.sends():
        for hold in seen.reader.find(Hold, account__in=["", command.account], start__lt=row.at):
            if hold.end is None or hold.end > row.at:
                yield seen.broken(
                    "S6", command.account, f"{command.command} left against hold {hold.hold} ({hold.kind})"
                )


def s7_races(seen: View) -> Iterator[Violation]:
    """A disconnection that had left before a payment has a reconnect behind it, and an incident."""
    for row in seen.reader.find(CommandEvent, event=Event.SUPERSEDE.value, detail="payment", at__ge=seen.since):
        command = seen.reader.get(Command, row.command)
        if command is None or command.action is not Action.DISCONNECT or row.before not in journal.LEFT_STATES:
            continue
        later = seen.reader.count(Command, meter=command.meter, action=Action.CONNECT, fence__gt=command.fence)
        filed = seen.reader.count(Incident, command=command.command, kind="disconnect_raced_payment")
        if not later or not filed:
            yield seen.broken("S7", command.account, f"{command.command}: reconnects {later}, incidents {filed}")


def s9_once(seen: View) -> Iterator[Violation]:
    """One alert per epoch, rung and recipient."""
    told: dict[tuple[str, int, str, str], str] = {}
    for row in seen.reader.find(Notice, created__ge=seen.since, order=("created", "notice")):
        other = told.setdefault((row.account, row.epoch, row.rung, row.recipient), row.notice)
        if other != row.notice:
            yield seen.broken("S9", row.account, f"{row.rung} to {row.recipient} twice in epoch {row.epoch}")


def s10_kill_switch(seen: View) -> Iterator[Violation]:
    """The kill switch stops what has not left."""
    kill = seen.reader.get(Signal, KILL_SWITCH)
    if kill is not None and kill.value == "on":
        for row, command in seen.sends():
            if row.at > kill.at:
                yield seen.broken("S10", command.account, f"{command.command} left with the kill switch pulled")


def s11_audit(seen: View) -> Iterator[Violation]:
    """The audit chain verifies, and nobody approved what they asked for."""
    first = seen.reader.find(AuditRow, at__lt=seen.since, order="-seq", limit=1)
    start = first[0].seq if first else 0
    for fault in audit.check(seen.reader.find(AuditRow, seq__ge=start, order="seq"), whole=not first):
        yield seen.broken("S11", "", fault)
    for command in seen.reader.find(Command, requested__ge=seen.since):
        if command.requester in command.approvals:
            yield seen.broken("S11", command.account, f"{command.command} was approved by who asked for it")


def l1_paid(seen: View) -> Iterator[Violation]:
    """A reconnection past its clock has a crew; an opening that nobody wants has a command."""
    limit = timedelta(seconds=seen.limits.crew_after_s) + GRACE
    for command in journal.live(seen.reader, action=Action.CONNECT):
        if command.clock_started is not None and seen.now - command.clock_started > limit and not _crew(seen, command):
            yield seen.broken("L1", command.account, f"{command.command}: {seen.now - command.clock_started}, no crew")
    for command in seen.reader.find(
        Command, action=Action.CONNECT, state__in=["failed", "refused"], updated__ge=seen.since
    ):
        known = seen.reader.get(Evidence, command.meter)
        still = known is not None and known.state is RelayState.OPEN and known.at <= command.updated
        if still and not _crew(seen, command) and seen.now - command.updated > GRACE:
            yield seen.broken("L1", command.account, f"{command.command} {command.state.value}, dark, no crew")


def _crew(seen: View, command: Command) -> bool:
    """A live order for this account, or one for its gateway."""
    live = list(OPEN_STATES)
    if seen.reader.count(WorkOrder, account=command.account, state__in=live, kind__in=["reconnect", "relay_fault"]):
        return True
    points = seen.reader.find(MeterPoint, meter=command.meter)
    return bool(points) and bool(seen.reader.count(WorkOrder, account="", meter=points[0].gateway, state__in=live))


def l2_known(seen: View) -> Iterator[Violation]:
    """What is open though we want it on is being worked on."""
    for known in seen.reader.find(Evidence, state=RelayState.OPEN, at__lt=seen.now - GRACE):
        for install in seen.reader.find(Install, meter=known.meter, end__null=True):
            wanted = seen.reader.get(Wanted, install.account)
            on = wanted is not None and wanted.service in ("connected", "held")
            if on and not journal.live(seen.reader, meter=known.meter) and not _order(seen, install.account):
                yield seen.broken("L2", install.account, f"{known.meter} is open, wanted on, and nobody works on it")


def _order(seen: View, account: str) -> bool:
    return bool(seen.reader.count(WorkOrder, account=account, state__in=list(OPEN_STATES)))


def l3_unknown(seen: View) -> Iterator[Violation]:
    """Every unknown is looked at again."""
    for command in journal.live(seen.reader, state=CommandState.UNKNOWN):
        if seen.now - max(command.updated, command.next_at or command.updated) > RESTARTED:
            yield seen.broken("L3", command.account, f"{command.command} unknown, untouched since {command.updated}")


def l5_outbox(seen: View) -> Iterator[Violation]:
    """No notice waits forgotten."""
    for row in seen.reader.find(Notice, state="queued", created__lt=seen.now - RESTARTED):
        due = max(at for at in (row.created, row.not_before, row.next_at) if at is not None)
        if seen.now - due > RESTARTED:
            yield seen.broken("L5", row.account, f"notice {row.notice} due since {due}")


def s12_allocation(seen: View) -> Iterator[Violation]:
    """Each payment of an account with debt went where the order says, and its postings say the same."""
    for row in seen.reader.find(Allocated, at__ge=seen.since, order=("channel", "external_id")):
        share = row.amount_micro * row.share_percent // 100
        room = max(row.cap_week_micro - row.week_micro, 0)
        limits = (
            0 if row.friendly else min(share, row.owed_debt_micro, room),
            0 if row.friendly else row.owed_accumulated_micro,
            row.to_threshold_micro,
            row.emergency_used_micro,
            row.amount_micro,
        )
        left, want = row.amount_micro, []
        for limit in limits:
            want.append(min(left, limit))
            left -= want[-1]
        kept = (row.debt_micro, row.accumulated_micro, row.threshold_micro, row.emergency_micro, row.credit_micro)
        if tuple(want) != kept:
            yield seen.broken("S12", row.account, f"{row.external_id} went {kept}, the order says {tuple(want)}")
        source = f"allocation:{row.channel}"
        for name, amount in (("debt", row.debt_micro), ("accumulated", row.accumulated_micro)):
            leg = seen.reader.get(Posting, source, row.external_id, f"{name}:{row.account}")
            if (leg.amount_micro if leg else 0) != amount:
                yield seen.broken("S12", row.account, f"{row.external_id}: {amount} micro for {name} are not posted")


CHECKS: Mapping[str, Callable[[View], Iterator[Violation]]] = {
    "S1": s1_money,
    "S2": s2_fold,
    "S3": cuts.s3_guards,
    "S4": s4_fence,
    "S5": s5_lives,
    "S6": s6_protected,
    "S7": s7_races,
    "S8": cuts.s8_estimates,
    "S9": s9_once,
    "S10": s10_kill_switch,
    "S11": s11_audit,
    "S12": s12_allocation,
    "L1": l1_paid,
    "L2": l2_known,
    "L3": l3_unknown,
    "L5": l5_outbox,
}
"""Rule by id. L4 needs a history: ``control/cuts.py`` keeps it."""
