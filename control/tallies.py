"""A payment channel's own count goes in, compared with the rows we kept; the channel is reconciled, or an incident is.

The channel says: until then I handed you so many posted payments, of so much in all, since the last count on which we
agreed (``since`` says from when, where the channel counts from elsewhere). Equal counts and sums reconcile the channel
as of ``until`` (guard G3). A difference leaves it unreconciled and is an incident that says both numbers: the channel
sends what is missing and counts again. The sum is a check sum: amounts are added whatever their currency.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from control import incidents, settings
from control.amounts import ChannelReport
from control.assemble import World
from control.records import Incident
from control.settle import EARLY
from control.signals import PAYMENTS, Signal, Tally
from storage.records import Payment
from storage.unit import Reader, Unit

AHEAD = timedelta(minutes=5)  # a channel's clock may be that far before ours
KIND = "channel_differs"
COUNTED = ("posted", "unmatched", "reversed")
_BEGIN = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class TallyResult:
    """``status`` is reconciled, different, older (an earlier count came late), gap or ahead; with both numbers."""

    status: str
    report: ChannelReport
    since: datetime
    ours: int = 0
    ours_micro: int = 0

    def reply(self) -> dict[str, str]:
        """The answer to the channel."""
        answer = {"channel": self.report.channel, "status": self.status, "since": f"{self.since.isoformat()}Z"}
        if self.status in ("reconciled", "different"):
            answer |= {"count": str(self.report.count), "total_micro": str(self.report.total_micro)}
            answer |= {"our_count": str(self.ours), "our_total_micro": str(self.ours_micro)}
        return answer


def compare(unit: Unit, report: ChannelReport, world: World, *, by: str = "channel") -> TallyResult:
    """Compare ``report`` with our rows and state what follows; in the caller's transaction."""
    report = replace(report, until=settings.to_ms(report.until))
    agreed = last_agreed(unit, report.channel)
    known = agreed.until if agreed else _BEGIN
    since = report.since if report.since is not None else known
    if report.until > world.now + AHEAD:
        return TallyResult("ahead", report, known)
    if since > known:
        return TallyResult("gap", report, known)
    if agreed is not None and report.until < known:
        return TallyResult("older", report, known)
    if agreed is not None and report.until == known and report.since is None:
        since = agreed.since or _BEGIN  # the same count again
    ours, ours_micro = _ours(unit, report.channel, since, report.until)
    same = (ours, ours_micro) == (report.count, report.total_micro)
    row = Tally(
        0, report.channel, report.until, world.now, since, report.count, report.total_micro, ours, ours_micro, same, by
    )
    unit.add(row)
    if same:
        unit.put(Signal(PAYMENTS + report.channel, "ok", min(report.until, world.now), by))
        _settled(unit, report.channel, world, by)
    else:
        unit.put(Signal(PAYMENTS + report.channel, "different", world.now, by))
        incidents.file(
            unit, KIND, world.now, cause=f"{report.channel}-{since.isoformat()}",
            detail=f"{report.channel}: since {since.isoformat()}Z it counts {report.count} payments of "
            f"{report.total_micro} micro, we have {ours} of {ours_micro}",
        )  # fmt: skip
    return TallyResult("reconciled" if same else "different", report, since, ours, ours_micro)


def assert_reconciled(unit: Unit, channel: str, world: World, *, by: str) -> Tally:
    """A person has compared the channel's list with ours and vouches for it until now; audited."""
    agreed = last_agreed(unit, channel)
    since = agreed.until if agreed else _BEGIN
    ours, ours_micro = _ours(unit, channel, since, world.now)
    row = Tally(0, channel, world.now, world.now, since, ours, ours_micro, ours, ours_micro, True, by)
    unit.add(row)
    unit.put(Signal(PAYMENTS + channel, "ok", world.now, by))
    unit.audit(by, "payments.reconciled", channel, {"count": ours, "total_micro": ours_micro}, world.now)
    _settled(unit, channel, world, by)
    return row


def last_agreed(reader: Reader, channel: str) -> Tally | None:
    """The newest count on which the channel and we agreed."""
    found = reader.find(Tally, channel=channel, agreed=True, order=("-until", "-seq"), limit=1)
    return found[0] if found else None


def _ours(reader: Reader, channel: str, since: datetime, until: datetime) -> tuple[int, int]:
    """How many payments the channel posted in (since, until] as we kept them, and their sum."""
    rows = reader.find(Payment, channel=channel, at__gt=since, at__le=until, status__in=list(COUNTED))
    counted = [row for row in rows if row.reason != EARLY]  # a reversal whose payment never came
    return len(counted), sum(row.amount_micro for row in counted)


def _settled(unit: Unit, channel: str, world: World, by: str) -> None:
    """Whatever differed does so no more."""
    for row in unit.find(Incident, kind=KIND, closed__null=True):
        if row.detail.startswith(f"{channel}:"):
            incidents.close(unit, row.incident, world.now, by=by)
