"""What control hands on: Case -> Decision -> Command and Notice, with holds, approvals, work orders and incidents.

Three machines, never one enum: credit status (computed), service status (wanted), relay evidence (known).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ingest.records import RelayState

SHADOW_ALL, SHADOW_CUTS = "all", "cuts"  # a class is only watched: nothing leaves, or no disconnection does


class Credit(StrEnum):
    """Credit status, worst last; a pure function of ledger, accrued, accrued_to and policy."""

    OK = "ok"
    LOW = "low"
    LOW2 = "low2"
    EMERGENCY = "emergency"
    EXHAUSTED = "exhausted"
    NEGATIVE = "negative"


class Service(StrEnum):
    """Service status: what we want."""

    CONNECTED = "connected"
    ARMED_FOR_DISCONNECT = "armed_for_disconnect"
    DISCONNECTED = "disconnected"
    ARMED_FOR_CONNECTION = "armed_for_connection"
    LIMITED = "limited"
    HELD = "held"


class CommandState(StrEnum):
    """Where a command is in its life; see ``control/commands.py`` for the table."""

    REQUESTED = "requested"
    AUTHORISED = "authorised"
    QUEUED = "queued"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    UNKNOWN = "unknown"
    VERIFIED = "verified"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


class Action(StrEnum):
    """What a command does to supply."""

    DISCONNECT = "disconnect"
    CONNECT = "connect"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What we know of one meter's relay, with time and source; the operator's screen can never set it."""

    meter: str
    state: RelayState
    at: datetime
    source: str
    power_w: int | None = None
    voltage_load_v: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What we want of one account's supply, and why."""

    account: str
    service: Service
    since: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason not to disconnect, with its kind, owner, authority and end.

    ``kind`` is protected, keep_power, dispute, medical, migration, weather, emergency, remedy or manual; ``account`` ""
    holds everybody (weather, emergency override).
    """

    hold: str
    account: str
    kind: str
    owner: str
    start: datetime
    end: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SafetyLock:
    """A reason not to RECONNECT (RG1): crew at work, fire, flood, inspection, over-current trip."""

    lock: str
    account: str
    kind: str
    owner: str
    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard's verdict: its name, whether the disconnection may pass, and why; one that cannot be told is false."""

    name: str
    value: bool
    because: str


@dataclass(frozen=True, slots=True)
class Case:
    """Everything one decision on one account rests on, as committed at ``now``; serialisable, so it can be replayed.

    Money in micro-units, energy in Wh, ages in seconds. None = not known, and what is not known holds a disconnection.
    """

    account: str
    meter: str
    klass: str
    mode: str
    now: datetime
    zone: str
    currency: str
    lang: str
    # money
    posted_micro: int
    accrued_micro: int
    accrued_to: datetime | None
    estimate_micro: int
    balance_after_payment_micro: int
    last_payment_micro: int
    last_payment_at: datetime | None
    pending_micro: int
    pending_since: datetime | None
    pending_channel: str
    last_bill_micro: int
    epoch: int
    # read
    read_end: datetime | None  # end of the last actual read
    read_flags: int
    cycle_s: int  # reading cycle of the meter
    fresh_read_at: datetime | None  # register AND load read in a session, host time
    register_monotone: bool | None
    open_fault: str  # open swap, rollover or clock fault by name, "" = none
    load_w: int | None
    relay_limit_w: int | None
    serial_seen: str
    serial_expected: str
    serial_seen_at: datetime | None
    installed: datetime | None
    proved: datetime | None
    remote_relay: bool  # the driver has a verified read-back
    # relay and wish
    relay: RelayState
    relay_at: datetime | None
    service: Service
    live_command: str  # id of the live command, "" = none
    live_action: str
    # rules in force
    holds: tuple[Hold, ...]
    locks: tuple[SafetyLock, ...]
    agreement_from: datetime | None
    agreement_to: datetime | None
    migrated: datetime | None
    closed: datetime | None
    contact_confirmed: datetime | None
    alerts: tuple[str, ...]  # rung keys already raised in this epoch
    delivered: Mapping[str, str]  # rung key -> ISO time of delivery to the customer in this epoch
    forecast_sealed_at: datetime | None  # of the sealed forecast that saw exhaustion
    forecast_exhausts_at: datetime | None
    hours_left: float | None  # pessimistic P10
    hours_left_p50: float | None
    kwh_left: int | None  # Wh that the balance still buys
    approvals: tuple[str, ...]
    # the world
    price_change_in_flight: bool | None
    channels_reconciled: bool | None  # live payment channels reconciled within 15 min and due files in
    override_feed_fresh: bool | None
    clock_ok: bool | None
    breaker_open: bool | None  # True = tripped: no disconnection
    kill_switch: bool
    policy_version: str
    book_hash: str
    extras: Mapping[str, str] = field(default_factory=dict)
    overdue_micro: int | None = None  # post-paid: what is past its due date
    overdue_since: datetime | None = None  # post-paid: the oldest unpaid due date
    pending_spent: bool = False  # another pending payment of this epoch has blocked already (G3: once per epoch)
    batch: int = 0  # disconnections in the batch that this one belongs to, 0 = alone (G10)
    requester: str = "engine"  # who asked for a disconnection: never its approver
    voltage_load_v: int | None = None  # on the load side, only where the profile says that it is measured there (RG4)
    commodity: str = "electricity"  # electricity | gas | water
    tier: int | None = None  # price tier of the last unit, from 0: over-tier notices
    tier_period: str = ""  # the ladder's period, e.g. 2026-07: one over-tier notice per tier and period
    next_tier_h: float | None = None  # hours to the next tier of the ladder at the usual use, within the same span
    debt_micro: int = 0  # agreed debt that payments pay off bit by bit
    debt_share_percent: int = 0  # of each payment
    debt_cap_week_micro: int = 0
    debt_week_micro: int = 0  # taken in this week already
    accumulated_micro: int = 0  # debt that grew while nothing could be collected
    last_debt_micro: int = 0  # of the last payment, taken for debts
    shadow: str = ""  # "all": nothing is sent, "cuts": no disconnection is, "": live
    price_doubt_from: datetime | None = None  # forecasts sealed from here on rest on prices that changed (G6)
    price_firm_from: datetime | None = None  # those sealed from here on count: two persons confirmed the change
    at_send: bool = False  # judged at the send: guards ask for what only a session with the meter can show


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one account, with every guard and the whole case as inputs (canonical JSON)."""

    decision: str  # id derived from content
    account: str
    at: datetime
    verdict: str  # none alert request_approval disconnect connect hold field_order read_back shadow
    reason: str
    credit: Credit
    available_micro: int
    guards: tuple[Guard, ...]
    policy_version: str
    case: str  # canonical JSON of the Case


@dataclass(frozen=True, slots=True)
class Command:
    """One order to one relay, from wish to verified effect; ``fence`` rises per meter, ``valid_until`` bounds it."""

    command: str
    account: str
    meter: str
    action: Action
    fence: int
    state: CommandState
    valid_until: datetime
    reason: str
    decision: str
    policy_version: str
    priority: int
    requested: datetime
    updated: datetime
    attempts: int = 0
    drives: int = 0
    next_at: datetime | None = None  # not before
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None
    verified_at: datetime | None = None
    approvals: tuple[str, ...] = ()
    needs_approval: bool = False
    requester: str = "engine"
    clock_started: datetime | None = None  # reconnect clock: the payment's commit
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class CommandEvent:
    """One step of a command's life, kept forever."""

    command: str
    seq: int
    at: datetime
    event: str
    before: str
    after: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one recipient: code and parameters, never prose; ``text`` is what the channel sent."""

    notice: str  # id from content: account, epoch, rung, recipient
    account: str
    epoch: int
    rung: str  # e.g. money.1, share.30, hours.24, final, over_tier, reconnected
    recipient: str  # customer | second | collector | meter
    channel: str
    address: str
    lang: str
    code: str
    params: Mapping[str, str]
    created: datetime
    not_before: datetime | None = None  # quiet hours
    state: str = "queued"  # queued | sent | delivered | failed | shadow
    text: str = ""
    message_id: str = ""
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    attempts: int = 0
    next_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """One task for a person in the field, with one owner and a due time; one per event."""

    order: str
    account: str
    meter: str
    kind: str  # reconnect | disconnect_by_hand | relay_fault | on_site_check | tamper | clock_drift | ...
    state: str  # open | assigned | done | cancelled
    created: datetime
    due: datetime | None = None
    owner: str = ""
    cause: str = ""
    detail: str = ""
    closed: datetime | None = None
    closed_by: str = ""
    outcome: str = ""  # on site: confirmed | cleared | mended
    found: str = ""  # plain words of whoever was there


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that must never happen quietly: a wrong disconnection, a breach of the clock, a broken invariant."""

    incident: str
    kind: str
    at: datetime
    account: str = ""
    command: str = ""
    detail: str = ""
    closed: datetime | None = None


@dataclass(frozen=True, slots=True)
class SealedForecast:
    """When an account was forecast to run out, sealed at ``sealed_at`` with the books of that time (G6, breaker)."""

    account: str
    sealed_at: datetime
    exhausts_at: datetime | None  # None: not within the horizon
    p10_at: datetime | None = None
    book_hash: str = ""


@dataclass(frozen=True, slots=True)
class PriceBasis:
    """What one account is charged by now; ``doubt_from`` None: it never changed since it was first seen."""

    account: str
    book_hash: str
    attributes: str  # JSON, without those that no price depends on
    code: str  # fingerprint of the rating code
    since: datetime
    doubt_from: datetime | None = None
    before: str = ""  # the book's hash before the doubt
    confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Allocated:
    """Where one payment of an account with debt went, with what was owed then; ``undone_micro`` by its reversal."""

    channel: str
    external_id: str
    account: str
    at: datetime
    amount_micro: int
    friendly: bool
    owed_debt_micro: int
    share_percent: int
    cap_week_micro: int
    week_micro: int
    owed_accumulated_micro: int
    to_threshold_micro: int
    emergency_used_micro: int
    debt_micro: int
    accumulated_micro: int
    threshold_micro: int
    emergency_micro: int
    credit_micro: int
    undone_micro: int = 0


@dataclass(frozen=True, slots=True)
class Fence:
    """The last fence that left for one meter; raised in its own commit before anything is sent."""

    meter: str
    fence: int
