"""What is known of the field beside meters goes in and out here: messages taken, positions, routes, outages."""

from dataclasses import dataclass
from datetime import datetime

from storage.records import TableSpec

ANNOUNCED, UNDER_WAY, OVER, CANCELLED = "announced", "under_way", "over", "cancelled"
STANDING = (ANNOUNCED, UNDER_WAY)


@dataclass(frozen=True, slots=True)
class Entry:
    """One handheld message as it was taken: the route record, and what a repetition is known by."""

    device: str
    message_id: str
    seq: int
    kind: str
    at: datetime  # by the device
    received: datetime
    digest: str  # of the whole message
    status: str
    reason: str = ""
    account: str = ""
    meter: str = ""
    register_wh: int | None = None
    person: str = ""
    latitude: float | None = None  # WGS84
    longitude: float | None = None
    accuracy_m: float | None = None
    supersedes: str = ""
    detail: str = ""


SUM = "sum"


@dataclass(frozen=True, slots=True)
class Site:
    """Where one meter hangs: its position in WGS84, what feeds it, and its place on a reading route."""

    meter: str
    latitude: float | None = None
    longitude: float | None = None
    transformer: str = ""
    feeder: str = ""
    route: str = ""
    stop: int = 0  # place on the route
    role: str = ""  # SUM: the register at the transformer itself, which nobody pays
    verified_until: datetime | None = None  # the end of its verification, by law or by its batch


@dataclass(frozen=True, slots=True)
class Route:
    """One reading route: who walks it, and on which day of every how many months."""

    route: str
    reader: str
    day: int
    months: int = 1


@dataclass(frozen=True, slots=True)
class Outage:
    """One time without supply: whom it touches, why, since when and until when.

    It touches one meter, a transformer area or a feeder; one of which none is named touches nobody until somebody says
    which. ``start`` is when supply went or goes off; ``ended`` when it came back.
    """

    outage: str
    cause: str  # planned | fault | temporary
    state: str  # announced | under_way | over | cancelled
    start: datetime
    reported: datetime
    by: str
    expected_end: datetime | None = None
    ended: datetime | None = None
    meter: str = ""
    transformer: str = ""
    feeder: str = ""
    work: str = ""
    told_state: str = ""  # the state that customers were told of last
    told_to: str = ""  # of the state being told: the last account of those told, in order of name


@dataclass(frozen=True, slots=True)
class ReadCorrection:
    """One stored read that was decoded again: both values, the bytes' time, and by which profile each was made."""

    meter: str
    channel: int
    end: datetime
    profile_now: str
    before_wh: int
    after_wh: int
    model: str
    profile_before: str
    heard: datetime  # when the bytes came over the wire
    at: datetime
    by: str


TABLES: tuple[TableSpec, ...] = (
    TableSpec(
        "handheld_entry",
        Entry,
        ("device", "message_id"),
        indexes=(("device", "seq"), ("device", "at"), ("meter", "at"), ("kind", "at"), ("message_id",)),
        comment="Every handheld message taken or refused, with its exact time and place: the route record",
    ),
    TableSpec(
        "site",
        Site,
        ("meter",),
        indexes=(("transformer",), ("feeder",), ("route",), ("latitude",)),
        comment="Where each meter hangs",
    ),
    TableSpec("route", Route, ("route",), comment="Reading routes: reader, day of the month, months of a cycle"),
    TableSpec(
        "read_correction",
        ReadCorrection,
        ("meter", "channel", "end", "profile_now"),
        append_only=True,
        comment="Reads decoded again after a profile was corrected, with both values and profiles",
    ),
    TableSpec(
        "outage", Outage, ("outage",), indexes=(("state", "start"),), comment="Outages: planned, fault, temporary"
    ),
)
