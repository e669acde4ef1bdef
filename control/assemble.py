"""Committed rows go in, one Case per account comes out: everything that guards ask, and None for what is not known.

One account and all of them take the same path: the rows of a set of accounts are read table by table (some twenty
queries however many accounts), then each Case is put together in memory.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from control import debts, journal, lookups, outages, pricebasis, shadow, signals
from control.policy import Policy
from control.records import (
    Action,
    Case,
    Command,
    Evidence,
    Hold,
    Notice,
    PriceBasis,
    SafetyLock,
    SealedForecast,
    Service,
    Wanted,
)
from control.settings import Settings
from control.signals import Signal, Visit
from ingest.records import Channel, Flag, MeterPoint, RelayState
from storage.records import Account, AccountState, Install, Payment, RegisterPlace, StoredBill
from storage.unit import Reader

R = TypeVar("R")
CHUNK = 500  # accounts of one set of queries: far below SQLite's limit of variables


@dataclass(frozen=True, slots=True)
class Outlook:
    """How long one account's money lasts: hours (pessimistic P10, median) and the Wh that it still buys.

    Beside it what the same rows show: tier of the last unit, span of its ladder, hours to the next tier, flags of the
    last interval.
    """

    hours_p10: float | None = None
    hours_p50: float | None = None
    wh_left: int | None = None
    tier: int | None = None
    tier_period: str = ""
    next_tier_h: float | None = None
    read_flags: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """What a Case needs beside the store: the time, the host clock's health, books in force, forecasts, limits."""

    now: datetime
    clock_ok: bool | None
    books: Mapping[str, str]  # book name -> hash in force
    policies: Mapping[str, Policy]  # class -> policy
    settings: Settings
    switchable: Callable[[MeterPoint], bool]
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)


@dataclass(slots=True)
class _Rows:
    """Everything of one set of accounts, by account or by meter."""

    states: dict[str, AccountState]
    installs: dict[str, Install]
    points: dict[int, MeterPoint]
    places: dict[int, RegisterPlace]
    balances: dict[str, int]
    pending: dict[str, list[Payment]]
    failed: dict[str, list[Payment]]
    bills: dict[str, list[StoredBill]]
    evidence: dict[str, Evidence]
    visits: dict[str, Visit]
    wanted: dict[str, Wanted]
    live: dict[str, Command]
    batches: dict[datetime, int]  # disconnections that were asked for at one instant
    holds: dict[str, list[Hold]]
    locks: dict[str, list[SafetyLock]]
    notices: dict[str, list[Notice]]
    sealed: dict[str, SealedForecast]
    facts: dict[str, Signal]
    bases: dict[str, PriceBasis]
    debts: dict[str, dict[str, Any]] = field(default_factory=dict)
    shadow: dict[str, str] = field(default_factory=dict)


def case(reader: Reader, account: str, world: World) -> Case | None:
    """The Case of one account at ``world.now``; None when there is no such account or it has no policy."""
    return cases(reader, [account], world).get(account)


def cases(reader: Reader, accounts: Sequence[str] | None, world: World) -> dict[str, Case]:
    """The Cases of ``accounts`` (None: all that are not closed), in order of account."""
    if accounts is None:
        known = [row for row in reader.find(Account, order="account") if row.closed is None or row.closed > world.now]
    else:
        names = sorted(set(accounts))  # in a storm they are more than one query may name
        parts = (names[start : start + CHUNK] for start in range(0, len(names), CHUNK))
        known = [row for part in parts for row in reader.find(Account, account__in=part, order="account")]
    known = [row for row in known if row.klass in world.policies]
    facts = {row.name: row for row in reader.find(Signal)}
    found: dict[str, Case] = {}
    for start in range(0, len(known), CHUNK):
        part = known[start : start + CHUNK]
        rows = _gather(reader, [row.account for row in part], facts, world.now)
        rows.debts = {row.account: owed for row in part if (owed := debts.facts(reader, row, world.now))}
        rows.shadow = shadow.states(reader, part, wanted=rows.wanted, facts=facts, limits=world.settings, now=world.now)
        for row in part:
            found[row.account] = _build(row, rows, world)
    return found


def meter_of(reader: Reader, account: str, now: datetime) -> Install | None:
    """The meter that stands at ``account`` now: the youngest installation that has begun and not ended."""
    rows = reader.find(Install, account=account, start__le=now, order="start")
    current = [row for row in rows if row.end is None or row.end > now]
    return current[-1] if current else None


def _gather(reader: Reader, names: list[str], facts: dict[str, Signal], now: datetime) -> _Rows:
    installs = {
        row.account: row
        for row in reader.find(Install, account__in=names, start__le=now, order=("account", "start"))
        if row.end is None or row.end > now
    }
    meters = sorted({row.meter for row in installs.values()})
    ids = sorted({row.meter_id for row in installs.values()})
    live = reader.find(Command, account__in=names, state__in=journal.LIVE_STATES, order=("account", "requested"))
    bases = pricebasis.doubts(reader, names)
    return _Rows(
        states={row.account: row for row in reader.find(AccountState, account__in=names)},
        installs=installs,
        points={row.meter_id: row for row in reader.find(MeterPoint, meter_id__in=ids)},
        places={
            row.meter_id: row
            for row in (reader.find(RegisterPlace, meter_id__in=ids) if ids else [])
            if row.channel == Channel.IMPORT
        },
        balances=lookups.balances(reader, names),
        pending=_lists(reader.find(Payment, account__in=names, status="pending", order="received")),
        failed=_lists(reader.find(Payment, account__in=names, status="failed", order="received")),
        bills=_lists(reader.find(StoredBill, account__in=names, order=("account", "start"))),
        evidence={row.meter: row for row in reader.find(Evidence, meter__in=meters)},
        visits={row.meter: row for row in reader.find(Visit, meter__in=meters)},
        wanted={row.account: row for row in reader.find(Wanted, account__in=names)},
        live={row.account: row for row in live},
        batches={
            at: reader.count(Command, requested=at, action=Action.DISCONNECT)
            for at in sorted({row.requested for row in live if row.action is Action.DISCONNECT})
        },
        holds=_lists(_in_force(outages.holds(reader, names, installs, now), now)),
        locks=_lists(_in_force(outages.locks(reader, names, installs, now), now)),
        notices=_lists(lookups.told(reader, names)),
        sealed=lookups.sealed(reader, names, now, bases.keys()),
        facts=facts,
        bases=bases,
    )


def _lists(rows: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.account, []).append(row)
    return found


def _in_force(rows: Iterable[R], now: datetime) -> list[R]:
    """Those of dated rows whose start has come and whose end has not."""
    kept = []
    for row in rows:
        start, end = getattr(row, "start", None), getattr(row, "end", None)
        if start is not None and start <= now and (end is None or end > now):
            kept.append(row)
    return kept


def _build(account: Account, rows: _Rows, world: World) -> Case:
    name = account.account
    state = rows.states.get(name) or AccountState(name)
    install = rows.installs.get(name)
    all_notices = shadow.counted(rows.notices.get(name, []), rows.shadow.get(name, ""))
    notices = [row for row in all_notices if row.epoch == state.epoch]
    return Case(
        account=name,
        meter=install.meter if install else "",
        klass=account.klass,
        mode=account.mode,
        now=world.now,
        zone=account.zone,
        currency=account.currency,
        lang=account.lang,
        posted_micro=rows.balances.get(name, 0),
        accrued_micro=state.accrued_micro,
        accrued_to=state.accrued_to,
        estimate_micro=state.estimate_micro,
        balance_after_payment_micro=state.balance_after_payment_micro,
        last_payment_micro=state.last_payment_micro,
        last_payment_at=state.last_payment_at,
        **_pending(rows.pending.get(name, []), rows.failed.get(name, []), state),
        last_bill_micro=rows.bills[name][-1].total_micro if name in rows.bills else 0,
        **_overdue(account, rows.balances.get(name, 0), rows.bills.get(name, []), world),
        epoch=state.epoch,
        **_read(rows.places.get(install.meter_id) if install else None, state, world.outlooks.get(name)),
        **_metal(install, account, rows, world),
        service=rows.wanted[name].service if name in rows.wanted else Service.CONNECTED,
        live_command=rows.live[name].command if name in rows.live else "",
        live_action=rows.live[name].action.value if name in rows.live else "",
        approvals=rows.live[name].approvals if name in rows.live else (),
        requester=rows.live[name].requester if name in rows.live else "engine",
        batch=rows.batches.get(rows.live[name].requested, 0) if name in rows.live else 0,
        holds=(*rows.holds.get("", []), *rows.holds.get(name, [])),
        locks=(*rows.locks.get("", []), *rows.locks.get(name, [])),
        agreement_from=account.agreement_from,
        agreement_to=account.agreement_to,
        migrated=account.migrated,
        closed=account.closed,
        contact_confirmed=account.contact_confirmed,
        alerts=tuple(sorted({row.rung for row in all_notices if row.epoch == state.epoch or _lasting(row)})),
        delivered=_delivered(notices),
        **_ahead(rows.sealed.get(name), world.outlooks.get(name)),
        **_doubt(rows.bases.get(name)),
        **_facts(account, state, rows.facts, world),
        **rows.debts.get(name, {}),
        shadow=rows.shadow.get(name, ""),
        policy_version=world.policies[account.klass].id,
        book_hash=state.book_hash,
    )


def _lasting(row: Notice) -> bool:
    """Whether a notice was told for longer than its credit epoch: one of a tier, for its ladder's period."""
    return row.code in lookups.LASTING and row.rung.count(".") > 1


def _read(place: RegisterPlace | None, state: AccountState, outlook: Outlook | None) -> dict[str, Any]:
    """End and flags of the last read: the register's place, the last rated slot, the last stored interval.

    A register that waits behind a suspect read, or that an estimate moved, spoils the read until a good one clears it.
    """
    flags = Flag(outlook.read_flags if outlook else 0)
    if place is None:
        return {"read_end": state.accrued_to, "read_flags": int(flags)}
    if place.suspect_end is not None:
        flags |= Flag.SUSPECT
    if place.estimated:
        flags |= Flag.ESTIMATED
    known = [place.end] if not place.estimated else []
    ends = [*known, *([state.accrued_to] if state.accrued_to is not None else [])]
    return {"read_end": max(ends, default=None), "read_flags": int(flags)}


def _pending(payments: list[Payment], failed: list[Payment], state: AccountState) -> dict[str, Any]:
    """Pending money is shown, not counted; the oldest one's time and channel say how long it may still block.

    One blocks once per epoch: one that failed since the last payment, or an older one beside it, has spent that.
    """
    since = state.last_payment_at
    spent = any(since is None or row.received > since for row in failed)
    return {
        "pending_micro": sum(row.amount_micro for row in payments),
        "pending_since": payments[0].received if payments else None,
        "pending_channel": payments[0].channel if payments else "",
        "pending_spent": spent,
    }


def _overdue(account: Account, posted_micro: int, bills: list[StoredBill], world: World) -> dict[str, Any]:
    """Post-paid: what is past its due date, and since when; credits pay the oldest bill first."""
    if account.mode != "postpaid":
        return {}
    guessed = sum(bill.estimated_micro for bill in bills)  # what rests on estimates is owed, and disconnects nobody
    unpaid, overdue, since = max(0, -posted_micro - guessed), 0, None
    for bill in reversed(bills):
        part = min(unpaid, bill.total_micro - bill.estimated_micro)
        due = bill.end + timedelta(days=world.settings.due_days)
        if part > 0 and due <= world.now:
            overdue, since = overdue + part, due
        unpaid -= max(0, part)
    return {"overdue_micro": overdue, "overdue_since": since}


def _metal(install: Install | None, account: Account, rows: _Rows, world: World) -> dict[str, Any]:
    """What is known of meter, session and relay; a meter that is not there leaves everything unknown."""
    meter = install.meter if install else ""
    point = rows.points.get(install.meter_id) if install else None
    visit = rows.visits.get(meter)
    evidence = rows.evidence.get(meter)
    limit = account.attributes.get("relay_limit_w", "")
    whole = visit is not None and visit.register_wh is not None and visit.power_w is not None
    return {
        "cycle_s": point.slot_min * 60 if point else 3600,
        "fresh_read_at": visit.at if visit is not None and whole else None,
        "register_monotone": visit.monotone if visit else None,
        "open_fault": visit.fault if visit else "",
        "load_w": visit.power_w if visit else None,
        "relay_limit_w": int(limit) if limit.isdigit() else (point.max_power_w if point else None),
        "serial_seen": visit.serial if visit else "",
        "serial_expected": install.serial if install else "",
        "serial_seen_at": visit.at if visit and visit.serial else None,
        "installed": install.start if install else None,
        "proved": install.proved if install else None,
        "voltage_load_v": evidence.voltage_load_v if evidence else None,
        "commodity": account.attributes.get("commodity", "electricity"),
        "remote_relay": point is not None and world.switchable(point),
        "relay": evidence.state if evidence else RelayState.UNKNOWN,
        "relay_at": evidence.at if evidence else None,
    }


def _delivered(notices: list[Notice]) -> dict[str, str]:
    """Rung -> time of the first delivery to the customer in this epoch."""
    found: dict[str, str] = {}
    for row in notices:
        if row.recipient == "customer" and row.delivered_at is not None:
            first = found.get(row.rung)
            found[row.rung] = min(first, row.delivered_at.isoformat()) if first else row.delivered_at.isoformat()
    return dict(sorted(found.items()))


def _ahead(sealed: SealedForecast | None, outlook: Outlook | None) -> dict[str, Any]:
    """The newest forecast sealed 72 h before, if it saw exhaustion, and how long the money lasts as seen now."""
    saw = sealed is not None and sealed.exhausts_at is not None
    return {
        "forecast_sealed_at": sealed.sealed_at if sealed is not None and saw else None,
        "forecast_exhausts_at": sealed.exhausts_at if sealed is not None and saw else None,
        "hours_left": outlook.hours_p10 if outlook else None,
        "hours_left_p50": outlook.hours_p50 if outlook else None,
        "kwh_left": outlook.wh_left if outlook else None,
        "tier": outlook.tier if outlook else None,
        "tier_period": outlook.tier_period if outlook else "",
        "next_tier_h": outlook.next_tier_h if outlook else None,
    }


def _doubt(basis: PriceBasis | None) -> dict[str, Any]:
    """Since when forecasts rest on prices that changed, and from when on they count again."""
    if basis is None:
        return {}
    firm = basis.since if basis.confirmed_at is not None else None
    return {"price_doubt_from": basis.doubt_from, "price_firm_from": firm}


def _facts(account: Account, state: AccountState, facts: Mapping[str, Signal], world: World) -> dict[str, Any]:
    kill, breaker = facts.get(signals.KILL_SWITCH), facts.get(signals.BREAKER)
    return {
        "price_change_in_flight": _price_change(account, state, facts, world.books),
        "channels_reconciled": reconciled(facts, world.settings, world.now),
        "override_feed_fresh": not world.settings.override_feed
        or _fresh(facts.get(signals.OVERRIDE_FEED), world.now, world.settings.override_feed_s),
        "clock_ok": world.clock_ok,
        "breaker_open": bool(signals.breaker_word(breaker, world.now)),
        "kill_switch": kill is not None and kill.value == "on",
    }


def _price_change(
    account: Account, state: AccountState, facts: Mapping[str, Signal], books: Mapping[str, str]
) -> bool | None:
    """Whether the account was last rated by another book than the one in force; None when it was never rated."""
    flying = facts.get(signals.PRICE_CHANGE)
    if flying is not None and flying.value == "on":
        return True
    wanted = books.get(account.book)
    if wanted is None or not state.book_hash:
        return None
    return wanted != state.book_hash


def reconciled(facts: Mapping[str, Signal], settings: Settings, now: datetime) -> bool | None:
    """Whether each payment channel reported in its time; None when there is no channel: nobody could pay."""
    required = dict(settings.payment_channels)
    required |= {name: live for name, live in settings.used_channels.items() if signals.PAYMENTS + name in facts}
    if not required:
        return None
    limits = {True: settings.live_channel_s, False: settings.file_channel_s}
    return all(_fresh(facts.get(signals.PAYMENTS + name), now, limits[live]) for name, live in sorted(required.items()))


def _fresh(signal: Signal | None, now: datetime, age_s: int) -> bool:
    return signal is not None and signal.value == "ok" and timedelta(0) <= now - signal.at <= timedelta(seconds=age_s)
