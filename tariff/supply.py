"""An account's attributes and a calendar go in, the slots in which it was supplied come out.

``supply_from`` and ``supply_until`` (local date or time) say that somebody moved in or out inside a bill. Days count
whole: the one of moving in, and the one of moving out.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np

from tariff.calendar import EPOCH, Calendar, to_local
from tariff.errors import RatingError

FROM, UNTIL = "supply_from", "supply_until"
PARTIAL = ("days", "full", "none")  # what who is supplied for a part of a bill bears of a charge


def held(
    attributes: Mapping[str, str],
    zone: str,
    span: tuple[datetime, datetime],
    since: datetime | None,
    until: datetime | None,
) -> dict[str, str]:
    """``attributes`` with what of the supply [``since``, ``until``) begins or ends inside ``span``; all in UTC."""
    found = dict(attributes)
    if since is not None and span[0] < since < span[1]:
        found[FROM] = to_local(since, zone).date().isoformat()
    if until is not None and span[0] < until < span[1]:
        found[UNTIL] = to_local(until, zone).isoformat()
    return found


def supplied(calendar: Calendar, attributes: Mapping[str, str]) -> tuple[int, int]:
    """The slots [first, end) of the days on which the account was supplied; RatingError for what is no date."""
    since, until = (_moment(attributes, name) for name in (FROM, UNTIL))
    first, end = 0, calendar.slots
    if since is not None:
        first = int(np.searchsorted(calendar.day, (since - EPOCH).days, side="left"))
    if until is not None:
        last = (until - timedelta(minutes=1) - EPOCH).days
        end = int(np.searchsorted(calendar.day, last, side="right"))
    return first, max(first, end)


def _moment(attributes: Mapping[str, str], name: str) -> datetime | None:
    text = attributes.get(name, "")
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None:
        raise RatingError(f"attribute {name!r} of the account must be a local date such as 2025-07-10, not {text!r}")
    return at
