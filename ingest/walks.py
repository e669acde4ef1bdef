"""What one device sent on its way goes in, in order of time; what is odd about each message comes out.

``far``: further from the meter's position than both positions' accuracy and a street allow. ``fast``: the way from the
message before could not be gone in the time between. ``no_position``: a final read without a position. Findings flag,
they refuse nothing: where a position is not known, nothing is said of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingest.geodesy import metres

FAR_M: Final = 150  # between a meter's position on record and a person who stands before it
FASTEST_M_S: Final = 25.0  # 90 km/h, on the way between two meters
NEAR_M: Final = 50  # less than this is no way: positions wander
POSITION_KINDS: Final = frozenset({"confirm", "check", "mend"})
"""What should not come without a position."""

FAR, FAST, NO_POSITION = "far", "fast", "no_position"


@dataclass(frozen=True, slots=True)
class Stop:
    """One message on the way: when, about which meter, and where in WGS84 degrees (None: not known)."""

    message_id: str
    kind: str
    at: datetime
    meter: str = ""
    latitude: float | None = None
    longitude: float | None = None
    accuracy_m: float = 0.0


Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is odd about one stop: words, metres from its meter and since the stop before, speed (None: not known)."""

    stop: Stop
    findings: tuple[str, ...]
    from_meter_m: int | None
    way_m: int | None
    speed_m_s: float | None


def judge(stops: Sequence[Stop], places: Mapping[str, Place]) -> list[Seen]:
    """Judge one device's stops (put into order of time here); ``places`` holds meters' positions in WGS84."""
    found: list[Seen] = []
    before: Stop | None = None
    for stop in sorted(stops, key=lambda stop: (stop.at, stop.message_id)):
        away = _away(stop, places.get(stop.meter))
        way, speed = _way(before, stop)
        words = []
        if away is not None and away > FAR_M + stop.accuracy_m:
            words.append(FAR)
        if speed is not None and speed > FASTEST_M_S:
            words.append(FAST)
        if stop.latitude is None and stop.kind in POSITION_KINDS:
            words.append(NO_POSITION)
        whole = [None if metre is None else round(metre) for metre in (away, way)]
        found.append(Seen(stop, tuple(words), whole[0], whole[1], speed))
        before = stop if stop.latitude is not None else before
    return found


def _away(stop: Stop, place: Place | None) -> float | None:
    if place is None or stop.latitude is None or stop.longitude is None:
        return None
    return metres(stop.latitude, stop.longitude, *place)


def _way(before: Stop | None, stop: Stop) -> tuple[float | None, float | None]:
    """Metres and metres a second since the stop before; what both positions' accuracy may explain is no way."""
    if before is None or before.latitude is None or before.longitude is None:
        return None, None
    way = _away(stop, (before.latitude, before.longitude))
    if way is None:
        return None, None
    sure = way - before.accuracy_m - stop.accuracy_m
    seconds = max((stop.at - before.at) / timedelta(seconds=1), 1.0)
    return way, sure / seconds if sure > NEAR_M else 0.0


def nearest_first(start: Place | None, places: Mapping[str, Place]) -> list[str]:
    """The names of ``places`` as a way that always goes to the nearest one left; ties by name."""
    left, order, here = dict(places), [], start
    while left:
        at = here
        name = min(left, key=lambda n: (metres(*at, *left[n]) if at else 0.0, n))
        order.append(name)
        here = left.pop(name)
    return order
