"""Customers: from a seed and a number come the load of every hour and how a person pays; no state, no order of calls.

The shapes are invented but plausible: a household's two peaks, a shop's day, a plant's shifts, a clinic that never
sleeps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

EPOCH = datetime(2000, 1, 1)
_MASK = (1 << 64) - 1

SHAPES: dict[str, tuple[tuple[int, ...], int]] = {
    # 24 hourly loads in W on local time, and the weekend's share in percent
    "household": (
        (
            180,
            150,
            140,
            135,
            140,
            190,
            420,
            620,
            480,
            330,
            300,
            340,
            480,
            420,
            330,
            330,
            420,
            780,
            1150,
            1300,
            1150,
            820,
            480,
            260,
        ),
        112,
    ),
    "flat": (
        (
            90,
            80,
            75,
            75,
            80,
            130,
            310,
            360,
            200,
            130,
            120,
            140,
            190,
            160,
            130,
            140,
            230,
            480,
            700,
            760,
            640,
            430,
            260,
            140,
        ),
        118,
    ),
    "shop": (
        (
            350,
            340,
            330,
            330,
            340,
            420,
            800,
            1900,
            2900,
            3300,
            3500,
            3600,
            3500,
            3500,
            3400,
            3400,
            3300,
            3100,
            2600,
            2100,
            1400,
            800,
            500,
            400,
        ),
        85,
    ),
    "plant": (
        (
            9000,
            8600,
            8500,
            8500,
            8800,
            9900,
            15000,
            31000,
            42000,
            45000,
            46000,
            43000,
            39000,
            44000,
            46000,
            45000,
            41000,
            30000,
            19000,
            14000,
            12000,
            11000,
            10000,
            9500,
        ),
        45,
    ),
    "clinic": (
        (
            2100,
            2050,
            2000,
            2000,
            2050,
            2200,
            2900,
            4100,
            5200,
            5600,
            5700,
            5500,
            5200,
            5400,
            5500,
            5300,
            4800,
            4000,
            3400,
            3000,
            2800,
            2600,
            2400,
            2200,
        ),
        92,
    ),
}
WATTS_MAX = 60_000


def mix(*parts: int) -> int:
    """A 64-bit number from integers (splitmix64), the same in every process and whatever was asked before."""
    state = 0x9E3779B97F4A7C15
    for part in parts:
        state = (state ^ (part & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def share(*parts: int) -> float:
    """A number in [0, 1) from integers."""
    return mix(*parts) / 2**64


def load_of(
    shape: str, *, seed: int, customer: int, percent: int = 100, utc_offset_h: int = 8
) -> Callable[[datetime], int]:
    """The load function of one customer: W during the hour that starts at a UTC time, +-25 % from hour to hour."""
    hourly, weekend = SHAPES[shape]

    def load(hour: datetime) -> int:
        number = int((hour - EPOCH).total_seconds()) // 3600
        local = number + utc_offset_h
        watts = hourly[local % 24] * percent // 100
        if (local // 24) % 7 in (0, 1):  # 2000-01-01 was a Saturday
            watts = watts * weekend // 100
        return min(WATTS_MAX, watts * (75 + mix(seed, customer, number) % 51) // 100)

    return load


@dataclass(frozen=True, slots=True)
class Payer:
    """How one person pays: on a warning or only when dark, how many hours later, how much (micro-units)."""

    on_warning: bool
    delay_min: int
    amount_micro: int


def payer_of(seed: int, customer: int, *, typical_micro: int) -> Payer:
    """A person from a seed: some four in ten act on a warning, the rest once the light is off."""
    delay = 20 + mix(seed, customer, 71) % 340
    factor = 50 + mix(seed, customer, 73) % 101
    return Payer(
        on_warning=share(seed, customer, 79) < 0.4,
        delay_min=delay,
        amount_micro=max(5_000_000, typical_micro * factor // 100 // 1_000_000 * 1_000_000),
    )
