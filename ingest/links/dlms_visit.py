"""One meter behind a concentrator goes in, its identified values come out: one association from AARQ to RLRQ.

A visit asks who the meter is before it believes anything else. Refusals are ``WireRefusal`` and stay inside ``links``.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from secrets import token_bytes

from ingest.errors import LinkClosed, WireRefusal
from ingest.links.wports import Concentrator, Device
from ingest.model import CosemObject, DlmsDriver, Quantity
from ingest.ports import Clock, KeyStore
from ingest.records import Finding, MeterPoint, RelayReport, RelayState
from ingest.wire import acse, apdu, axdr
from ingest.wire.axdr import Data, Tag
from ingest.wire.ciphering import COUNTER_LIMIT, KEY_SIZE
from ingest.wire.cosem import (
    Access,
    ClassId,
    Column,
    Name,
    Unit,
    When,
    by_range,
    column_of,
    local_of,
    pack_time,
    scaler_of,
    time_of,
)
from ingest.wire.dialogue import Answer, Raw, State
from ingest.wire.interfaces import Typed, typed, untyped
from ingest.wire.loadprofile import Layout, Rows, layout_of, rows_of
from ingest.wire.security import WARN_AT, Lease, Security, Wrap, keys_of

SCALER = 3  # attribute of Register and Extended Register
OUTPUT_STATE, CONTROL_STATE, CONTROL_MODE = 2, 3, 4  # attributes of Disconnect control
UNITS = {Quantity.IMPORT: Unit.WH, Quantity.EXPORT: Unit.WH, Quantity.POWER: Unit.W, Quantity.VOLTAGE: Unit.V}
STATES = {
    (False, 0): RelayState.OPEN,
    (True, 1): RelayState.CLOSED,
    (False, 2): RelayState.READY,
}
"""output_state and control_state that agree; any other pair is unknown."""

Secrets = Callable[[str], bytes | None]
"""Gives the secret of a name, None when there is none."""
COUNTERS_A_VISIT = 1024
"""Invocation counters reserved for one association: a year of quarter-hours in blocks of 1 KiB needs 700."""
CHALLENGE = 16  # bytes


@dataclass(frozen=True, slots=True)
class Seals:
    """What ciphering needs beside keys: a durable store of counters, our system title, and random bytes."""

    store: KeyStore
    title: bytes = b"PWT\x00\x00\x00\x00\x01"
    random: Callable[[int], bytes] = token_bytes


@dataclass(slots=True)
class DlmsVisit:
    """What one association with one logical device gathers; ``serial`` is what the device said, "" before."""

    concentrator: Concentrator
    clock: Clock
    gateway: str
    point: MeterPoint
    driver: DlmsDriver
    timeout_s: float
    serial: str = ""
    offset_s: int | None = None
    values: dict[Quantity, int] = field(default_factory=dict)
    scales: dict[Quantity, Fraction] = field(default_factory=dict)
    relay: RelayState | None = None
    control_mode: int | None = None
    findings: list[Finding] = field(default_factory=list)
    kept: list[tuple[bytes, bytes]] = field(default_factory=list)
    seals: "Seals | None" = None
    _device: Device | None = None
    _when: When | None = None

    async def open(self, secrets: Secrets) -> None:
        """Associate; WireRefusal ``unreachable``, ``no_secret``, ``bad_auth`` or what the wire said."""
        secret, security = None, None
        if self.driver.authentication not in ("none", "lls", "hls-gmac"):
            raise WireRefusal("unsupported_authentication", self.driver.authentication)
        if self.driver.authentication != "none":
            secret = secrets(self.point.secret)
            if secret is None:
                raise WireRefusal("no_secret", f"no secret named {self.point.secret!r}: add it to the secrets")
        if self.driver.authentication == "hls-gmac" and secret is not None:
            security = await self._secured(secret)
        try:
            device = await self.concentrator.device(self.point.unit, self.driver.client, secret, security)
        except LinkClosed as error:
            raise WireRefusal("unreachable", str(error)) from error
        self._device = device
        answer = await self._ask(device, device.dialogue.open())
        if not isinstance(answer, acse.AssociationResponse):
            raise _unexpected(answer)
        if answer.result or answer.diagnostic:
            raise WireRefusal(*_rejection(answer))

    async def _secured(self, secret: bytes) -> Security:
        """Keys, fresh challenges and counters that are this process's own for one association."""
        if self.seals is None:
            raise WireRefusal("no_key_store", "ciphering needs a durable store of invocation counters")
        keys, key = keys_of(secret), f"{self.point.secret or self.gateway}/{self.point.meter}"
        first = await self.seals.store.reserve(key, COUNTERS_A_VISIT)
        if first >= WARN_AT:
            self.found("counter_nearly_used", f"{first} of {COUNTER_LIMIT} under {key}: put new keys into the meter")
        wrap = Wrap(self.driver.ciphering)
        lease = Lease(first, first + COUNTERS_A_VISIT)
        dedicated = self.seals.random(KEY_SIZE) if wrap.dedicated else b""
        return Security(keys, self.seals.title, lease, self.seals.random(CHALLENGE), wrap, dedicated)

    async def close(self) -> None:
        """Release the association; what goes wrong here has cost nothing."""
        if self._device is not None and self._device.dialogue.state is State.READY and self.driver.releases:
            with contextlib.suppress(WireRefusal):
                await self._ask(self._device, self._device.dialogue.close())

    async def look(self, quantities: tuple[Quantity, ...], *, relay: bool = True) -> None:
        """Read identity and clock, then ``quantities`` (those the driver has) and the relay, and check all of them."""
        identity = self._object(Quantity.IDENTITY)
        wanted = [item for item in self.driver.objects if item.quantity in quantities]
        names = [_value(identity)] if identity else []
        names.append(Name(ClassId.CLOCK, self.driver.clock_obis, 2))
        names += [_value(item) for item in wanted]
        names += [_scaler(item) for item in wanted if item.scale is None]
        if relay and self.driver.disconnect_obis:
            names += [self._disconnect(number) for number in (OUTPUT_STATE, CONTROL_STATE, CONTROL_MODE)]
        found = await self.get(names)
        self._identify(found[_value(identity)] if identity else None)
        self._set_offset(found[Name(ClassId.CLOCK, self.driver.clock_obis, 2)])
        self.kept.clear()
        for item in wanted:
            self._take(item, found)
            asked = [(name, found[name]) for name in (_value(item), _scaler(item)) if name in found]
            self.kept += [(name.pack(), axdr.encode(told)) for name, told in asked if isinstance(told, Data)]
        if relay and self.driver.disconnect_obis:
            self._take_relay(found)

    async def get(self, names: list[Name]) -> dict[Name, Data | apdu.Denied]:
        """The values of ``names``: one GET with list where the device offers it, else one GET each."""
        dialogue = self._open_device().dialogue
        if not dialogue.offers(acse.Conformance.MULTIPLE_REFERENCES):
            return {name: await self._get_one(name) for name in names}
        answer = await self._ask(self._open_device(), dialogue.get_list(tuple(names)))
        if not isinstance(answer, apdu.GetListResponse) or len(answer.results) != len(names):
            raise _unexpected(answer)
        return dict(zip(names, answer.results, strict=True))

    async def rows(self, quantity: Quantity, start: datetime, end: datetime) -> Rows:
        """The load profile's rows whose times lie from ``start`` to ``end`` (UTC, both included), unscaled."""
        item = self._object(quantity)
        if item is None or not self.driver.load_profile:
            raise WireRefusal("no_load_profile", f"{self.driver.name} declares none for {quantity.value}")
        if item.scale is None and quantity not in self.scales:
            self._take_scale(item, await self._get_one(_scaler(item)))
        buffer = Name(ClassId.PROFILE_GENERIC, self.driver.profile_obis, 2)
        captured = await self._get_one(buffer._replace(number=3))
        period = await self._get_one(buffer._replace(number=4))
        if isinstance(captured, apdu.Denied) or not isinstance(captured.value, tuple):
            raise WireRefusal("unknown_profile", "the device names no captured objects")
        clock = Column(ClassId.CLOCK, self.driver.clock_obis, 2)
        columns = [column_of(column) for column in captured.value]
        at, value = layout_of(columns, Column(item.class_id, item.obis, item.attribute), clock)
        period_s = period.value if isinstance(period, Data) and isinstance(period.value, int) else 0
        layout = Layout(at, value, period_s, self.point.zone, self.driver.utc_deviation)
        dialogue = self._open_device().dialogue
        access = self._range(start, end) if dialogue.offers(acse.Conformance.SELECTIVE_ACCESS) else None
        answer = await self._ask(self._open_device(), dialogue.get(buffer, access, raw=True))
        if not isinstance(answer, Raw):
            raise _unexpected(answer)
        return rows_of(answer.encoded, layout)

    async def act(self, method: int) -> None:
        """remote_disconnect (1) or remote_reconnect (2); WireRefusal carries the device's own no as its reason."""
        device = self._open_device()
        if not self.concentrator.carries(device):
            raise WireRefusal("unreachable", "the connection ended before the order was sent")
        request = device.dialogue.action(self._disconnect(method), Data(Tag.INTEGER, 0))
        answer = await self._ask(device, request)
        if not isinstance(answer, apdu.ActionResponse):
            raise _unexpected(answer)
        if answer.result != apdu.Result.SUCCESS:
            raise WireRefusal(apdu.Denied(answer.result).reason, f"method {method} of {self.driver.disconnect_obis}")

    async def attribute(self, name: Name) -> tuple[str, Typed]:
        """One attribute of any object with its word and named parts (``ingest.wire.interfaces``)."""
        return typed(name.class_id, name.number, await self.raw(name))

    async def raw(self, name: Name) -> Data:
        """One attribute of any object; WireRefusal carries the device's own no as its reason."""
        answer = await self._get_one(name)
        if isinstance(answer, apdu.Denied):
            raise WireRefusal(answer.reason, f"attribute {name.number} of {name.obis}, class {name.class_id}")
        return answer

    async def set_attribute(self, name: Name, value: Typed) -> None:
        """Write what ``attribute`` reads; WireRefusal carries the device's own no as its reason."""
        await self.put(name, untyped(name.class_id, name.number, value))

    async def put(self, name: Name, value: Data) -> None:
        """Write one attribute; WireRefusal carries the device's own no as its reason."""
        device = self._open_device()
        answer = await self._ask(device, device.dialogue.set(name, value))
        if not isinstance(answer, apdu.SetResponse):
            raise _unexpected(answer)
        if answer.result != apdu.Result.SUCCESS:
            raise WireRefusal(apdu.Denied(answer.result).reason, f"attribute {name.number} of {name.obis}")

    async def set_clock(self) -> None:
        """Set the device's clock to ours in the terms it uses itself, then read it back."""
        device, name = self._open_device(), Name(ClassId.CLOCK, self.driver.clock_obis, 2)
        now, deviation = self.clock.now(), self._when.deviation_min if self._when is not None else 0
        local = local_of(now, self.point.zone)
        when = local if deviation is None else When(now - timedelta(minutes=deviation), deviation)
        answer = await self._ask(device, device.dialogue.set(name, Data(Tag.OCTET_STRING, pack_time(when))))
        if not isinstance(answer, apdu.SetResponse):
            raise _unexpected(answer)
        if answer.result != apdu.Result.SUCCESS:
            raise WireRefusal(apdu.Denied(answer.result).reason, "the device does not let its clock be set")
        self._set_offset(await self._get_one(name))

    def report(self) -> RelayReport:
        """The relay's word and the load; output and control state that contradict each other are unknown."""
        source = "no_relay" if self.relay is None else "read_back"
        state = self.relay or RelayState.UNKNOWN
        return RelayReport(
            self.point.meter, self.clock.now(), state, power_w=self.values.get(Quantity.POWER), source=source
        )

    def found(self, code: str, detail: str) -> None:
        """Note one finding of this visit."""
        self.findings.append(Finding(code, self.clock.now(), self.point.meter, self.gateway, detail))

    async def _get_one(self, name: Name) -> Data | apdu.Denied:
        answer = await self._ask(self._open_device(), self._open_device().dialogue.get(name))
        if not isinstance(answer, apdu.GetResponse):
            raise _unexpected(answer)
        return answer.result

    async def _ask(self, device: Device, request: bytes) -> Answer:
        return await self.concentrator.ask(device, request, timeout_s=self.timeout_s)

    def _open_device(self) -> Device:
        if self._device is None or self._device.dialogue.state is not State.READY:
            raise WireRefusal("association_lost", "the association ended under this visit")
        return self._device

    def _object(self, quantity: Quantity) -> CosemObject | None:
        return next((item for item in self.driver.objects if item.quantity is quantity), None)

    def _disconnect(self, number: int) -> Name:
        return Name(ClassId.DISCONNECT_CONTROL, self.driver.disconnect_obis, number)

    def _identify(self, answer: Data | apdu.Denied | None) -> None:
        """Hold what the device says it is against what master data expect."""
        if not isinstance(answer, Data) or not (serial := text_of(answer)):
            raise WireRefusal("no_identity", f"{self.point.model} gave no serial number; check the driver")
        self.serial = serial
        if self.point.serial and self.point.serial != serial:
            raise WireRefusal("wrong_unit", f"serial {serial} answers, {self.point.serial} is expected: meter swapped?")

    def _set_offset(self, answer: Data | apdu.Denied) -> None:
        """The device's clock against ours; without a readable clock the offset stays unknown."""
        if isinstance(answer, apdu.Denied):
            return self.found("no_clock", answer.reason)
        try:
            when = time_of(answer)
        except WireRefusal as refusal:
            return self.found("no_clock", str(refusal))
        self._when = when if self.driver.utc_deviation else when._replace(deviation_min=None)
        self.offset_s = round((self._when.utc(self.point.zone) - self.clock.now()).total_seconds())
        return None

    def _take(self, item: CosemObject, found: dict[Name, Data | apdu.Denied]) -> None:
        """One register in base units; what the device does not have is left out."""
        answer = found[_value(item)]
        if isinstance(answer, apdu.Denied) or not isinstance(answer.value, int):
            return
        if item.scale is None:
            self._take_scale(item, found[_scaler(item)])
        self.values[item.quantity] = round(answer.value * self.scale(item.quantity))

    def _take_scale(self, item: CosemObject, answer: Data | apdu.Denied) -> None:
        if isinstance(answer, apdu.Denied):
            raise WireRefusal("bad_scaler", f"{item.obis}: {answer.reason}")
        scale, unit = scaler_of(answer)
        if unit != UNITS[item.quantity]:
            raise WireRefusal("bad_scaler", f"{item.obis} counts in unit {unit}, {UNITS[item.quantity].name} expected")
        self.scales[item.quantity] = scale

    def scale(self, quantity: Quantity) -> Fraction:
        """What multiplies the raw value of ``quantity`` to its base unit."""
        item = self._object(quantity)
        return item.scale if item is not None and item.scale is not None else self.scales[quantity]

    def _take_relay(self, found: dict[Name, Data | apdu.Denied]) -> None:
        output, control, mode = (
            found[self._disconnect(number)] for number in (OUTPUT_STATE, CONTROL_STATE, CONTROL_MODE)
        )
        if isinstance(output, apdu.Denied) or isinstance(control, apdu.Denied):
            return
        pair = (bool(output.value), control.value if isinstance(control.value, int) else -1)
        self.relay = STATES.get(pair, RelayState.UNKNOWN)
        self.control_mode = mode.value if isinstance(mode, Data) and isinstance(mode.value, int) else None

    def _range(self, start: datetime, end: datetime) -> Access:
        """A range in the terms of the meter's own clock: with its deviation, or in local time without one."""
        deviation = self._when.deviation_min if self._when is not None else 0
        if deviation is None:
            return by_range(local_of(start, self.point.zone), local_of(end, self.point.zone))
        shift = timedelta(minutes=deviation)
        return by_range(When(start - shift, deviation), When(end - shift, deviation))


def text_of(data: Data) -> str:
    """A serial number as text, whatever type the meter writes it in."""
    if isinstance(data.value, bytes):
        return data.value.decode("latin-1").strip(" \x00")
    return str(data.value).strip(" \x00") if isinstance(data.value, str | int) else ""


def _value(item: CosemObject) -> Name:
    return Name(item.class_id, item.obis, item.attribute)


def _scaler(item: CosemObject) -> Name:
    return Name(item.class_id, item.obis, SCALER)


def _rejection(answer: acse.AssociationResponse) -> tuple[str, str]:
    """Why the device lets nobody in, as reason and detail."""
    detail = f"result {answer.result}, diagnostic {answer.diagnostic}"
    if answer.source == 1 and answer.diagnostic in (12, 13):
        return "bad_auth", f"{detail}: the secret is wrong"
    if answer.source == 1 and answer.diagnostic in (11, 14):
        return "unsupported_authentication", detail
    return "association_refused", detail


def _unexpected(answer: Answer) -> WireRefusal:
    """The refusal for an answer that holds no value."""
    if isinstance(answer, apdu.ExceptionResponse):
        return WireRefusal("exception", f"state {answer.state}, service {answer.service}")
    if isinstance(answer, apdu.GetResponse) and isinstance(answer.result, apdu.Denied):
        return WireRefusal(answer.result.reason, "the device denies the value")
    return WireRefusal("wrong_answer", type(answer).__name__)
