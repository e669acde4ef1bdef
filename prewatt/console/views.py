"""What a page shows, as plain frozen data: read from the store by ``board`` and ``account``, drawn by the templates.

Money stays integer micro-units and time naive UTC until ``words`` writes them in the viewer's language and zone.
"""

from dataclasses import dataclass
from datetime import datetime

TILES = ("active", "warning", "grace", "pending", "disconnected", "reconnecting", "protected", "stale")
ICONS = {
    "active": "circle-check",
    "warning": "triangle-alert",
    "grace": "hourglass",
    "pending": "clock",
    "disconnected": "zap-off",
    "reconnecting": "refresh-cw",
    "protected": "shield",
    "stale": "wifi-off",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page carries: site, clock, gateways, badges."""

    site: str
    version: str
    now: datetime
    zone: str
    simulated: bool
    gateways_up: int
    gateways: int
    approvals: int
    orders: int
    accounts: int


@dataclass(frozen=True, slots=True)
class AttentionRow:
    """One account that needs a look; ``spark`` is 48 hourly Wh, ``hours_left`` negative once it is gone."""

    account: str
    name: str
    protocol: str
    state: str
    currency: str
    available_micro: int
    burn_micro: int
    hours_left: float | None
    tier: int | None
    spark: tuple[int, ...]
    read_age_s: int | None


@dataclass(frozen=True, slots=True)
class ApprovalCard:
    """One disconnection that waits for a person, with the facts that it rests on."""

    command: str
    account: str
    name: str
    currency: str
    available_micro: int
    expired_h: float | None
    read_age_s: int | None
    notices: int
    protected: bool
    window_until: datetime | None  # None: shut now
    window_from: datetime | None


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line of the timeline: code and parameters; ``words.event`` writes it."""

    at: datetime
    code: str
    account: str
    name: str
    params: tuple[tuple[str, str], ...]
    currency: str = ""


@dataclass(frozen=True, slots=True)
class GatewayStrip:
    """Completeness of one gateway, hour by hour: percent of expected slots stored, None = nothing expected."""

    gateway: str
    percents: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """The whole first page."""

    frame: Frame
    tiles: tuple[tuple[str, int], ...]
    attention: tuple[AttentionRow, ...]
    attention_all: int
    approvals: tuple[ApprovalCard, ...]
    events: tuple[EventLine, ...]
    strips: tuple[GatewayStrip, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One charged slot with its tariff period, tier and price per kWh (a decimal string)."""

    end: datetime
    energy_wh: int
    amount_micro: int
    period: str
    tier: int
    price: str


@dataclass(frozen=True, slots=True)
class TierStep:
    """One step of the tier meter: its upper limit in kWh (None = no end) and its price as a decimal string."""

    limit_kwh: int | None
    price: str


@dataclass(frozen=True, slots=True)
class TierMeter:
    """Where the account stands on its ladder; ``scope`` is month or year."""

    scope: str
    used_wh: int
    steps: tuple[TierStep, ...]
    current: int


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One posting of the customer's account with the balance after it."""

    at: datetime
    source: str
    source_id: str
    memo: str
    amount_micro: int
    balance_micro: int


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """One notice to one recipient."""

    at: datetime
    rung: str
    recipient: str
    channel: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class CommandLine:
    """One relay command."""

    at: datetime
    command: str
    action: str
    state: str
    reason: str
    took_s: int | None


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Everything about one account."""

    frame: Frame
    account: str
    name: str
    klass: str
    book: str
    state: str
    relay: str
    relay_at: datetime | None
    currency: str
    available_micro: int
    posted_micro: int
    accrued_micro: int
    hours_left: float | None
    burn_micro: int
    price: str
    read_age_s: int | None
    warn_micro: int
    cut_micro: int
    balance: tuple[tuple[datetime, int], ...]
    projection: tuple[tuple[datetime, int], ...]
    bars: tuple[Bar, ...]
    tier: TierMeter | None
    timeline: tuple[EventLine, ...]
    ledger: tuple[LedgerLine, ...]
    notices: tuple[NoticeLine, ...]
    commands: tuple[CommandLine, ...]
    approval: str  # the command that waits for approval, "" = none
