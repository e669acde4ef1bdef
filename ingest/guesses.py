"""Registers of an unknown meter go in, ranked guesses come out: which function, type and word order its values have.

What makes a guess good is what values must be: a mains voltage near a nominal one, a power that is voltage times
current, an energy that rises as the power says. A manual's address may be off by one and its bytes in any of four
orders; all of them are tried. What registers alone cannot tell: powers of ten of whole numbers (5.2 A or 52 A), and a
16-bit value from the low half of a wider one (the wider one comes first). Pure; ``ingest.links.survey`` reads.
"""

import itertools
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ingest.model import WORDS, Encoding

Words = Mapping[tuple[int, int], int]
"""Registers by (function, address)."""
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
NOMINAL_V = (100, 110, 120, 127, 220, 230, 240, 380, 400, 415)
OFF_NOMINAL = 0.1
MOST_A, MOST_W = 1000.0, 1_000_000.0
POWER_MATCH = 0.04
_KINDS = (Encoding.FLOAT32, Encoding.INT32, Encoding.UINT32, Encoding.INT16, Encoding.UINT16)
_FORMATS = {Encoding.FLOAT32: ">f", Encoding.INT32: ">i", Encoding.UINT32: ">I", Encoding.INT16: ">h"}
_SCALES = {True: (1.0,), False: (1.0, 0.1, 0.01, 0.001)}
_MOST_PAIRS = 64


@dataclass(frozen=True, slots=True)
class Role:
    """One value that makes sense: what it is, where, times which scale, and how much it says for the guess."""

    quantity: str
    address: int
    scale: float
    value: float
    points: int
    because: str


@dataclass(frozen=True, slots=True)
class Guess:
    """One way to read the device, with its points and the values that speak for it."""

    function: int
    encoding: Encoding
    order: str
    points: int
    roles: tuple[Role, ...] = field(default=())


def ordered(data: bytes, order: str) -> bytes:
    """Bytes as they came, put into the order that ``struct`` wants; ``order`` is one of ``ORDERS``.

    >>> ordered(bytes.fromhex("33344366"), "CDAB").hex()
    '43663334'
    """
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    return b"".join(word[::-1] if order in ("BADC", "DCBA") else word for word in words)


def number(words: Words, function: int, address: int, encoding: Encoding, order: str) -> float | None:
    """The raw number at a place, None where registers are missing or a float is none."""
    found = [words.get((function, address + at)) for at in range(WORDS[encoding])]
    if None in found:
        return None
    data = ordered(b"".join(struct.pack(">H", word) for word in found), order)
    value = struct.unpack(_FORMATS.get(encoding, ">H"), data)[0]
    return float(value) if math.isfinite(value) and abs(value) < 1e15 else None


def guesses(
    words: Words, later: Words | None = None, *, elapsed_s: float = 0.0, address: int | None = None
) -> list[Guess]:
    """Every reading that explains at least a voltage or a power, best first.

    ``later`` are the same registers ``elapsed_s`` seconds after: what rises with the power is energy. ``address`` is
    where a manual puts a value: readings that have one there, or one beside, come first among equals.
    """
    found: list[Guess] = []
    for function in sorted({function for function, _ in words}):
        places = sorted(at for kind, at in words if kind == function)
        for encoding in _KINDS:
            for order in ORDERS if WORDS[encoding] == 2 else ORDERS[::2]:
                roles = list(_roles(words, later or {}, elapsed_s, (function, encoding, order), places))
                points = sum(role.points for role in roles) - (WORDS[encoding] == 1)
                if roles and points >= 2:
                    found.append(Guess(function, encoding, order, points, tuple(roles)))
    return sorted(found, key=lambda g: (-g.points, _away(g, address), g.function, ORDERS.index(g.order)))


def _away(guess: Guess, address: int | None) -> int:
    """How far the nearest value lies from the address that a manual names."""
    return min(abs(role.address - address) for role in guess.roles) if address is not None else 0


def _roles(
    words: Words, later: Words, elapsed_s: float, way: tuple[int, Encoding, str], places: list[int]
) -> Iterator[Role]:
    """The values of one way to read: voltages, a current and a power that belong together, an energy that rises."""
    function, encoding, order = way
    raw = {at: read for at in places if (read := number(words, function, at, encoding, order)) is not None}
    scales = _SCALES[encoding is Encoding.FLOAT32]
    volts = [(at, s, v * s) for at, v in raw.items() for s in scales if v and _nominal(v * s)]
    if volts:
        at, scale, value = volts[0]
        points = 3 if encoding is Encoding.FLOAT32 else 2
        yield Role("voltage_v", at, scale, value, points, f"within {OFF_NOMINAL:.0%} of {_nominal(value)} V")
    triple = _triple(raw, volts, scales)
    power = triple[1].value if triple is not None else 0.0
    if triple is not None:
        yield from triple
    yield from _energy(raw, later, elapsed_s, way, power)


def _nominal(volts: float) -> int:
    return next((n for n in NOMINAL_V if abs(volts - n) <= OFF_NOMINAL * n), 0)


def _triple(
    raw: Mapping[int, float], volts: list[tuple[int, float, float]], scales: tuple[float, ...]
) -> tuple[Role, Role] | None:
    """A current and a power whose voltage explains them; the pair that fits best."""
    best: tuple[float, Role, Role] | None = None
    amps = [(at, s, v * s) for at, v in raw.items() for s in scales if 0.02 <= v * s <= MOST_A]
    watts = [(at, s, v * s) for at, v in raw.items() for s in scales if 5 <= abs(v * s) <= MOST_W]
    for at_v, _, value_v in volts[:_MOST_PAIRS]:
        for (at_a, scale_a, value_a), (at_w, scale_w, value_w) in itertools.product(amps, watts):
            if len({at_v, at_a, at_w}) < 3:
                continue
            off = abs(abs(value_w) / (value_v * value_a) - 1)
            if off <= POWER_MATCH and (best is None or off < best[0]):
                why = f"{value_v:.1f} V x {value_a:.2f} A = {value_v * value_a:.0f}"
                current = Role("current_a", at_a, scale_a, value_a, 1, "between the voltage and the power")
                best = off, current, Role("power_w", at_w, scale_w, value_w, 4, why)
    return (best[1], best[2]) if best is not None else None


def _energy(
    raw: Mapping[int, float], later: Words, elapsed_s: float, way: tuple[int, Encoding, str], power_w: float
) -> Iterator[Role]:
    """Registers that rose by what the power brought in the time between, in Wh or kWh and their tenths."""
    want_wh = abs(power_w) * elapsed_s / 3600
    if want_wh <= 0:
        return
    for at, before in raw.items():
        after = number(later, way[0], at, way[1], way[2])
        if after is None or not 0 < before < after:
            continue
        for scale in (1.0, 1000.0, 100.0, 10.0, 0.1):
            rise = (after - before) * scale
            if abs(rise - want_wh) <= 0.1 * want_wh + scale * 1e-3:
                yield Role(
                    "import_wh", at, scale, before * scale, 4, f"rose {rise:.1f} Wh, the power says {want_wh:.1f}"
                )
                return
