"""Everybody's standings go in as columns, the names of those of whom something may be due come out.

Equal to asking ``screen.quiet`` of each, class by class in arrays. What an account was told comes as columns too: they
are kept between looks, and made again only for whom something was told, or who changed class, epoch or tier.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from control.ladder import level_of
from control.outlookbook import NONE, Bools, Floats, Ints
from control.policy import Policy
from control.raised import Columns, Raised
from control.records import Service
from control.screen import quiet, tier_key
from control.standing import PREPAID, RELAYS, SERVICES, Standings
from ingest.records import RelayState
from storage.codec import to_ms

FAR: Final = 1 << 55
"""Sums beyond it are left to the scalar screen: times a hundred they would not fit 64 bits."""
_CLOSED, _ON = RELAYS.index(RelayState.CLOSED), SERVICES.index(Service.CONNECTED)


def loud(rows: Standings, raised: Raised, policies: Mapping[str, Policy], now: datetime) -> list[str]:
    """The names of those who are not quiet, in order of account."""
    told = _follow(rows, raised, policies)
    found = np.ones(len(rows), np.bool_)
    for number in np.unique(rows.klass).tolist():
        own, policy = np.flatnonzero(rows.klass == number), policies[rows.words.texts[number]]
        found[own] = ~_quiet(rows, told, own, policy, now)
    for row in np.flatnonzero(_odd(rows)).tolist():
        one = rows[rows.names[row]]
        found[row] = not quiet(one, policies[one.klass], now)
    return [rows.names[row] for row in np.flatnonzero(found).tolist()]


def _odd(rows: Standings) -> Bools:
    """Whose sums are too far out for 64 bits."""
    sums = (rows.posted, rows.accrued, rows.estimate, rows.base, rows.paid)
    found = np.zeros(len(rows), np.bool_)
    for column in sums:
        found |= (column > FAR) | (column < -FAR)
    return found


def _follow(rows: Standings, raised: Raised, policies: Mapping[str, Policy]) -> Columns:
    """Bring the columns of what was told up to what ``raised`` knows now."""
    told, keys = raised.columns, _keys(rows, raised.columns)
    if told.names != rows.names or told.policies != policies:
        told.names, told.policies = rows.names, dict(policies)
        told.level = np.zeros(len(rows), np.int64)
        told.this, told.next = np.zeros((2, len(rows)), np.bool_)
        stale = np.ones(len(rows), np.bool_)
    else:
        stale = (keys != told.keys).any(axis=1)
        stale[[rows.at[name] for name in raised.news if name in rows.at]] = True
    told.keys, raised.news = keys, set()
    for row in np.flatnonzero(stale).tolist():
        if raised.anything(rows.names[row]):
            _again(row, rows, raised)
    return told


def _keys(rows: Standings, told: Columns) -> Ints:
    """What the columns of each row rest on beside the notices; the numbers of texts last from look to look."""
    klass, period = (
        np.array([told.numbers.setdefault(text, len(told.numbers)) for text in texts], np.int64)
        for texts in (rows.words.texts, [*rows.outlooks.periods, ""])
    )
    span = np.where(rows.ahead.known, rows.ahead.period, period.size - 1)
    return np.stack([klass[rows.klass], rows.epoch, rows.ahead.tier, period[span]], axis=1)


def _again(row: int, rows: Standings, raised: Raised) -> None:
    """Make one row's columns anew."""
    columns, told = raised.columns, raised.of(rows.names[row], int(rows.epoch[row]))
    policy, tier = columns.policies[rows.words.texts[rows.klass[row]]], int(rows.ahead.tier[row])
    columns.level[row] = max((level_of(key, policy) for key in told), default=0)
    this, after = ({tier_key(code, number, rows.period(row)) for code in codes} for codes, number in (
        (("over_tier",), tier), (("over_tier", "over_tier_soon"), tier + 1)
    ))  # fmt: skip
    columns.this[row] = bool(this & told)
    columns.next[row] = bool(after & told)


def _quiet(rows: Standings, told: Columns, own: Ints, policy: Policy, now: datetime) -> Bools:
    """``screen.quiet`` of the rows ``own``, which are of one class."""
    texts, ahead = rows.words.texts, rows.ahead
    prepaid = np.array([text == PREPAID for text in texts], np.bool_)
    good: Bools = prepaid[rows.mode[own]] & (rows.closed[own] == NONE) & ~rows.live[own]
    good &= (rows.relay[own] == _CLOSED) & (rows.service[own] == _ON)
    left = rows.posted[own] - rows.accrued[own]
    good &= left > policy.disconnection_balance_micro + policy.emergency_credit_micro
    unread = timedelta(days=policy.no_read_days) // timedelta(milliseconds=1)
    good &= (rows.accrued_to[own] != NONE) & (to_ms(now) - rows.accrued_to[own] < unread)
    good &= ~_stop(rows, own, policy, now)
    if policy.over_tier:
        soon = ahead.next_h[own] <= 24 * policy.over_tier_days
        tier = ahead.tier[own]
        good &= ~((tier >= 1) & ~told.this[own]) & ~((tier != NONE) & soon & ~told.next[own])
    expected = left - np.maximum(rows.estimate[own], 0)
    good &= _level(rows, own, policy, expected) <= told.level[own]
    return good


def _level(rows: Standings, own: Ints, policy: Policy, expected: Ints) -> Ints:
    """``screen.level`` of the rows ``own``."""
    base = np.maximum(rows.paid[own] if policy.share_of == "last_payment" else rows.base[own], 0)
    highest = _top(policy.money_micro, expected)
    wh = rows.ahead.wh[own]
    np.maximum(highest, np.where(wh != NONE, _top(policy.kwh_wh, wh), 0), out=highest)
    for number, percent in enumerate(policy.share_percent, 1):
        reached = (base > 0) & (expected * 100 <= percent * base)
        np.maximum(highest, np.where(reached, number, 0), out=highest)
    return np.maximum(highest, _top(policy.hours, rows.ahead.p10[own]))


def _top(rungs: Sequence[int], values: Ints | Floats) -> Ints:
    highest = np.zeros(values.shape, np.int64)
    for number, rung in enumerate(rungs, 1):
        highest[values <= rung] = number
    return highest


def _stop(rows: Standings, own: Ints, policy: Policy, now: datetime) -> Bools:
    """Of whom a stop notice may be due."""
    days, hours = policy.stop_notice_days, rows.ahead.p10[own]
    if days <= 0:
        return np.zeros(own.size, np.bool_)
    wanted: Bools = ~(hours > 24 * (days + 1))
    oldest = now - timedelta(days=policy.stop_notice_days_most)
    for at in np.flatnonzero(wanted).tolist():
        arrived = rows.stops.get(rows.names[own[at]])
        wanted[at] = arrived is None or arrived < oldest
    return wanted
