"""A book's table and UTC instants go in: its wall clock, version, period, holidays and lengths of days come out."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Table = dict[str, Any]


class Clock:
    """The calendar of one book, one instant at a time; what was asked once is kept."""

    def __init__(self, book: Table) -> None:
        """``book`` as tomllib read it."""
        self.versions: list[Table] = book["version"]
        self.zone = ZoneInfo(book["zone"])
        self._local: dict[datetime, datetime] = {}
        self._version: dict[datetime, int] = {}
        self._period: dict[datetime, str] = {}
        self._day: dict[date, int] = {}

    def local(self, at: datetime) -> datetime:
        """Wall clock at the UTC instant ``at`` (both naive)."""
        if at not in self._local:
            self._local[at] = at.replace(tzinfo=UTC).astimezone(self.zone).replace(tzinfo=None)
        return self._local[at]

    def version(self, at: datetime) -> int:
        """Index of the version in force."""
        if at not in self._version:
            # an hour that comes twice does not end what it began the first time
            local = max(self.local(at - timedelta(minutes=5 * back)) for back in range(25))
            begun = [i for i, one in enumerate(self.versions) if datetime.fromisoformat(one["from"]) <= local]
            self._version[at] = begun[-1]
        return self._version[at]

    def day_minutes(self, day: date) -> int:
        """Minutes from midnight to midnight of a local day."""
        if day not in self._day:
            first = datetime(day.year, day.month, day.day, tzinfo=self.zone)
            after = day + timedelta(days=1)
            last = datetime(after.year, after.month, after.day, tzinfo=self.zone)
            self._day[day] = int((last.timestamp() - first.timestamp()) // 60)
        return self._day[day]

    def period(self, at: datetime) -> str:
        """The calendar's period."""
        if at not in self._period:
            self._period[at] = self._find(self.versions[self.version(at)], self.local(at))
        return self._period[at]

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
    clock = local.strftime("%H:%M")
    begin, end = window.get("from", "00:00"), window.get("to", "00:00")
    if begin == end or (begin, end) == ("00:00", "24:00"):
        return True
    return bool(begin <= clock < end if begin < end else clock >= begin or clock < end)


def dated(text: str, day: date) -> bool:
    """Whether ``day`` lies in "first..last" or is the one date of ``text``; without years it may wrap the year."""
    first, _, last = text.partition("..")
    last = last or first
    own = day.isoformat() if len(first) == 10 else day.strftime("%m-%d")
    if first <= last:
        return first <= own <= last
    return len(first) == 5 and (own >= first or own <= last)
