"""APDUs of one client go in, the answers of one DLMS meter come out: the server side of one association.

Behind it stands a ``SimMeter``; which objects it has is what its driver declares, plus clock, load profile and
disconnect control. Nothing a client sends raises.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest.errors import WireRefusal
from ingest.model import CosemObject, DlmsDriver, Quantity
from ingest.records import RelayState
from ingest.wire import acse, apdu, listed, longrequests
from ingest.wire.axdr import Data, Tag, decode, encode
from ingest.wire.cosem import (
    Access,
    ClassId,
    Column,
    Name,
    Unit,
    When,
    entries_of,
    local_of,
    obis_bytes,
    pack_time,
    range_of,
    scaler_data,
    time_of,
)
from ingest.wire.interfaces import untyped
from sim.meters import SimMeter
from sim.relays import RELAY_OF, STATE_OF, Cause, ControlState, follow

STATUS = Column(ClassId.DATA, "0.0.96.10.1.255", 2)
DEVICE_NAME = Name(ClassId.DATA, "0.0.42.0.0.255", 2)
MESSAGE = Name(ClassId.DATA, "0.0.96.13.0.255", 2)
"""Consumer message text: what may be written besides the clock."""
SECURITY_SETUP = "0.0.43.0.0.255"
MAINS_V = 230
_VOLTAGE_EXPONENT = -1
_METHODS = {1: Cause.REMOTE_DISCONNECT, 2: Cause.REMOTE_RECONNECT}
_GOALS = {
    Cause.REMOTE_DISCONNECT: (ControlState.DISCONNECTED,),
    Cause.REMOTE_RECONNECT: (ControlState.CONNECTED, ControlState.READY_FOR_RECONNECTION),
}
_GET_HEAD = 12  # bytes of a GET response with block in front of its raw data


@dataclass(frozen=True, slots=True)
class Firmware:
    """How a simulated DLMS meter is built: its driver, secret, relay mode, longest answer, services and zone."""

    driver: DlmsDriver
    secret: bytes | None = None  # None: no authentication
    control_mode: int = 4
    max_apdu: int = 1024
    services: int = acse.OURS
    zone: str = "UTC"  # local time of a meter that gives no deviation


@dataclass(slots=True)
class LogicalDevice:
    """One association with one meter; ``answer`` never raises."""

    firmware: Firmware
    meter: SimMeter
    associated: bool = False
    _limit: int = 0
    _long: bytes = b""
    _gathered: longrequests.Gathered = field(default_factory=longrequests.Gathered)

    def answer(self, raw: bytes, now: datetime) -> bytes:
        """The APDU that answers ``raw``, b"" for what is not answered."""
        self.meter.advance(now)
        try:
            block = longrequests.decode(raw)
            if block is not None:
                return self._long_request(block, now) if self.associated else apdu.encode(apdu.ExceptionResponse(1, 1))
            many = listed.decode(raw) if self.associated else None
            if many is not None:
                results = tuple(self._set(name, value, now) for name, value in many.pairs)
                return listed.encode_answer(listed.SetListResponse(many.invoke, results))
            request = apdu.decode(raw)
        except WireRefusal:
            return apdu.encode(apdu.ExceptionResponse(2, 2))
        if isinstance(request, acse.AssociationRequest):
            return acse.encode(self._associate(request))
        if isinstance(request, acse.Release) and not request.answer:
            self.associated = False
            return acse.encode(acse.Release(answer=True))
        if not self.associated:
            return apdu.encode(apdu.ExceptionResponse(1, 1))
        return self._serve(request, now)

    def _associate(self, request: acse.AssociationRequest) -> acse.AssociationResponse:
        """Accept the right secret, or say what was wrong with it."""
        self.associated = False
        try:
            asked = acse.decode_initiate(request.user_information)
        except WireRefusal:
            return acse.AssociationResponse(b"\x0e\x01\x06\x01", result=1, diagnostic=1)
        self._limit = max(64, min(self.firmware.max_apdu, asked.max_apdu or self.firmware.max_apdu))
        agreed = acse.Initiate(asked.conformance & self.firmware.services, self._limit)
        information = acse.encode_initiate(agreed, answer=True)
        wanted = acse.Mechanism.NONE if self.firmware.secret is None else acse.Mechanism.LLS
        if request.mechanism != wanted:
            return acse.AssociationResponse(information, result=1, diagnostic=11)
        if request.secret != self.firmware.secret:
            return acse.AssociationResponse(information, result=1, diagnostic=13)
        self.associated = True
        return acse.AssociationResponse(information)

    def _serve(self, request: apdu.Apdu, now: datetime) -> bytes:
        match request:
            case apdu.GetRequest(invoke, name, access):
                result = self._get(name, access, now)
                body = b"" if isinstance(result, apdu.Denied) else encode(result)
                return self._fit(apdu.GetResponse(invoke, result), body)
            case apdu.GetList(invoke, names):
                results = tuple(self._get(name, access, now) for name, access in names)
                return self._fit(apdu.GetListResponse(invoke, results), apdu.list_bytes(results))
            case apdu.GetNext(invoke, number):
                return self._block(invoke, number)
            case apdu.SetRequest(invoke, name, value, _):
                return apdu.encode(apdu.SetResponse(invoke, self._set(name, value, now)))
            case apdu.ActionRequest(invoke, method, _):
                return apdu.encode(apdu.ActionResponse(invoke, self._act(method, now)))
        return apdu.encode(apdu.ExceptionResponse(1, 2))

    def _long_request(self, block: longrequests.Block, now: datetime) -> bytes:
        """A SET or ACTION in blocks: what was taken, or with the last one what became of it."""
        tag = apdu.SET_ANSWER if block.tag == apdu.SET else apdu.ACTION_ANSWER
        whole = self._gathered.take(block)
        if whole is None:
            return longrequests.encode_taken(longrequests.Taken(tag, block.invoke, block.number))
        name, value = whole[0], decode(whole[1])
        if block.tag == apdu.ACTION:
            return apdu.encode(apdu.ActionResponse(block.invoke, self._act(name, now)))
        result = self._set(name, value, now)
        return longrequests.encode_taken(longrequests.Taken(tag, block.invoke, block.number, result))

    def _fit(self, response: apdu.GetResponse | apdu.GetListResponse, body: bytes) -> bytes:
        """The whole answer when the client can take it, else its first block."""
        whole = apdu.encode(response)
        if len(whole) <= self._limit:
            return whole
        self._long = body
        return self._block(response.invoke, 0)

    def _block(self, invoke: int, number: int) -> bytes:
        """The block after ``number``; asked for again it is the same block again."""
        size = self._limit - _GET_HEAD
        piece = self._long[number * size : (number + 1) * size]
        if not piece:
            denied = apdu.Denied(apdu.Result.NO_LONG_GET)
            return apdu.encode(apdu.GetBlock(invoke, True, number + 1, denied))
        return apdu.encode(apdu.GetBlock(invoke, (number + 1) * size >= len(self._long), number + 1, piece))

    def _get(self, name: Name, access: Access | None, now: datetime) -> Data | apdu.Denied:
        try:
            value = self._value(name, access, now)
        except WireRefusal:
            return apdu.Denied(apdu.Result.TYPE_UNMATCHED)
        return apdu.Denied(apdu.Result.OBJECT_UNDEFINED) if value is None else value

    def _value(self, name: Name, access: Access | None, now: datetime) -> Data | None:
        driver = self.firmware.driver
        if name.number == 1:
            return Data(Tag.OCTET_STRING, obis_bytes(name.obis)) if self._knows(name) else None
        if name == DEVICE_NAME:
            return Data(Tag.OCTET_STRING, b"PWT" + self.meter.serial.encode("latin-1", "replace")[:13])
        if name == MESSAGE:
            return Data(Tag.OCTET_STRING, self.meter.message)
        if (name.class_id, name.obis) == (ClassId.CLOCK, driver.clock_obis):
            return self._clock(name.number, now)
        if (name.class_id, name.obis) == (ClassId.PROFILE_GENERIC, driver.profile_obis):
            return self._profile(name.number, access)
        if (name.class_id, name.obis) == (ClassId.DISCONNECT_CONTROL, driver.disconnect_obis):
            return self._disconnect(name.number)
        if (name.class_id, name.obis) == (ClassId.SECURITY_SETUP, SECURITY_SETUP) and name.number in (2, 3):
            sealed = driver.authentication == "hls-gmac"  # policy 3: everything authenticated and encrypted; suite 0
            return untyped(name.class_id, name.number, 3 if sealed and name.number == 2 else 0)
        for item in driver.objects:
            if (name.class_id, name.obis) == (item.class_id, item.obis):
                return self._register(item, name.number, now)
        return None

    def _knows(self, name: Name) -> bool:
        driver = self.firmware.driver
        known = {(item.class_id, item.obis) for item in driver.objects}
        known |= {(ClassId.CLOCK, driver.clock_obis), (ClassId.PROFILE_GENERIC, driver.profile_obis)}
        known |= {(ClassId.DISCONNECT_CONTROL, driver.disconnect_obis), DEVICE_NAME[:2]}
        return (name.class_id, name.obis) in known

    def _register(self, item: CosemObject, number: int, now: datetime) -> Data | None:
        """One register (value and scaler_unit) or data object (value)."""
        if item.quantity is Quantity.IDENTITY:
            serial = self.meter.serial.encode("latin-1", "replace")
            return Data(Tag.OCTET_STRING, serial) if number == 2 else None
        exponent, unit, value = {
            Quantity.IMPORT: (0, Unit.WH, self.meter.register_wh),
            Quantity.EXPORT: (0, Unit.WH, 0),
            Quantity.POWER: (0, Unit.W, self.meter.power_w(now)),
            Quantity.VOLTAGE: (_VOLTAGE_EXPONENT, Unit.V, MAINS_V * 10),
        }.get(item.quantity, (0, Unit.NONE, 0))
        if number == 3:
            return scaler_data(exponent, unit)
        return unsigned(value) if number == 2 else None

    def _stamp(self, at: datetime) -> bytes:
        """A UTC time of the device as its clock writes it."""
        driver = self.firmware.driver
        return pack_time(When(at, 0) if driver.utc_deviation else local_of(at, self.firmware.zone))

    def _clock(self, number: int, now: datetime) -> Data | None:
        if number == 2:
            return Data(Tag.OCTET_STRING, self._stamp(self.meter.device_time(now)))
        return Data(Tag.LONG, 0) if number == 3 else None

    def _disconnect(self, number: int) -> Data | None:
        state = self.meter.reported_relay
        if number == 2:
            return Data(Tag.BOOLEAN, state is RelayState.CLOSED)
        if number == 3:
            return Data(Tag.ENUM, STATE_OF.get(state, ControlState.CONNECTED))
        return Data(Tag.ENUM, self.firmware.control_mode) if number == 4 else None

    def _profile(self, number: int, access: Access | None) -> Data | None:
        """buffer, capture_objects, capture_period, entries_in_use, profile_entries."""
        if number == 2:
            return Data(Tag.ARRAY, tuple(self._row(at, wh) for at, wh in self._entries(access)))
        if number == 3:
            clock = Column(ClassId.CLOCK, self.firmware.driver.clock_obis, 2)
            energy = next(item for item in self.firmware.driver.objects if item.quantity is Quantity.IMPORT)
            columns = (clock, STATUS, Column(energy.class_id, energy.obis, energy.attribute))
            return Data(Tag.ARRAY, tuple(column.data() for column in columns))
        numbers = {4: self.firmware.driver.profile_minutes * 60, 7: len(self.meter.profile), 8: 24 * 120}
        return Data(Tag.DOUBLE_LONG_UNSIGNED, numbers[number]) if number in numbers else None

    def _entries(self, access: Access | None) -> list[tuple[datetime, int]]:
        """The stored rows that ``access`` selects, by the device's own stamps."""
        skew = timedelta(hours=round(self.meter.skew_s / 3600))
        rows = [(at + skew, wh) for at, wh in self.meter.profile]
        if access is None:
            return rows
        if access.selector == 2:
            first, last = entries_of(access)
            return rows[max(first, 1) - 1 : last or None]
        _, start, end = range_of(access)
        zone = self.firmware.zone
        return [(at, wh) for at, wh in rows if start.utc(zone) <= at <= end.utc(zone)]

    def _row(self, at: datetime, register_wh: int) -> Data:
        parts = (Data(Tag.OCTET_STRING, self._stamp(at)), Data(Tag.UNSIGNED, 0), unsigned(register_wh))
        return Data(Tag.STRUCTURE, parts)

    def _set(self, name: Name, value: Data, now: datetime) -> int:
        """Only the clock and the message can be set."""
        if name == MESSAGE and isinstance(value.value, bytes):
            self.meter.message = value.value
            return apdu.Result.SUCCESS
        if name != Name(ClassId.CLOCK, self.firmware.driver.clock_obis, 2):
            return apdu.Result.READ_WRITE_DENIED
        try:
            wanted = time_of(value).utc(self.firmware.zone)
        except WireRefusal:
            return apdu.Result.TYPE_UNMATCHED
        self.meter.skew_s = round((wanted - now).total_seconds())
        return apdu.Result.SUCCESS

    def _act(self, method: Name, now: datetime) -> int:
        """The two remote methods of disconnect control, by the table of ``sim.relays``."""
        cause = _METHODS.get(method.number)
        if cause is None or method[:2] != (ClassId.DISCONNECT_CONTROL, self.firmware.driver.disconnect_obis):
            return apdu.Result.OBJECT_UNDEFINED
        if cause is Cause.REMOTE_DISCONNECT and self.meter.keep_power:
            return apdu.Result.TEMPORARY_FAILURE
        state = STATE_OF.get(self.meter.relay, ControlState.CONNECTED)
        after = follow(self.firmware.control_mode, state, cause)
        if after is None:
            return apdu.Result.SUCCESS if state in _GOALS[cause] else apdu.Result.READ_WRITE_DENIED
        self.meter.switch(RELAY_OF[after], now, cause.value)
        return apdu.Result.SUCCESS


def unsigned(value: int) -> Data:
    """A register value in the shortest of the two usual types."""
    return Data(Tag.DOUBLE_LONG_UNSIGNED if value < 1 << 32 else Tag.LONG64_UNSIGNED, value)
