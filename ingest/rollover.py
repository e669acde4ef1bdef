"""A meter's readings go in, what was consumed comes out: rollover, replacement and multiplier included."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ingest.errors import IngestError


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a register as a person wrote it; ``event`` is install, read or remove."""

    meter: str
    register: Decimal
    event: str
    digits: int
    multiplier: Decimal = Decimal(1)


def advanced(before: Decimal, after: Decimal, modulus: Decimal) -> Decimal:
    """How far a register that restarts at ``modulus`` moved on from ``before`` to ``after``.

    >>> advanced(Decimal(9_990), Decimal(15), Decimal(10_000))
    Decimal('25')
    """
    return after - before if after >= before else after - before + modulus


def consumed(readings: Sequence[Reading]) -> Decimal:
    """Energy over ``readings`` in order of time, in the register's unit times the multiplier; meters may change.

    The first reading of each meter and every ``install`` only set where it starts.
    """
    last: dict[str, Decimal] = {}
    total = Decimal(0)
    for reading in readings:
        modulus = Decimal(10) ** reading.digits
        if not 0 <= reading.register < modulus:
            raise IngestError(f"meter {reading.meter}: {reading.register} does not fit {reading.digits} digits")
        if reading.event != "install" and reading.meter in last:
            total += advanced(last[reading.meter], reading.register, modulus) * reading.multiplier
        last[reading.meter] = reading.register
    return total
