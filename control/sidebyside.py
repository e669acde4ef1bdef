"""A class in shadow goes in; what prewatt would have done, set beside what people did, comes out, account by account.

Ours are decisions with the verdict ``shadow``; theirs are changes of the relay that no command of ours made. A pair is
one opening (or one return) of the same account within ``WINDOW``; of the others the report says what stood against it:
for an opening that only people made, the guard that held us then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from control.commands import ENDS
from control.records import Action, Command, Decision
from control.verdicts import CONNECT, SHADOW
from ingest.records import RelayState
from storage.records import Account, Event, Install
from storage.unit import Reader

WINDOW = timedelta(hours=72)
"""People's opening and ours are one story when they lie within this of each other."""
CUTTING = ("disconnect", "request_approval")
AFTER_OURS = timedelta(minutes=30)
"""A change of the relay so soon after a command of ours to that meter is its effect."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One opening or return: when we would have, when people did, and why. None: did not."""

    account: str
    action: str  # disconnect | connect
    ours: datetime | None
    theirs: datetime | None
    why: str  # the decision's reason, or the guard that held us

    @property
    def lead_h(self) -> float | None:
        """How many hours before people we would have acted; below zero: after them."""
        if self.ours is None or self.theirs is None:
            return None
        return (self.theirs - self.ours) / timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every pair of a class in [start, end), in order of account and time."""

    klass: str
    start: datetime
    end: datetime
    accounts: int
    pairs: tuple[Pair, ...]

    def counts(self, action: str) -> dict[str, int | str | None]:
        """How often both acted, only we, only they; and the median lead."""
        rows = [pair for pair in self.pairs if pair.action == action]
        leads = [pair.lead_h for pair in rows if pair.lead_h is not None]
        return {
            "both": len(leads),
            "only_ours": sum(pair.theirs is None for pair in rows),
            "only_theirs": sum(pair.ours is None for pair in rows),
            "median_lead_h": f"{median(leads):.1f}" if leads else None,
        }


def compare(reader: Reader, klass: str, start: datetime, end: datetime) -> Comparison:
    """Ours beside theirs for every account of ``klass``."""
    names = [row.account for row in reader.find(Account, klass=klass, order="account")]
    ours = _by_account(reader, names, start, end)
    theirs = _changes(reader, set(names), start, end)
    pairs: list[Pair] = []
    for name in names:
        decided = ours.get(name, [])
        for action, state in ((Action.DISCONNECT, RelayState.OPEN), (Action.CONNECT, RelayState.CLOSED)):
            wanted = _wishes(decided, action)
            done = [at for at, after in theirs.get(name, []) if after == state]
            pairs += _paired(name, action, wanted, done, decided)
    return Comparison(klass, start, end, len(names), tuple(pairs))


def _by_account(reader: Reader, names: list[str], start: datetime, end: datetime) -> dict[str, list[Decision]]:
    found: dict[str, list[Decision]] = {}
    for row in reader.find(Decision, at__ge=start, at__lt=end, order=("account", "at")):
        found.setdefault(row.account, []).append(row)
    return {name: found[name] for name in names if name in found}


def _wishes(decided: list[Decision], action: Action) -> list[Decision]:
    """The decisions of the shadow that would have turned the relay; an opening of theirs that we would undo is none."""
    verdicts = CUTTING if action is Action.DISCONNECT else (CONNECT,)
    return [
        row
        for row in decided
        if row.verdict == SHADOW and row.reason.partition(".")[0] in verdicts and not row.reason.endswith("not_ordered")
    ]


def _changes(reader: Reader, names: set[str], start: datetime, end: datetime) -> dict[str, list[tuple[datetime, str]]]:
    """Relay changes by account that none of our commands made: (time, state after)."""
    installs: dict[str, list[Install]] = {}
    for row in reader.find(Install, order="start"):
        installs.setdefault(row.meter, []).append(row)
    ours: dict[str, list[Command]] = {}
    for command in reader.find(Command, attempts__gt=0):
        ours.setdefault(command.meter, []).append(command)
    found: dict[str, list[tuple[datetime, str]]] = {}
    for event in reader.find(Event, code="relay", at__ge=start, at__lt=end, order="at"):
        meter, after = event.params.get("meter", ""), event.params.get("after", "")
        here = [i for i in installs.get(meter, []) if i.start <= event.at and (i.end is None or event.at < i.end)]
        if not here or here[-1].account not in names or any(_made(c, after, event.at) for c in ours.get(meter, [])):
            continue
        if event.params.get("before") == RelayState.UNKNOWN and after == RelayState.CLOSED:
            continue  # the first look at a relay that was on all the time
        found.setdefault(here[-1].account, []).append((event.at, after))
    return found


def _made(command: Command, after: str, at: datetime) -> bool:
    """Whether a change may be this command's effect."""
    state = RelayState.OPEN if command.action is Action.DISCONNECT else RelayState.CLOSED
    ended = command.updated if command.state in ENDS else at
    return after == state and command.sent_at is not None and command.sent_at <= at <= ended + AFTER_OURS


def _paired(
    account: str, action: Action, wanted: list[Decision], done: list[datetime], decided: list[Decision]
) -> list[Pair]:
    """Each wish with the nearest deed within the window; wishes of one story count once."""
    pairs: list[Pair] = []
    free = list(done)
    last: datetime | None = None
    for wish in wanted:
        if last is not None and wish.at - last < WINDOW and not any(last <= at <= wish.at for at in done):
            continue  # still the same wish: a guard held it back for an hour in between
        last = wish.at
        near = min(free, key=lambda at, wish=wish: abs(at - wish.at), default=None)  # type: ignore[misc]
        if near is not None and abs(near - wish.at) <= WINDOW:
            free.remove(near)
            pairs.append(Pair(account, action.value, wish.at, near, wish.reason))
        else:
            pairs.append(Pair(account, action.value, wish.at, None, wish.reason))
    pairs += [Pair(account, action.value, None, at, _held(decided, at)) for at in free]
    return sorted(pairs, key=lambda pair: pair.ours or pair.theirs or datetime.min)


def _held(decided: list[Decision], at: datetime) -> str:
    """What we last thought of the account before people acted."""
    before = [row for row in decided if row.at <= at]
    return f"{before[-1].verdict}.{before[-1].reason}" if before else "nothing_decided"


def as_rows(found: Comparison) -> list[Mapping[str, object]]:
    """The pairs as plain values."""
    return [
        {
            "account": pair.account,
            "action": pair.action,
            "ours": pair.ours,
            "theirs": pair.theirs,
            "lead_h": None if pair.lead_h is None else f"{pair.lead_h:.1f}",
            "why": pair.why,
        }
        for pair in found.pairs
    ]
