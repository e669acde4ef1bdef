"""What ``prewatt meters`` asks of a line goes in, rows as the contract prints them come out."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from typing import Any, TypeVar

from ingest.drivers import driver, drivers
from ingest.errors import IngestError
from ingest.guesses import Guess, guesses
from ingest.links.survey import Survey
from ingest.links.targets import Target
from ingest.model import ModbusDriver
from prewatt.errors import ShellError, Usage
from sim.bank import runs

T = TypeVar("T")


def modbus_drivers() -> list[ModbusDriver]:
    """The drivers that can be tried."""
    return [known for known in drivers().values() if isinstance(known, ModbusDriver)]


def modbus_driver(name: str) -> ModbusDriver:
    """One driver by name; Usage when it speaks another protocol."""
    known = driver(name)
    if not isinstance(known, ModbusDriver):
        raise Usage(f"{name} is no Modbus driver", which="--model", attempt="prewatt meters profiles")
    return known


def unit_numbers(text: str) -> list[int]:
    """``1-32,40`` as numbers.

    >>> unit_numbers("1-3,7")
    [1, 2, 3, 7]
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            found += range(int(first), int(last if dash else first) + 1)
        except ValueError:
            found = []
            break
    if not found or not all(0 <= unit <= 255 for unit in found):
        raise Usage(f"no unit numbers: {text!r}", which="--units", attempt="1-32,40 (0 to 255)")
    return found


def run(target: Target, work: Callable[[Survey], Awaitable[T]], *, timeout_s: float, gap_s: float = 0.0) -> T:
    """Open the line, do the work, close it."""

    async def whole() -> T:
        line = target.line(gap_s=gap_s)
        try:
            return await work(Survey(line, timeout_s=timeout_s))
        finally:
            await line.close()

    try:
        return asyncio.run(whole())
    except OSError as error:
        where = f"{target.host}:{target.port}" if target.port else target.host
        raise ShellError(str(error), which=where, attempt="look at address, port, cable and --rtu") from None


async def scanned(survey: Survey, units: list[int]) -> list[dict[str, Any]]:
    """The units that answer."""
    found = await survey.scan(units, modbus_drivers())
    return [
        {
            "unit": one.unit,
            "answer": one.answer,
            "models": [{"model": fit.driver, "score": fit.score} for fit in one.fits[:5]],
        }
        for one in found
    ]


async def probed(
    survey: Survey, unit: int, span: tuple[int, int], address: int | None, wait_s: float
) -> dict[str, Any]:
    """Which drivers fit a unit, and what its registers say without any."""
    fits = await survey.fits(unit, modbus_drivers(), least=1)
    start = time.monotonic()
    first = await _words(survey, unit, span)
    await asyncio.sleep(wait_s)
    later = await _words(survey, unit, span)
    found = guesses(first, later, elapsed_s=time.monotonic() - start, address=address)
    return {
        "unit": unit,
        "models": [asdict(fit) for fit in fits[:8]],
        "guesses": [_guess(guess) for guess in found[:8]],
        "registers": len(first),
    }


async def _words(survey: Survey, unit: int, span: tuple[int, int]) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for function in (3, 4):
        words = await survey.registers(unit, function, *span)
        found.update({(function, at): word for at, word in words.items()})
    return found


def _guess(guess: Guess) -> dict[str, Any]:
    return {
        "function": guess.function,
        "type": guess.encoding.value,
        "order": guess.order,
        "points": guess.points,
        "values": [
            {
                "quantity": role.quantity,
                "address": role.address,
                "scale": f"{role.scale:g}",
                "value": f"{role.value:.4g}",
                "because": role.because,
            }
            for role in guess.roles
        ],
    }


async def read(survey: Survey, unit: int, known: ModbusDriver) -> dict[str, Any]:
    """What one meter shows through its driver; IngestError when it does not answer."""
    fit = await survey.fit(unit, known)
    if not fit.values or (not fit.score and fit.against and "registers from" in fit.against[0]):
        raise IngestError(f"unit {unit} is not read as {known.name}: {'; '.join(fit.against) or 'no answer'}")
    return {"unit": unit, "model": known.name, "values": dict(fit.values), "doubts": list(fit.against)}


async def dumped(survey: Survey, units: Iterable[int], span: tuple[int, int]) -> list[dict[str, Any]]:
    """Every register of the units in ``span``, as a file that ``prewatt meters serve`` takes."""
    found: list[dict[str, Any]] = []
    for unit in units:
        words = await _words(survey, unit, span)
        by_function = {
            str(function): runs({at: word for (kind, at), word in words.items() if kind == function})
            for function in sorted({kind for kind, _ in words})
        }
        if by_function:
            found.append({"unit": unit, "registers": by_function})
    return found
