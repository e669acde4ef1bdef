"""What storage hands on: master data, payments and ledger entries; frozen, in integers, times naive UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TableSpec:
    """How one record type is stored: its table, its key, whether rows may change, and what analysts read about it.

    ``record`` is a frozen dataclass whose fields are str, int, bool, datetime or None-able of these, or a tuple or
    mapping that is stored as canonical JSON. ``comment`` and ``columns`` become COMMENTs of the catalog's view.
    """

    name: str
    record: type
    key: tuple[str, ...]
    append_only: bool = False
    indexes: tuple[tuple[str, ...], ...] = ()
    published: bool = True
    comment: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InvocationCounter:
    """How far the invocation counters of one key were ever given out; the key itself is a secret, and elsewhere."""

    key: str
    used: int


@dataclass(frozen=True, slots=True)
class Account:
    """One customer agreement: ``klass`` picks the control policy, ``book`` the tariff; money is in ``currency``."""

    account: str
    name: str
    klass: str  # residential | non_residential | large | ...
    book: str
    zone: str
    currency: str
    mode: str = "prepaid"  # prepaid | postpaid
    lang: str = "en"
    phone: str = ""
    email: str = ""
    collector: str = ""  # contact of the collector responsible
    contact_confirmed: datetime | None = None
    agreement_from: datetime | None = None  # signed fee-control agreement (G13)
    agreement_to: datetime | None = None
    migrated: datetime | None = None  # start of the migration grace (G11)
    feeder: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)  # household size, contracted kVA, ... by name
    opened: datetime | None = None
    closed: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountState:
    """What the rater keeps per account; derivable again from the lake and the books, never the only truth."""

    account: str
    accrued_micro: int = 0
    accrued_to: datetime | None = None  # end of the last ACTUAL slot rated
    period_start: datetime | None = None
    balance_after_payment_micro: int = 0  # available just after the last payment
    last_payment_micro: int = 0
    last_payment_at: datetime | None = None
    epoch: int = 0  # credit epoch: rises when a payment lifts the status to ok
    book_hash: str = ""
    estimate_micro: int = 0  # provisional money for the unread gap: warns, never disconnects
    next_tier_wh: int | None = None  # Wh left in the ladder's tier at the last actual read; None: none, or the last one
    billed_estimate_micro: int = 0  # of posted bills, what rests on estimates: moved from accrued to the estimate


@dataclass(frozen=True, slots=True)
class Install:
    """One meter at one account from ``start`` (until ``end``): the join of money and metal."""

    meter_id: int
    meter: str
    account: str
    serial: str
    start: datetime
    end: datetime | None = None
    multiplier: int = 1
    proved: datetime | None = None  # on-site proof that this relay feeds this customer (G12)


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment as a channel delivered it; (channel, external_id) counts once, whatever is repeated."""

    channel: str
    external_id: str
    account: str
    amount_micro: int
    currency: str
    at: datetime  # when the payer paid, by the channel's word
    received: datetime  # when we took it
    status: str = "posted"  # posted | pending | unmatched | failed | reversed
    reason: str = ""
    body_hash: str = ""


@dataclass(frozen=True, slots=True)
class Posting:
    """One leg of a double entry: the legs of one (source, source_id) sum to zero; positive = credit.

    ``ledger_account`` is ``customer:<account>`` or one of the house such as ``cash:webhook`` or ``revenue:energy``.
    """

    source: str
    source_id: str
    ledger_account: str
    amount_micro: int
    currency: str
    at: datetime  # when it counts
    posted: datetime  # when it was committed
    memo: str = ""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One link of the hash chain: ``digest`` covers ``previous`` and the canonical body."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    body: str
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline: code and parameters, never prose; the console and the JSON log render it."""

    seq: int  # given by the store when 0
    at: datetime
    code: str
    account: str = ""
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredBill:
    """A posted bill: its totals beside ``bill``, the whole Bill as canonical JSON; one per account and start."""

    account: str
    start: datetime
    end: datetime
    book: str
    book_hash: str
    currency: str
    total_micro: int
    complete: bool
    ended: datetime | None
    reads_hash: str
    bill: str
    posted: datetime
    estimated_micro: int = 0  # part of the total that rests on estimates: it warns, and disconnects nobody


@dataclass(frozen=True, slots=True)
class SupersededBill:
    """A bill as it stood until a correction replaced it; ``revision`` counts from 0, the bill as first posted."""

    account: str
    start: datetime
    revision: int
    total_micro: int
    book_hash: str
    reads_hash: str
    bill: str
    posted: datetime
    superseded: datetime


@dataclass(frozen=True, slots=True)
class BookVersion:
    """The text of a tariff book as it was used, kept as long as explanations are promised; named by its hash."""

    book_hash: str
    book: str
    currency: str
    zone: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ReadConflict:
    """A second, different value for a slot: kept aside, visible, never billed; ``kept`` is the value that bills."""

    dataset: str
    meter_id: int
    channel: int
    end: datetime
    kept: int
    other: int
    flags: int
    source: str
    source_seq: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far consumer ``name`` has read the inbox of ``dataset``: batches up to ``seq`` are done."""

    name: str
    dataset: str
    seq: int


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work that must survive a restart: its kind, state and where it stands."""

    job: str
    kind: str
    state: str  # open | done | failed
    started: datetime
    updated: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ConfigAudit:
    """A configuration as it was in force from ``at`` on, named by its digest."""

    digest: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class RegisterPlace:
    """Where one register stands: its last trusted read, and the suspect one after it, if any (see ingest/intervals)."""

    meter_id: int
    channel: int
    end: datetime
    register_wh: int
    estimated: bool = False
    suspect_end: datetime | None = None
    suspect_wh: int = 0


@dataclass(frozen=True, slots=True)
class OpenPeriod:
    """What one account owes for one billing period that has no posted bill yet; accrued is as of ``accrued_to``."""

    account: str
    start: datetime
    end: datetime
    book_hash: str
    accrued_micro: int
    accrued_to: datetime | None
    estimate_micro: int = 0
    next_tier_wh: int | None = None
