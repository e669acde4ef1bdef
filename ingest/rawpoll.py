"""What a meter answered in one visit goes in, its bytes as they are kept come out; and registers from kept bytes again.

Kept are requests with their answers, not values: when a driver's word order, scale or address is corrected, the same
bytes give the right registers, as long as the visit asked for the registers that the corrected driver wants.
"""

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol, cast

from ingest.errors import WireRefusal
from ingest.heard import registers_again, telegram_again
from ingest.model import DlmsDriver, Dlt645Driver, Driver, ModbusDriver, P1Driver, Quantity, SunSpecDriver
from ingest.records import Channel, MeterPoint, Poll
from ingest.terminalmodel import PushDriver, TerminalDriver
from ingest.wire import axdr, dlt645, qgdw376, sunspec
from ingest.wire import qgdw376_items as items
from ingest.wire.cosem import Name, scaler_of
from ingest.wire.dlt645_items import readings
from ingest.wire.registers import decode

CHANNELS: Mapping[Quantity, Channel] = {Quantity.IMPORT: Channel.IMPORT, Quantity.EXPORT: Channel.EXPORT}
PREFIX = "poll:"
"""What the source of a kept visit begins with, in the raw store."""
_SCALER = 3  # attribute of Register and Extended Register (IEC 62056-6-2, 4.3.2)
_READ_HEAD = 5  # function, address and count of a Modbus request


@dataclass(frozen=True, slots=True)
class KeptVisit:
    """One visit's answers: whose, for which slot, by which profile they were decoded, and the pairs as they came."""

    meter: str
    slot_end: datetime
    model: str
    profile: str  # what the driver said then, as a hash
    pairs: tuple[tuple[bytes, bytes], ...]


def profile_of(driver: Driver) -> str:
    """A driver's content as a short hash: another one decodes otherwise."""
    return _profile(cast(Hashable, driver))


@lru_cache(maxsize=256)
def _profile(driver: Hashable) -> str:
    return hashlib.sha256(repr(driver).encode()).hexdigest()[:12]


def pack(visit: KeptVisit) -> bytes:
    """A visit as JSON: some 200 bytes, of which compression in batches leaves a tenth."""
    pairs = [[request.hex(), answer.hex()] for request, answer in visit.pairs]
    body = [visit.meter, visit.slot_end.isoformat(), visit.model, visit.profile, pairs]
    return json.dumps(body, separators=(",", ":")).encode()


class Log(Protocol):
    """Where frames wait to be kept (``storage.rawlog``)."""

    def add(self, source: str, at: datetime, frame: bytes, reason: str) -> None: ...


def keep(log: Log, point: MeterPoint, poll: Poll, driver: Driver) -> None:
    """Hand on what one visit heard, for the slot that its reads close; and the frames that nobody asked for."""
    if poll.raw and poll.reads:
        visit = KeptVisit(point.meter, poll.reads[0].end, point.model, profile_of(driver), poll.raw)
        log.add(f"{PREFIX}{point.gateway}:{point.meter}", poll.at, pack(visit), f"{point.model}@{visit.profile}")
    for frame in poll.unasked:
        log.add(f"report:{point.gateway}:{point.meter}", poll.at, frame, "unasked")


def unpack(frame: bytes) -> KeptVisit | None:
    """The visit of kept bytes; None for bytes that are none (they were kept for another reason)."""
    try:
        meter, end, model, profile, pairs = json.loads(frame)
        kept = tuple((bytes.fromhex(request), bytes.fromhex(answer)) for request, answer in pairs)
        return KeptVisit(str(meter), datetime.fromisoformat(end), str(model), str(profile), kept)
    except (ValueError, TypeError):
        return None


def registers(visit: KeptVisit, driver: Driver) -> dict[Channel, int]:
    """The registers of a kept visit as ``driver`` reads them; what the visit did not ask for is missing."""
    if isinstance(driver, ModbusDriver):
        return _modbus(visit.pairs, driver)
    if isinstance(driver, Dlt645Driver):
        return _dlt645(visit.pairs, driver)
    if isinstance(driver, TerminalDriver):
        return _terminal(visit.pairs, driver)
    if isinstance(driver, DlmsDriver):
        return _dlms(visit.pairs, driver)
    found: dict[Channel, int] = {}
    for _, raw in visit.pairs:
        if isinstance(driver, PushDriver):
            found |= registers_again(raw, driver)
        elif isinstance(driver, P1Driver):
            found |= telegram_again(raw, driver)
        elif isinstance(driver, SunSpecDriver):
            found |= _counted(sunspec.meter_values(raw))
    return found


def _counted(values: Mapping[Quantity, int | None]) -> dict[Channel, int]:
    return {CHANNELS[q]: value for q, value in values.items() if q in CHANNELS and value is not None}


def _dlms(pairs: Sequence[tuple[bytes, bytes]], driver: DlmsDriver) -> dict[Channel, int]:
    answers = dict(pairs)
    found: dict[Channel, int] = {}
    for item in driver.objects:
        channel, name = CHANNELS.get(item.quantity), Name(item.class_id, item.obis, item.attribute)
        try:
            value = axdr.decode(answers[name.pack()]).value
            scale = item.scale
            if scale is None:
                scale, _ = scaler_of(axdr.decode(answers[name._replace(number=_SCALER).pack()]))
        except (KeyError, WireRefusal):
            continue
        if channel is not None and isinstance(value, int):
            found[channel] = round(value * scale)
    return found


def _terminal(pairs: Sequence[tuple[bytes, bytes]], driver: TerminalDriver) -> dict[Channel, int]:
    found: dict[Channel, int] = {}
    for fn, channel in ((driver.import_fn, Channel.IMPORT), (driver.export_fn, Channel.EXPORT)):
        for request, raw in pairs:
            frame = qgdw376.look(raw).frame
            if frame is None or request[2:4] != items.identifier(0, fn)[2:4]:
                continue
            try:
                (unit,) = items.units(frame)
                total_wh = items.registers(unit).total_wh
            except (WireRefusal, ValueError):
                continue
            if total_wh is not None:
                found[channel] = total_wh
    return found


def _modbus(pairs: Sequence[tuple[bytes, bytes]], driver: ModbusDriver) -> dict[Channel, int]:
    found: dict[Channel, int] = {}
    for register in driver.registers:
        channel = CHANNELS.get(register.quantity)
        for request, data in pairs:
            if channel is None or len(request) != _READ_HEAD or request[0] != register.function:
                continue
            start = 2 * (register.address - int.from_bytes(request[1:3], "big"))
            if start >= 0 and (value := decode(register, data[start : start + 2 * register.count])) is not None:
                found[channel] = value
    return found


def _dlt645(pairs: Sequence[tuple[bytes, bytes]], driver: Dlt645Driver) -> dict[Channel, int]:
    answers = dict(pairs)
    found: dict[Channel, int] = {}
    for item in driver.identifiers:
        channel, raw = CHANNELS.get(item.quantity), answers.get(bytes.fromhex(item.identifier))
        if channel is None or raw is None:
            continue
        seen = dlt645.look(raw)
        if seen.frame is None:
            continue
        try:
            (reading,) = readings(seen.frame)
        except (WireRefusal, ValueError):
            continue
        if reading.value is not None:
            found[channel] = round(reading.value)
    return found
