"""A line to unknown meters goes in; which units answer, what their registers hold and which driver fits comes out.

Everything here reads and nothing writes. A range with holes is read in halves until each hole is found.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ingest.links.requests import read_request
from ingest.links.visit import Line
from ingest.model import ModbusDriver, Quantity
from ingest.wire.modbus import Refusal
from ingest.wire.registers import visit_plan

UNITS = range(1, 248)  # Modbus over Serial Line V1.02, 2.2
_NOBODY = frozenset({"exception_gateway_path_unavailable", "exception_gateway_no_response"})
_HOLES = frozenset({"exception_illegal_address", "exception_illegal_value", "exception_device_failure", "bad_count"})
_VOLTS = range(80, 481)
_MOST_WH = 10**12


@dataclass(frozen=True, slots=True)
class Fit:
    """How well one driver explains a device: 0 to 100, the values that it gave, and what spoke against it."""

    driver: str
    score: int
    values: Mapping[str, int | None]
    against: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """One unit that answered: how (``registers`` or the exception), and the drivers that fit, best first."""

    unit: int
    answer: str
    fits: tuple[Fit, ...] = field(default=())


class Survey:
    """Looks at one line; ``timeout_s`` is how long each unit may think."""

    def __init__(self, line: Line, *, timeout_s: float = 0.5) -> None:
        """Nothing is asked yet."""
        self._line = line
        self._timeout_s = timeout_s

    async def answers(self, unit: int) -> str:
        """How a unit answers a read of its first register; "" when nobody does, ``unreachable`` without a line."""
        said = ""
        for function in (3, 4):
            data = await self._line.ask(unit, read_request(function, 0, 1), timeout_s=self._timeout_s)
            if not isinstance(data, Refusal):
                return "registers"
            if data.reason == "unreachable":
                return data.reason
            if data.reason.startswith("exception_") and data.reason not in _NOBODY:
                said = said or data.reason
        return said

    async def registers(self, unit: int, function: int, start: int, stop: int, *, most: int = 64) -> dict[int, int]:
        """The registers from ``start`` to before ``stop`` that exist, by address."""
        found: dict[int, int] = {}
        todo = [(at, min(at + most, stop)) for at in range(start, stop, most)][::-1]
        silent = 0
        while todo and silent < 3:
            first, last = todo.pop()
            data = await self._line.ask(unit, read_request(function, first, last - first), timeout_s=self._timeout_s)
            if not isinstance(data, Refusal):
                words = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
                found.update(zip(range(first, last), words, strict=True))
                silent = 0
            elif data.reason == "exception_illegal_function":
                return found
            elif data.reason in _HOLES and last - first > 1:
                middle = (first + last) // 2
                todo += [(middle, last), (first, middle)]
            elif data.reason not in _HOLES:
                silent += 1
        return found

    async def fit(self, unit: int, driver: ModbusDriver) -> Fit:
        """How well ``driver`` explains ``unit``: all its blocks must answer and no value may be impossible."""
        values: dict[str, int | None] = {}
        against: list[str] = []
        for block in visit_plan(driver):
            request = read_request(block.function, block.address, block.count)
            data = await self._line.ask(unit, request, timeout_s=max(self._timeout_s, 0.2))
            if isinstance(data, Refusal):
                return Fit(driver.name, 0, values, (f"registers from {block.address}: {data.reason}",))
            for register in block.registers:
                values[register.quantity.value] = block.value(register, data)
        score = 20
        for quantity, points in _POINTS.items():
            if quantity.value in values:
                good = _plausible(driver, quantity, values[quantity.value], unit)
                score += points if good else -points
                against += [] if good else [f"{quantity.value} = {values[quantity.value]}"]
        return Fit(driver.name, max(0, min(100, score)), values, tuple(against))

    async def fits(self, unit: int, drivers: Iterable[ModbusDriver], *, least: int = 40) -> tuple[Fit, ...]:
        """The drivers that score at least ``least``, best first."""
        found = [await self.fit(unit, driver) for driver in drivers]
        return tuple(sorted((f for f in found if f.score >= least), key=lambda f: (-f.score, f.driver)))

    async def scan(self, units: Sequence[int], drivers: Sequence[ModbusDriver]) -> list[Found]:
        """The units that answer, with the drivers that fit them."""
        found: list[Found] = []
        for unit in units:
            answer = await self.answers(unit)
            if answer == "unreachable":
                raise OSError("the line cannot be opened")
            if answer:
                found.append(Found(unit, answer, await self.fits(unit, drivers)))
        return found


_POINTS = {Quantity.VOLTAGE: 30, Quantity.POWER: 15, Quantity.IMPORT: 15, Quantity.EXPORT: 5, Quantity.IDENTITY: 15}


def _plausible(driver: ModbusDriver, quantity: Quantity, value: int | None, unit: int) -> bool:
    """Whether a value can be what the driver says it is; 0 V and 0 Wh are no evidence."""
    if value is None:
        return False
    if quantity is Quantity.VOLTAGE:
        return value in _VOLTS
    if quantity is Quantity.POWER:
        return abs(value) <= driver.max_power_w
    if quantity is Quantity.IDENTITY and driver.identity is not None:
        number = (value & driver.identity.mask) >> driver.identity.shift
        return number == unit if driver.identity.kind == "station" else number > 0
    return 0 < value < _MOST_WH or (quantity is Quantity.EXPORT and value == 0)
