"""Planned disconnections and what was foreseen go in; what may leave, what waits and what is quarantined come out.

A bug that makes everybody negative plans more disconnections than a forecast, sealed before it, had foreseen; an honest
herd after a holiday does too, and waits for two persons. So:

* the cap of a window is 1.5 times the number that the sealed forecast said would run out in it, at most three times the
  28-day median of that weekday, never under the floor max(1, min(20, 5 % of accounts)), and 0.5 % of accounts a day;
* over the cap nothing leaves: all that has not left is quarantined until two persons release or drop it;
* what may leave goes in rings of 10, 50, 200 and the rest, each one settled before the next begins;
* a feeder loses at most a tenth of its accounts an hour;
* the kill switch stops disconnections at once: one person pulls it, two reset it;
* reconnections are paced by load and never quarantined: the wrongly cut first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

FLOOR_MOST, FLOOR_SHARE = 20, 20  # min(20, accounts / 20)
DAY_SHARE = 200  # 0.5 % of accounts a day
FORESEEN_TENTHS = 15  # 1.5 x the sealed forecast
MEDIAN_FACTOR = 3
RINGS = (10, 50, 200)
FEEDER_SHARE = 10  # a tenth an hour
RETURN_SHARE = 5  # 20 % of the transformer's rating in five minutes
RETURN_LEAST = 2
PERSONS = 2


@dataclass(frozen=True, slots=True)
class Request:
    """One disconnection that wants to leave, and the feeder it hangs on ("" = not known: a feeder of its own)."""

    command: str
    account: str
    feeder: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the breaker compares with, for one window; counts of accounts."""

    accounts: int
    foreseen: int  # by the forecast sealed at least 72 h before the window: run out in it, or before it and still on
    median_28d: int | None  # disconnections on this weekday, None = no history: the floor holds
    left_window: int = 0  # disconnections that left in this window
    left_day: int = 0
    settled_window: int = 0  # of those, verified or ended without a fault
    feeder_accounts: Mapping[str, int] = field(default_factory=dict)
    feeder_left_hour: Mapping[str, int] = field(default_factory=dict)
    killed: bool = False
    released: frozenset[str] = frozenset()  # commands that two persons released from quarantine


@dataclass(frozen=True, slots=True)
class Admission:
    """What may leave now, what waits for its ring, feeder or the kill switch, and what two persons must look at."""

    admitted: tuple[str, ...]
    waiting: tuple[str, ...]
    quarantined: tuple[str, ...]
    cap: int
    reason: str = ""

    @property
    def tripped(self) -> bool:
        """Whether the breaker is open."""
        return bool(self.quarantined)


def floor(accounts: int) -> int:
    """The number of disconnections that is never an alarm: a village must be able to work.

    >>> [floor(n) for n in (0, 50, 120, 400, 1_000_000)]
    [1, 2, 6, 20, 20]
    """
    return max(1, min(FLOOR_MOST, accounts // FLOOR_SHARE))


def cap(counts: Counts) -> int:
    """The most disconnections that may leave in this window."""
    least = floor(counts.accounts)
    median = 0 if counts.median_28d is None else counts.median_28d * MEDIAN_FACTOR
    day_left = max(counts.accounts // DAY_SHARE, least) - max(counts.left_day - counts.left_window, 0)
    return max(min(max(least, min(counts.foreseen * FORESEEN_TENTHS // 10, median)), day_left), 0)


def admit(requests: Sequence[Request], counts: Counts) -> Admission:
    """Split ``requests`` (most urgent first); over the cap, all that two persons did not release is kept back."""
    limit = cap(counts)
    ids = tuple(request.command for request in requests)
    if counts.killed:
        return Admission((), ids, (), limit, "kill_switch")
    fresh = [request for request in requests if request.command not in counts.released]
    over = counts.left_window + len(fresh) > limit
    going = [request for request in requests if not over or request.command in counts.released]
    admitted = _staged(going, counts)
    leaving = set(admitted)
    waiting = tuple(request.command for request in going if request.command not in leaving)
    quarantined = tuple(request.command for request in fresh) if over else ()
    reason = f"{counts.left_window + len(fresh)} planned, cap {limit}" if over else ""
    return Admission(admitted, waiting, quarantined, limit, reason)


def ring_limit(settled: int) -> int | None:
    """How many may have left in all, given how many are settled; None = no limit any more.

    >>> [ring_limit(n) for n in (0, 9, 10, 59, 60, 259, 260)]
    [10, 10, 60, 60, 260, 260, None]
    """
    total = 0
    for ring in RINGS:
        total += ring
        if settled < total:
            return total
    return None


def _staged(going: Sequence[Request], counts: Counts) -> tuple[str, ...]:
    """Those that the canary rings and the feeders let through."""
    ring = ring_limit(counts.settled_window)
    left, by_feeder = counts.left_window, dict(counts.feeder_left_hour)
    admitted = []
    for request in going:
        if ring is not None and left >= ring:
            break
        gone = by_feeder.get(request.feeder, 0)
        if request.feeder and gone >= max(1, counts.feeder_accounts.get(request.feeder, 0) // FEEDER_SHARE):
            continue
        by_feeder[request.feeder] = gone + 1
        left += 1
        admitted.append(request.command)
    return tuple(admitted)


@dataclass(frozen=True, slots=True)
class Return:
    """One reconnection that wants to leave: its expected load in W, since when it waits, whether the cut was wrong."""

    command: str
    since: datetime
    load_w: int = 0
    wrongly_cut: bool = False


def pace(returns: Sequence[Return], rating_w: int | None, *, started: int = 0, started_w: int = 0) -> tuple[str, ...]:
    """Which reconnections behind one transformer may leave now (cold-load pickup).

    ``started`` and ``started_w`` are those of the last five minutes. At least two may go in five minutes; an unknown
    rating paces nothing. What is not named waits: its clock goes on, and the alarm names pacing.
    """
    queue = sorted(returns, key=lambda item: (not item.wrongly_cut, item.since, item.command))
    if rating_w is None:
        return tuple(item.command for item in queue)
    going: list[str] = []
    load = started_w
    for item in queue:
        if started + len(going) >= RETURN_LEAST and load + item.load_w > rating_w // RETURN_SHARE:
            break
        going.append(item.command)
        load += item.load_w
    return tuple(going)


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """Stops disconnect and limit, nothing else: ``resets`` are the persons who have agreed to reset it so far."""

    pulled_by: str = ""
    resets: tuple[str, ...] = ()

    @property
    def pulled(self) -> bool:
        """Whether disconnections are stopped."""
        return bool(self.pulled_by)


def pull(switch: KillSwitch, person: str) -> KillSwitch:
    """One person pulls; pulling again forgets the resets agreed so far."""
    return replace(switch, pulled_by=switch.pulled_by or person, resets=())


def reset(switch: KillSwitch, person: str) -> KillSwitch:
    """One more person agrees to the reset; with the second, another one, the switch is reset."""
    agreed = tuple(sorted({*switch.resets, person}))
    return KillSwitch() if len(agreed) >= PERSONS else replace(switch, resets=agreed)


def may_release(persons: Sequence[str], requester: str) -> bool:
    """Whether a quarantine may be released or dropped: two persons, neither of whom asked for it."""
    return len({person for person in persons if person} - {requester}) >= PERSONS
