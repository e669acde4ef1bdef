"""A simulated meter goes in, the telegrams of its P1 port come out, one for each second that is asked for.

A real port speaks by itself; ``SpeakingPort`` does so on the loop's time. Faults of the meter by name: ``dead`` (says
nothing), ``wrong_unit`` (another meter's number), ``half_frame`` (telegrams without their second half), ``garbled``
(one digit changed, the CRC as it was).
"""

import asyncio
from datetime import UTC
from zoneinfo import ZoneInfo

from ingest.ports import Clock
from ingest.wire import p1
from sim.meters import SimMeter

ZONE = "Europe/Amsterdam"


def telegram(meter: SimMeter, clock: Clock) -> bytes:
    """What the port says now."""
    now = clock.now()
    meter.advance(now)
    at = meter.device_time(now).replace(tzinfo=UTC).astimezone(ZoneInfo(ZONE))
    serial = "99999999" if "wrong_unit" in meter.faults else meter.serial
    low, high = meter.register_wh // 3, meter.register_wh - meter.register_wh // 3
    items = (
        p1.Item("1.3.0.2.8.255", ("50",)),
        p1.Item("0.0.1.0.0.255", (at.strftime("%y%m%d%H%M%S") + ("S" if at.dst() else "W"),)),
        p1.Item("0.0.96.1.1.255", (serial.encode().hex().upper(),)),
        p1.Item("1.0.1.8.1.255", (f"{low // 1000:06d}.{low % 1000:03d}*kWh",)),
        p1.Item("1.0.1.8.2.255", (f"{high // 1000:06d}.{high % 1000:03d}*kWh",)),
        p1.Item("1.0.2.8.1.255", ("000000.000*kWh",)),
        p1.Item("1.0.2.8.2.255", ("000000.000*kWh",)),
        p1.Item("1.0.1.7.0.255", (f"{meter.power_w(now) / 1000:06.3f}*kW",)),
        p1.Item("1.0.32.7.0.255", ("230.1*V",)),
    )
    raw = p1.encode(p1.Telegram("PWT5\\SIM", items))
    if "garbled" in meter.faults:
        raw = raw.replace(b"230.1", b"230.7")
    return raw[: len(raw) // 2] if "half_frame" in meter.faults else raw


class SpeakingStream:
    """``ingest.ports.Stream`` on which a meter speaks every ``every_s`` seconds of the clock."""

    def __init__(self, meter: SimMeter, clock: Clock, every_s: float) -> None:
        """It speaks while it is open."""
        self._meter = meter
        self._clock = clock
        self._every_s = every_s
        self._closed = asyncio.Event()

    async def read(self, limit: int) -> bytes:
        """The next telegram; b"" after ``close``."""
        while not self._closed.is_set():
            await self._clock.sleep(self._every_s)
            if "dead" not in self._meter.faults:
                return telegram(self._meter, self._clock)[:limit]
        return b""

    async def write(self, data: bytes) -> None:
        """A port that hears nothing."""

    def close(self) -> None:
        """Say no more."""
        self._closed.set()


class SpeakingPort:
    """``ingest.ports.Transport`` with one P1 port on it."""

    def __init__(self, meter: SimMeter, clock: Clock, *, every_s: float = 1.0) -> None:
        """DSMR 5 speaks every second, older ports every ten."""
        self._meter = meter
        self._clock = clock
        self._every_s = every_s

    async def connect(self, host: str, port: int) -> SpeakingStream:
        """Open the port; OSError while the meter's socket is said to be down."""
        if "refuses" in self._meter.faults:
            raise ConnectionRefusedError(f"{host}:{port}")
        return SpeakingStream(self._meter, self._clock, self._every_s)
