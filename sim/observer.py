"""The outside observer: physical relays and accepted payments go in, the figures of a simulated run come out.

It trusts nothing that the engine says of relays. Definitions, per time that a relay stood open (a span):

* a span is *paid* from the first payment that covered the connection balance, if it came before the relay closed again;
* ``reconnect``: from that payment's commit to the relay's closing, for spans that closed;
* *paid but dark*: a paid span that is still open;
* *wrongly off*: the whole of a span that opened although the account was not below its threshold, and of any other
  paid span what lies beyond the hard limit of the reconnect clock;
* *raced*: a relay that opened within the hard limit after a payment that covers: its order was on the way when the
  money came (safety rule S7). The span counts as paid from the payment, and is no wrong one as long as it ends in time;
* *silent breach*: a paid span longer than the hard limit without an incident or work order for the account by then;
* *unpaid on*: hours in which a relay was closed although the account was below its disconnection balance.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest.records import RelayState
from sim.meters import SimMeter

HARD_LIMIT = timedelta(minutes=60)


@dataclass(slots=True)
class Span:
    """One time that one account's relay stood open."""

    account: str
    opened: datetime
    closed: datetime | None = None
    justified: bool = True
    paid: datetime | None = None
    raced: bool = False

    def dark(self, at: datetime) -> bool:
        """Paid and open at ``at``."""
        return self.paid is not None and self.paid <= at and (self.closed is None or self.closed > at)

    def wrong_s(self, end: datetime) -> float:
        """Seconds wrongly off, up to ``end``."""
        until = min(self.closed or end, end)
        if not self.justified:
            return max(0.0, (until - self.opened).total_seconds())
        if self.paid is None:
            return 0.0
        return max(0.0, (until - max(self.paid, self.opened) - HARD_LIMIT).total_seconds())


@dataclass(slots=True)
class Observer:
    """Collects spans while the world runs; ``meters`` and ``accounts`` are keyed by meter number."""

    meters: Mapping[str, SimMeter]
    accounts: Mapping[str, str]
    spans: list[Span] = field(default_factory=list)
    opens: int = 0
    closes: int = 0
    unpaid_on_h: int = 0
    _seen: dict[str, int] = field(default_factory=dict)
    _open: dict[str, Span] = field(default_factory=dict)
    _paid: dict[str, datetime] = field(default_factory=dict)

    def paid(self, account: str, at: datetime) -> None:
        """A payment was committed at ``at`` that covers what it takes to be on."""
        self._paid[account] = at
        span = self._open.get(account)
        if span is not None and span.paid is None:
            span.paid = at

    def look(self, below: Callable[[str], bool]) -> None:
        """Take in what relays did since the last look; ``below``: is an account below its threshold now?"""
        for meter in sorted(self.meters):
            self.look_at(meter, below)

    def look_at(self, meter: str, below: Callable[[str], bool]) -> None:
        """Take in what one relay did since the last look."""
        changes, account = self.meters[meter].relay_changes, self.accounts[meter]
        for at, state, _ in changes[self._seen.get(meter, 0) :]:
            self._changed(account, at, state, state is RelayState.OPEN and below(account))
        self._seen[meter] = len(changes)

    def _changed(self, account: str, at: datetime, state: RelayState, below: bool) -> None:
        if state is RelayState.OPEN and account not in self._open:
            self.opens += 1
            paid = self._paid.get(account)
            raced = paid is not None and at - HARD_LIMIT < paid <= at
            span = Span(account, at, justified=raced or below, paid=paid if raced else None, raced=raced)
            self._open[account] = span
            self.spans.append(span)
        elif state is RelayState.CLOSED and account in self._open:
            self.closes += 1
            self._open.pop(account).closed = at

    def hour(self, below: Mapping[str, bool]) -> None:
        """An hour has passed: count the unpaid whose supply is on."""
        for meter, metal in self.meters.items():
            if metal.relay is RelayState.CLOSED and below.get(self.accounts[meter], False):
                self.unpaid_on_h += 1

    def reconnects_s(self) -> list[float]:
        """Seconds from payment to power, sorted."""
        return sorted((s.closed - s.paid).total_seconds() for s in self.spans if s.closed and s.paid)

    def dark(self, at: datetime) -> int:
        """Accounts that have paid and are dark at ``at``."""
        return sum(span.dark(at) for span in self.spans)

    def wrongly_off_h(self, end: datetime) -> float:
        """Hours wrongly off in all."""
        return sum(span.wrong_s(end) for span in self.spans) / 3600

    def raced(self) -> int:
        """Openings whose order was on the way when the payment came."""
        return sum(span.raced for span in self.spans)

    def silent(self, end: datetime, told: Mapping[str, Sequence[datetime]]) -> int:
        """Breaches of the hard limit that nobody was told of in time; ``told`` has the times of alarms by account."""
        count = 0
        for span in self.spans:
            if span.paid is None or (span.closed or end) - span.paid <= HARD_LIMIT:
                continue
            begin = min(span.paid, span.opened)
            count += not any(begin <= at <= span.paid + HARD_LIMIT for at in told.get(span.account, ()))
        return count


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that ``percent`` of the sorted ``values`` do not exceed; None without values."""
    if not values:
        return None
    return values[max(0, -(-len(values) * percent // 100) - 1)]
