"""What control must remember beside decisions: visits to meters, signals of the world, files already taken.

A ``Signal`` is a named fact with its time and who set it: ``kill_switch``, ``breaker``, ``override_feed``,
``payments.<channel>`` (last reconciled), ``price_change``, ``heartbeat.engine``. A fact that is missing or old is not
known, and what is not known holds a disconnection.
"""

from dataclasses import dataclass
from datetime import datetime

from storage.records import TableSpec

KILL_SWITCH = "kill_switch"
BREAKER = "breaker"
OVERRIDE_FEED = "override_feed"
PRICE_CHANGE = "price_change"
HEARTBEAT = "heartbeat.engine"
HEARTBEAT_WATCHDOG = "heartbeat.watchdog"
PAYMENTS = "payments."
OPEN, DROPPED = "open", "dropped"


@dataclass(frozen=True, slots=True)
class Signal:
    """One named fact: its value as a word, when it was true, and who said so."""

    name: str
    value: str
    at: datetime
    by: str = "engine"


def dropped_on(now: datetime) -> str:
    """What the breaker says when two persons dropped what it kept back: open until that day (UTC) is over."""
    return f"{DROPPED}:{now:%Y-%m-%d}"


def breaker_word(state: Signal | None, now: datetime) -> str:
    """``open`` or ``dropped`` while the breaker keeps everything back, "" when it is closed."""
    if state is None or state.value not in (OPEN, dropped_on(now)):
        return ""
    return state.value.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Visit:
    """The last session with one meter: what it said of itself, and whether its register went on from before."""

    meter: str
    at: datetime
    serial: str
    register_wh: int | None
    power_w: int | None
    offset_s: int | None
    monotone: bool | None  # None: nothing to compare with
    fault: str = ""  # clock, rollover, swap or the finding's code; "" = none


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A payment file that was taken whole; the same bytes are refused for ever."""

    digest: str
    channel: str
    name: str
    at: datetime
    rows: int
    total_micro: int


@dataclass(frozen=True, slots=True)
class Tally:
    """One count of a payment channel beside ours, of payments paid in (since, until]; ``agreed``: they are equal."""

    seq: int  # given by the store when 0
    channel: str
    until: datetime
    at: datetime
    since: datetime | None
    count: int
    total_micro: int
    ours: int
    ours_micro: int
    agreed: bool
    by: str = "channel"


TABLES: tuple[TableSpec, ...] = (
    TableSpec("signal", Signal, ("name",), comment="Named facts of the world with their time; an old one is not known"),
    TableSpec("visit", Visit, ("meter",), comment="Last session with each meter: serial, register, load, clock offset"),
    TableSpec("taken_file", TakenFile, ("digest",), append_only=True, comment="Payment files taken, by SHA-256"),
    TableSpec(
        "channel_tally",
        Tally,
        ("seq",),
        append_only=True,
        indexes=(("channel", "until"),),
        comment="Counts of payment channels and ours",
    ),
)
