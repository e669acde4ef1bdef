"""What ingest hands on: meter reads, intervals, relay reports and findings, frozen and in base units.

Times are naive UTC; an interval is half-open and named by its end; energy is integer Wh (reactive: varh; gas: litres).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, IntFlag, StrEnum


class Channel(IntEnum):
    """What a register counts."""

    IMPORT = 1  # Wh taken from the grid
    EXPORT = 2  # Wh fed into the grid
    REACTIVE = 3  # varh, lagging
    GAS = 4  # 0.001 m3


class Flag(IntFlag):
    """Quality of a read or an interval; none set means an actual, valid value read over the air."""

    NONE = 0
    ESTIMATED = 1  # filled by a rule; never disconnected upon
    SUSPECT = 2  # spike, fall or stuck: kept, not billed until confirmed
    MANUAL = 4  # read by a person
    FINAL = 8  # confirmed on site: unchangeable
    BACKFILL = 16  # came from a load profile after a gap
    CLOCK = 32  # the device's clock was off by more than the limit
    UNCERTAIN = 64  # the energy is right, its hour is not (catch-up block)
    ROLLOVER = 128  # the register passed its last digit
    SWAP = 256  # first read of another meter
    CONFLICT = 512  # a second, different value for the same slot was kept aside
    IMPORTED = 1024  # from a file
    CONFIRMED = 2048  # a suspect value that a person confirmed: billable


NOT_BILLABLE = Flag.SUSPECT
NOT_ACTUAL = Flag.ESTIMATED | Flag.SUSPECT


class RelayState(StrEnum):
    """What is known of a relay."""

    CLOSED = "closed"
    OPEN = "open"
    READY = "ready"  # armed: the customer must press
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class MeterPoint:
    """How to reach one meter and who it is.

    ``meter_id`` is the surrogate that the lake carries, ``meter`` the utility's number, ``serial`` what the device
    itself must answer; ``model`` names a driver (``ingest.drivers``); ``gateway`` names the link it hangs on, and
    ``unit`` is its Modbus unit id or DLMS logical device (wrapper port) there.
    """

    meter_id: int
    meter: str
    serial: str
    model: str
    protocol: str  # "modbus" | "dlms" | "mqtt" | "file"
    gateway: str
    host: str
    port: int
    unit: int
    slot_min: int = 60
    zone: str = "UTC"
    max_power_w: int = 100_000
    digits: int = 9  # register rolls over at 10**digits of its base unit
    secret: str = ""  # name of a secret (never the secret itself)


@dataclass(frozen=True, slots=True)
class MeterRead:
    """One register at one instant: ``register_wh`` is cumulative, in base units; ``end`` is the slot that it closes."""

    meter_id: int
    channel: int
    end: datetime
    register_wh: int
    flags: int = 0
    offset_s: int = 0  # device clock minus ours when it was read


@dataclass(frozen=True, slots=True)
class Interval:
    """Energy of one meter and channel over ``minutes`` before ``end``."""

    meter_id: int
    channel: int
    end: datetime
    minutes: int
    energy_wh: int
    flags: int = 0


@dataclass(frozen=True, slots=True)
class RelayReport:
    """What a device says of its relay, and what its load says, at one instant."""

    meter: str
    at: datetime
    state: RelayState
    power_w: int | None = None  # load through the relay; None: not measured
    voltage_load_v: int | None = None  # only where the profile says it is measured on the load side
    source: str = "read_back"


@dataclass(frozen=True, slots=True)
class Finding:
    """The field's kind of wrong: something that was seen, counted and kept, and stopped nothing else.

    ``code`` is a stable word such as ``wrong_unit`` or ``clock_off``; ``detail`` says what to do next.
    """

    code: str
    at: datetime
    meter: str = ""
    gateway: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Poll:
    """Everything one visit to one meter gave; ``serial`` is what the device answered in this session, "" if nothing."""

    meter: str
    at: datetime
    serial: str = ""
    reads: tuple[MeterRead, ...] = ()
    relay: RelayReport | None = None
    power_w: int | None = None
    voltage_v: int | None = None
    offset_s: int | None = None
    findings: tuple[Finding, ...] = ()
    register_wh: int | None = None  # the import register as this session showed it, whatever slot the reads are for
    raw: tuple[tuple[bytes, bytes], ...] = ()  # what was asked and answered, to be decoded again (ingest.rawpoll)
    unasked: tuple[bytes, ...] = ()  # frames that the device sent of its own accord since the last poll

    @property
    def ok(self) -> bool:
        """Whether at least one register was read."""
        return bool(self.reads)


class DriveResult(StrEnum):
    """How a device answered a relay command; ``unknown`` = no answer, so read back before anything else."""

    ACKNOWLEDGED = "acknowledged"
    UNKNOWN = "unknown"
    REFUSED = (
        "refused"  # the device said no: reason in the finding (keep_power, over_current, bad_auth, bad_time, read_only)
    )
    FENCED = "fenced"  # fence not above the last one at the gateway: dropped
    EXPIRED = "expired"  # valid_until passed at the gateway: dropped
    UNREACHABLE = "unreachable"  # nothing left this host: safe to try again


@dataclass(frozen=True, slots=True)
class Drive:
    """One relay order as a link takes it; ``action`` is disconnect, connect or arm."""

    command: str
    meter: str
    action: str
    fence: int
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class DriveOutcome:
    """What became of one drive, with the finding that explains anything but an acknowledgement."""

    command: str
    at: datetime
    result: DriveResult
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a sink says after its commit: how many rows were new, already there, or in conflict."""

    accepted: int
    new: int
    duplicate: int
    conflict: int


@dataclass(frozen=True, slots=True)
class HandheldMessage:
    """One message of a reader's or crew's handheld, decoded; ``kind`` is one of ``ingest.wire.handheld.KINDS``."""

    message_id: str
    device: str
    kind: str
    seq: int
    at: datetime  # the device's exact time, UTC
    meter: str = ""
    serial: str = ""
    register_wh: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy_m: float | None = None
    person: str = ""
    detail: str = ""
    datum: str = "WGS84"  # of the position; Chinese map layers (GCJ02, BD09) lie 100 to 700 m off
    serial_out: str = ""  # swap: the meter that was taken down
    register_out_wh: int | None = None  # swap: its last register
    photo: str = ""  # where the picture is kept; the picture itself goes another way
    supersedes: str = ""  # mend: message id of the record that was misread
    order: str = ""  # resolve: the work order that was looked into on site
    outcome: str = ""  # resolve: what was found there
    outage: str = ""  # the outage's own id; of an outage message without one, its message id
    cause: str = ""  # outage: planned, fault or temporary
    transformer: str = ""  # outage: whom it touches, beside or instead of a meter
    feeder: str = ""
    start: datetime | None = None  # outage: when supply went or goes off, UTC; none given: ``at``
    expected_end: datetime | None = None  # outage: when it should be back, UTC


@dataclass(frozen=True, slots=True)
class HandheldReply:
    """What goes back to the handheld after our commit; amounts are decimal strings.

    ``items`` are the customers near a position, or the stops of a route: one flat object of texts each.
    """

    message_id: str
    device: str
    status: str  # accepted | duplicate | held | refused
    reason: str = ""
    account: str = ""
    bill: str = ""
    balance: str = ""
    currency: str = ""
    tier: int | None = None
    items: tuple[Mapping[str, str], ...] = ()
