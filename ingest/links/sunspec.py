"""One SunSpec meter behind a Modbus connection goes in, its identified values come out: the session of one visit.

The device is looked for at 40000, 50000 and 0 once; afterwards each visit reads the common and the meter model (in one
request where they lie together) and holds both headers against what was found, so that a device that was replaced or
laid out anew is searched again instead of misread.
"""

from dataclasses import dataclass, field

from ingest.errors import WireRefusal
from ingest.links.requests import read_request
from ingest.links.visit import Line
from ingest.model import Quantity, SunSpecDriver
from ingest.ports import Clock
from ingest.records import Finding, MeterPoint, RelayReport, RelayState
from ingest.wire import sunspec
from ingest.wire.modbus import Refusal
from ingest.wire.sunspec import Model, Place

_MOST = 125  # Application Protocol 6.3
_ELSEWHERE = ("exception_illegal_address", "exception_illegal_value", "exception_device_failure")


@dataclass(slots=True)
class SunSpecVisit:
    """What one visit gathers; ``places`` remembers by meter where its models are."""

    connection: Line
    clock: Clock
    gateway: str
    point: MeterPoint
    driver: SunSpecDriver
    timeout_s: float
    places: dict[int, Place]
    values: dict[Quantity, int | None] = field(default_factory=dict)
    serial: str = ""
    findings: list[Finding] = field(default_factory=list)
    raw: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def read(self, quantities: tuple[Quantity, ...] = ()) -> None:  # noqa: ARG002 - the face of Visit
        """Identity and values; WireRefusal ends the visit. All are read, whatever ``quantities`` says."""
        place = self.places.get(self.point.meter_id)
        if place is None:
            place = self.places[self.point.meter_id] = await self._search()
        self.raw.clear()  # what the search went through is no reading
        common, meter = await self._models(place)
        if not sunspec.holds(place.common, common) or not sunspec.holds(place.meter, meter):
            del self.places[self.point.meter_id]
            raise WireRefusal("no_identity", "the SunSpec models are not where they were: searched again next time")
        self._identify(sunspec.serial(common))
        self.values.update(sunspec.values(place.meter.number, meter))

    async def again(self, quantity: Quantity) -> int | None:
        """One value once more, out of its whole model."""
        place = self.places[self.point.meter_id]
        meter = await self._words(place.meter.address, sunspec.words_of(place.meter.number))
        return sunspec.values(place.meter.number, meter)[quantity] if sunspec.holds(place.meter, meter) else None

    async def _models(self, place: Place) -> tuple[bytes, bytes]:
        """The words of both models, in one request where they fit."""
        count = sunspec.words_of(place.meter.number)
        apart = place.meter.address - place.common.address
        if apart > 0 and apart + count <= _MOST:
            data = await self._words(place.common.address, apart + count)
            return data[: 2 * apart], data[2 * apart :]
        return await self._words(place.common.address, sunspec.COMMON_WORDS), await self._words(
            place.meter.address, count
        )

    async def _search(self) -> Place:
        """Find the mark, then walk the chain to the meter."""
        for base in sunspec.BASES:
            try:
                found = await self._words(base, 4)
            except WireRefusal as refusal:
                if refusal.reason not in _ELSEWHERE:
                    raise
                continue
            if found[:4] == sunspec.MARK:
                return await self._walk(base + 2)
        raise WireRefusal("no_identity", "no SunSpec mark at 40000, 50000 or 0: is it another meter?")

    async def _walk(self, address: int) -> Place:
        common: Model | None = None
        for _ in range(sunspec.LONGEST_CHAIN):
            head = sunspec.header(await self._words(address, 2))
            if head is None or head[0] == sunspec.END or not 0 < address + 2 + head[1] < 0xFFFF:
                break
            model = Model(head[0], address, head[1])
            common = common or (model if model.number == sunspec.COMMON else None)
            if common is not None and model.number in sunspec.METERS and model.length >= 2:
                return Place(common, model)
            address = model.after
        raise WireRefusal("no_identity", "the SunSpec device has no AC meter model (201-204, 211-214)")

    async def _words(self, address: int, count: int) -> bytes:
        request = read_request(3, address, count)
        data = await self.connection.ask(self.point.unit, request, timeout_s=self.timeout_s)
        if isinstance(data, Refusal):
            raise WireRefusal(data.reason, data.detail)
        self.raw.append((request, data))
        return data

    def _identify(self, serial: str) -> None:
        """Hold the serial number against what master data expect."""
        self.serial = serial
        if not serial:
            raise WireRefusal("no_identity", "the common model has no serial number")
        if self.point.serial and self.point.serial.lstrip("0") != serial.lstrip("0"):
            raise WireRefusal("wrong_unit", f"serial {serial} answers, {self.point.serial} is expected: meter swapped?")
        self.serial = self.point.serial or serial

    def report(self) -> RelayReport:
        """There is no relay; the load is what the meter says."""
        power_w = self.values.get(Quantity.POWER)
        return RelayReport(self.point.meter, self.clock.now(), RelayState.UNKNOWN, power_w=power_w, source="no_relay")

    def found(self, code: str, detail: str) -> None:
        """Note one finding of this visit."""
        self.findings.append(Finding(code, self.clock.now(), self.point.meter, self.gateway, detail))
