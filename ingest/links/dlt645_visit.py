"""One DL/T 645 meter on a line goes in, its values, clock and status come out: the session of one visit.

Every answer carries the meter's address, so that each value is identified by itself. Refusals are ``WireRefusal`` and
stay inside ``links``.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ingest.errors import WireRefusal
from ingest.links.line import Line
from ingest.model import Dlt645Driver, Quantity
from ingest.ports import Clock
from ingest.records import Finding, MeterPoint, RelayReport, RelayState
from ingest.wire import dlt645
from ingest.wire.dlt645_items import readings
from ingest.wire.modbus import Refusal

DATE, TIME = "04000101", "04000102"
_STAMP = {DATE: 4, TIME: 3}


@dataclass(slots=True)
class Dlt645Visit:
    """What one visit to one meter gathers; ``serial`` is the address that answered, "" before."""

    line: Line
    clock: Clock
    gateway: str
    point: MeterPoint
    driver: Dlt645Driver
    timeout_s: float
    serial: str = ""
    offset_s: int | None = None
    values: dict[Quantity, int] = field(default_factory=dict)
    status: dlt645.StatusWord3 | None = None
    findings: list[Finding] = field(default_factory=list)
    raw: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def look(self, quantities: tuple[Quantity, ...], *, clock: bool = True) -> None:
        """Read status word 3, the clock, then ``quantities`` (those the driver has); WireRefusal ends the visit."""
        word = await self._data(dlt645.STATUS_WORD_3)
        if len(word) != 2:
            raise WireRefusal("bad_count", f"status word 3 of {len(word)} bytes")
        self.status = dlt645.StatusWord3.of(int.from_bytes(word, "little"))
        if clock:
            await self._set_offset()
        for quantity in quantities:
            value = await self.read_one(quantity)
            if value is not None:
                self.values[quantity] = value

    async def read_one(self, quantity: Quantity) -> int | None:
        """One register in base units; None for what the meter does not have (where the driver allows that)."""
        item = next((item for item in self.driver.identifiers if item.quantity is quantity), None)
        if item is None:
            return None
        answer = await self._read(item.identifier)
        self.raw.append((bytes.fromhex(item.identifier), dlt645.encode(answer, preamble=b"")))
        if answer.refused:
            if item.optional:
                return None
            raise WireRefusal(f"device_{dlt645.fault_of(answer)}", f"identifier {item.identifier}")
        (reading,) = readings(answer)
        return None if reading.value is None else round(reading.value)

    async def ask(self, frame: dlt645.Frame, *, generation: int = 0) -> dlt645.Frame:
        """One exchange; WireRefusal instead of an answer that cannot be trusted."""
        gap_s = self.driver.gap_ms / 1000
        answer = await self.line.ask(frame, timeout_s=self.timeout_s, gap_s=gap_s, generation=generation)
        if isinstance(answer, Refusal):
            raise WireRefusal(answer.reason, answer.detail)
        if self.serial and answer.address != self.serial:
            raise WireRefusal("wrong_unit", f"{answer.address} answers after {self.serial}")
        self.serial = answer.address
        return answer

    def report(self) -> RelayReport:
        """The relay by status word 3: bit 4 is the relay; told to close but open means that a person must press."""
        state = RelayState.UNKNOWN
        if self.status is not None:
            waits = self.status.relay_open and not self.status.told_open and self.driver.closes == "permit"
            opened = RelayState.READY if waits else RelayState.OPEN
            state = opened if self.status.relay_open else RelayState.CLOSED
        power_w = self.values.get(Quantity.POWER)
        return RelayReport(self.point.meter, self.clock.now(), state, power_w=power_w, source="read_back")

    def found(self, code: str, detail: str) -> None:
        """Note one finding of this visit."""
        self.findings.append(Finding(code, self.clock.now(), self.point.meter, self.gateway, detail))

    def local(self, at: datetime) -> datetime:
        """A UTC time on the wall where the meter hangs."""
        return at.replace(tzinfo=UTC).astimezone(ZoneInfo(self.point.zone)).replace(tzinfo=None)

    async def _read(self, identifier: str) -> dlt645.Frame:
        address = self.point.serial or dlt645.WILDCARD
        return await self.ask(dlt645.read_request(address, identifier))

    async def _data(self, identifier: str) -> bytes:
        answer = await self._read(identifier)
        if answer.refused:
            raise WireRefusal(f"device_{dlt645.fault_of(answer)}", f"identifier {identifier}")
        return answer.data[4:]

    async def _set_offset(self) -> None:
        """The meter's clock against ours; without a readable clock the offset stays unknown."""
        try:
            date, time = await self._data(DATE), await self._data(TIME)
            if len(date) != _STAMP[DATE] or len(time) != _STAMP[TIME]:
                raise WireRefusal("no_time", f"{date.hex()} {time.hex()}")
            local = dlt645.time_of(time + date[1:])
        except WireRefusal as refusal:
            if refusal.reason != "no_time" and not refusal.reason.startswith("device_"):
                raise
            return self.found("no_clock", str(refusal))
        utc = local.replace(tzinfo=ZoneInfo(self.point.zone)).astimezone(UTC).replace(tzinfo=None)
        self.offset_s = round((utc - self.clock.now()).total_seconds())
        return None
