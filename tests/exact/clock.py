"""A zone, versions and UTC instants go in: wall clock, version, period, holidays and lengths of days come out."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

Table = dict[str, Any]


@lru_cache(maxsize=200_000)
def local_of(zone: str, at: datetime) -> datetime:
    """Wall clock of ``zone`` at the UTC instant ``at`` (both naive)."""
    return at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@lru_cache(maxsize=20_000)
def day_minutes(zone: str, day: date) -> int:
    """Minutes from midnight to midnight of a local day."""
    first = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    after = day + timedelta(days=1)
    last = datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(zone))
    return int((last.timestamp() - first.timestamp()) // 60)


@lru_cache(maxsize=200_000)
def latest(zone: str, at: datetime) -> datetime:
    """The latest wall clock of the last two hours: an hour that comes twice does not end what it began before."""
    now, before = local_of(zone, at), local_of(zone, at - timedelta(hours=2))
    if now - before >= timedelta(hours=2):
        return now
    return max(local_of(zone, at - timedelta(minutes=5 * back)) for back in range(25))


class Clock:
    """The calendar of the versions of a book, one instant at a time."""

    def __init__(self, zone: str, versions: list[Table]) -> None:
        """``versions`` as tomllib read them."""
        self.versions, self.zone = versions, zone
        self.begins = [datetime.fromisoformat(str(one.get("begin", one["from"]))) for one in versions]

    def local(self, at: datetime) -> datetime:
        """Wall clock at the UTC instant ``at``."""
        return local_of(self.zone, at)

    def version(self, at: datetime) -> int:
        """Index of the version in force."""
        now = latest(self.zone, at)
        return [index for index, begin in enumerate(self.begins) if begin <= now][-1]

    def share(self, at: datetime, minutes: int) -> tuple[int, int]:
        """What part of its local day a slot is: a day of 23 hours is as long as any other."""
        return minutes, day_minutes(self.zone, self.local(at).date())

    def period(self, at: datetime, version: int | None = None) -> str:
        """The calendar's period, under ``version`` or the one in force."""
        return self._find(self.versions[self.version(at) if version is None else version], self.local(at))

    def _find(self, version: Table, local: datetime) -> str:
        day = local.isoweekday()
        holiday = local.date().isoformat() in version.get("holidays", [])
        turned = version.get("holiday_as", "")
        if holiday and isinstance(turned, int):
            day = turned
        if holiday and isinstance(turned, str) and turned:
            return turned
        for window in version.get("window", []):
            if within(window, local, day, holiday):
                return str(window["period"])
        return str(version.get("default_period", "*"))


def within(window: Table, local: datetime, day: int, holiday: bool) -> bool:
    """Whether every test that the window names holds; ``day`` is the weekday that the date counts as."""
    if window.get("months") and local.month not in window["months"]:
        return False
    if window.get("days") and day not in window["days"]:
        return False
    if "holidays" in window and window["holidays"] != holiday:
        return False
    if window.get("dates") and not any(dated(one, local.date()) for one in window["dates"]):
        return False
    clock = f"{local.hour:02d}:{local.minute:02d}"
    begin, end = window.get("from", "00:00"), window.get("to", "00:00")
    if begin == end or (begin, end) == ("00:00", "24:00"):
        return True
    return bool(begin <= clock < end if begin < end else clock >= begin or clock < end)


def dated(text: str, day: date) -> bool:
    """Whether ``day`` lies in "first..last" or is the one date of ``text``; without years it may wrap the year."""
    first, _, last = text.partition("..")
    last = last or first
    own = day.isoformat() if len(first) == 10 else f"{day.month:02d}-{day.day:02d}"
    if first <= last:
        return first <= own <= last
    return len(first) == 5 and (own >= first or own <= last)
