"""What a meter declares: a driver is one frozen constant, read by links, simulator, tests and documentation alike.

``Driver`` is the face that all protocols share; ``ModbusDriver`` and ``DlmsDriver`` add what their protocol needs. A
driver is data: no code, no I/O. Scales lead to base units (Wh, W, V) as exact fractions.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Protocol, runtime_checkable

from ingest.errors import ProfileError


@runtime_checkable
class Driver(Protocol):
    """What every driver says of itself, whatever it speaks.

    ``name`` is what ``MeterPoint.model`` holds; ``switchable`` is True only with a relay whose read-back was verified;
    ``load_profile`` says that a gap can be filled from the device; ``proven`` names the frame, peer or document that we
    did not make and that this driver was checked against, "unproven" otherwise.
    """

    @property
    def name(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def switchable(self) -> bool: ...
    @property
    def load_profile(self) -> bool: ...
    @property
    def max_power_w(self) -> int: ...
    @property
    def proven(self) -> str: ...


class Quantity(StrEnum):
    """What a register holds, with the base unit in its name."""

    IMPORT = "import_wh"
    EXPORT = "export_wh"
    POWER = "power_w"
    VOLTAGE = "voltage_v"
    IDENTITY = "identity"
    FIRMWARE = "firmware"
    RELAY = "relay"


class Encoding(StrEnum):
    """How a value lies in 16-bit registers."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"


WORDS = {
    Encoding.INT16: 1,
    Encoding.UINT16: 1,
    Encoding.INT32: 2,
    Encoding.UINT32: 2,
    Encoding.INT64: 4,
    Encoding.UINT64: 4,
    Encoding.FLOAT32: 2,
}


class WordOrder(StrEnum):
    """Order of the 16-bit words; the bytes inside a word are always big-endian (Modbus Application Protocol 4.2)."""

    HIGH_FIRST = "ABCD"
    LOW_FIRST = "CDAB"


@dataclass(frozen=True, slots=True)
class Register:
    """One value of one meter: where it is, how it is written, and what multiplies it to its base unit.

    ``address`` is 0-based as on the wire; ``function`` 3 or 4; ``not_available`` lists raw bit patterns (unsigned) that
    mean "no value" (NaN and infinities always do); ``says`` is a plain sentence for the documentation.
    """

    quantity: Quantity
    function: int
    address: int
    encoding: Encoding
    scale: Fraction = Fraction(1)
    words: WordOrder = WordOrder.HIGH_FIRST
    not_available: tuple[int, ...] = ()
    says: str = ""

    @property
    def count(self) -> int:
        """How many 16-bit registers it takes."""
        return WORDS[self.encoding]


@dataclass(frozen=True, slots=True)
class Identity:
    """How the device says who it is, in the same session as its reads.

    ``serial``: a number that the maker gave it. ``station``: only the unit id it believes to have, taken from bits
    ``mask`` >> ``shift`` of a register: proves that the asked unit answered, not which meter hangs there; master data
    then hold ``unit-<n>`` as serial.
    """

    kind: str  # "serial" | "station"
    register: Register
    mask: int = 0xFFFF_FFFF
    shift: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """A bit apart from the relay that forbids remote switching: read before every drive."""

    function: int  # 1 coil, 2 discrete input, 3 holding, 4 input
    address: int
    locked: int = 1
    mask: int = 0xFFFF


@dataclass(frozen=True, slots=True)
class ModbusRelay:
    """How to switch and how to know: what is written where, and the register that says what the relay did.

    ``write`` is function 5 (coil: FF00/0000), 6 or 16; ``close`` and ``open`` are the words written; the state is
    ``read_address & read_mask`` compared with ``closed`` and ``opened``, anything else is unknown. ``verified`` stays
    False until the read-back was seen to follow the relay: until then the driver is read-only. ``key`` names a key
    function that the write needs.
    """

    write: int
    address: int
    close: tuple[int, ...]
    open: tuple[int, ...]
    read: int
    read_address: int
    closed: int
    opened: int
    read_mask: int = 0xFFFF
    verified: bool = False
    lock: Lock | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One exchange as it was on the wire (PDU hex, without MBAP and CRC) and the value that it must give."""

    request: str
    response: str
    quantity: Quantity
    value: int  # in base units, rounded half to even
    source: str


@dataclass(frozen=True, slots=True)
class ModbusDriver:
    """A Modbus meter as data. ``gap_ms`` is the least pause between requests, ``most_registers`` the longest read,
    ``largest_gap`` how many unused registers a read may step over (0: the map has holes that answer with exception 2).
    """

    name: str
    title: str
    registers: tuple[Register, ...]
    examples: tuple[Example, ...]
    identity: Identity | None = None
    firmware: Register | None = None
    relay: ModbusRelay | None = None
    max_power_w: int = 100_000
    most_registers: int = 100
    largest_gap: int = 0
    gap_ms: int = 0
    timeout_s: float = 2.0
    proven: str = "unproven"
    source: str = ""
    protocol: str = "modbus"
    load_profile: bool = False

    def __post_init__(self) -> None:
        """Refuse a driver that contradicts itself, naming it and what to do."""
        seen = [register.quantity for register in self.registers]
        if len(set(seen)) != len(seen):
            raise ProfileError(f"driver {self.name}: a quantity is declared twice; one register each")
        if Quantity.IMPORT not in seen:
            raise ProfileError(f"driver {self.name}: no import_wh register; a meter without energy cannot be billed")
        if self.relay is not None and self.relay.verified and self.relay.key:
            raise ProfileError(f"driver {self.name}: no key function {self.relay.key!r}; leave the relay unverified")

    def __hash__(self) -> int:
        """By name: plans are cached per driver, and its many fractions are slow to hash."""
        return hash(self.name)

    @property
    def switchable(self) -> bool:
        """Whether the relay may be driven: only with a verified read-back."""
        return self.relay is not None and self.relay.verified


@dataclass(frozen=True, slots=True)
class SunSpecDriver:
    """A SunSpec meter: where its values are is in the device itself (``ingest.wire.sunspec``); nothing is switched."""

    name: str
    title: str
    max_power_w: int = 100_000
    timeout_s: float = 3.0
    gap_ms: int = 0
    proven: str = "unproven"
    source: str = ""
    protocol: str = "modbus"
    load_profile: bool = False
    switchable: bool = False
    relay: None = None


@dataclass(frozen=True, slots=True)
class CosemObject:
    """One COSEM attribute: class, OBIS (``1.0.1.8.0.255``), attribute, and the scale that the profile fixes.

    ``scale`` None: read the scaler_unit attribute of the object itself.
    """

    quantity: Quantity
    class_id: int
    obis: str
    attribute: int = 2
    scale: Fraction | None = None
    says: str = ""


@dataclass(frozen=True, slots=True)
class DlmsDriver:
    """A DLMS/COSEM meter as data: association, objects, load profile and disconnect control."""

    name: str
    title: str
    objects: tuple[CosemObject, ...]
    client: int = 1  # client wrapper port (client SAP)
    authentication: str = "lls"  # none | lls | hls-gmac
    ciphering: str = "glo"  # with hls-gmac: none | glo | ded | general-glo | general-ded
    profile_obis: str = "1.0.99.1.0.255"
    profile_columns: tuple[Quantity, ...] = ()
    profile_minutes: int = 60
    disconnect_obis: str = "0.0.96.3.10.255"
    disconnect_verified: bool = False
    clock_obis: str = "0.0.1.0.0.255"
    utc_deviation: bool = True  # False: deviation "not specified" or wrong, the point's zone counts
    releases: bool = True  # False: the meter leaves a release request unanswered
    max_power_w: int = 100_000
    timeout_s: float = 5.0
    proven: str = "unproven"
    source: str = ""
    protocol: str = "dlms"
    examples: tuple[tuple[str, str], ...] = field(default=())

    @property
    def switchable(self) -> bool:
        """Whether the disconnect control may be driven: only with a verified read-back."""
        return bool(self.disconnect_obis) and self.disconnect_verified

    @property
    def load_profile(self) -> bool:
        """Whether gaps can be filled from the meter's own profile."""
        return bool(self.profile_obis) and bool(self.profile_columns)


@dataclass(frozen=True, slots=True)
class Identifier:
    """One value of a DL/T 645-2007 meter by its data identifier (DI3 first); ``optional``: some meters lack it."""

    quantity: Quantity
    identifier: str
    optional: bool = False
    says: str = ""


@dataclass(frozen=True, slots=True)
class Dlt645Driver:
    """A DL/T 645-2007 meter as data: its address is its serial number, its relay is told by function 1C.

    ``closes`` is the order of a reconnection: ``close`` (1C) or ``permit`` (1B: a person presses). ``relay_verified``
    stays False until status word 3 was seen to follow the relay. ``signed``: orders must be signed by the utility's
    key front end (meters with ESAM keys); without it ``level`` and the password of the point's secret are sent.
    """

    name: str
    title: str
    identifiers: tuple[Identifier, ...]
    examples: tuple[tuple[str, str, Quantity, int], ...]  # request and answer (hex), what it holds in base units
    closes: str = "close"
    relay_verified: bool = False
    signed: bool = False
    level: int = 2
    operator: str = "00000000"
    max_power_w: int = 100_000
    timeout_s: float = 2.0
    gap_ms: int = 0
    proven: str = "unproven"
    source: str = ""
    protocol: str = "dlt645"
    load_profile: bool = False

    @property
    def switchable(self) -> bool:
        """Whether the relay may be driven: only with a verified read-back."""
        return self.relay_verified


@dataclass(frozen=True, slots=True)
class P1Driver:
    """A P1 port that is listened to: which objects hold what; nothing can be asked or switched.

    ``import_obis`` and ``export_obis`` are tried in turn: the total, or the tariffs whose sum it is.
    """

    name: str
    title: str
    import_obis: tuple[tuple[str, ...], ...]
    export_obis: tuple[tuple[str, ...], ...]
    gas_obis: tuple[str, ...] = ()
    zone: str = "Europe/Amsterdam"
    max_power_w: int = 100_000
    silence_s: float = 30.0  # a port that says nothing for longer is unreachable
    proven: str = "unproven"
    source: str = ""
    protocol: str = "p1"
    load_profile: bool = False
    switchable: bool = False
    examples: tuple[tuple[str, int], ...] = field(default=())


def expected_serial(driver: Driver, serial: str, unit: int) -> str:
    """What master data hold as serial for a meter on ``unit``: its serial, ``unit-<n>``, or "" if it tells nothing."""
    if not isinstance(driver, ModbusDriver):
        return serial
    if driver.identity is None:
        return ""
    return serial if driver.identity.kind == "serial" else f"unit-{unit}"
