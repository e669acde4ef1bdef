"""A P1 port's telegrams go in, polls come out when they are asked for: a link that only listens.

The port speaks by itself, every second or ten; ``poll`` answers with the newest telegram that is younger than the
driver's ``silence_s``. A telegram whose CRC fails is dropped and counted; one without CRC (DSMR 2 and 3) is believed.
The serial number of the meter must be the one that master data expect. Nothing can be switched, no profile be read.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest import drivers as installed
from ingest.errors import ProfileError
from ingest.framed import Frame, look_at_telegram
from ingest.heard import numbers_of, telegram_registers
from ingest.limits import CLOCK_LIMIT_S, LATE_SHARE, READ_LIMIT, stored_offset
from ingest.model import Driver, P1Driver
from ingest.ports import Clock, Stream, Transport
from ingest.records import (
    Channel,
    Drive,
    DriveOutcome,
    DriveResult,
    Finding,
    Flag,
    MeterPoint,
    MeterRead,
    Poll,
    RelayReport,
    RelayState,
)
from ingest.registerwatch import RegisterWatch
from ingest.wire import p1
from ingest.wire.sift import Sifter


@dataclass(frozen=True, slots=True)
class Heard:
    """A telegram, when it arrived, and the bytes that it came in."""

    at: datetime
    telegram: p1.Telegram
    raw: bytes


class P1Link:
    """``ingest.ports.Link`` for one P1 port behind a TCP serial server (or any stream)."""

    def __init__(
        self,
        clock: Clock,
        transport: Transport,
        host: str,
        port: int,
        *,
        gateway: str,
        drivers: Mapping[str, Driver] | None = None,
        connect_timeout_s: float = 3.0,
    ) -> None:
        """Nothing is opened before the first call."""
        self.gateway = gateway
        self._clock = clock
        self._transport = transport
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._drivers = drivers if drivers is not None else installed.drivers()
        self._watch = RegisterWatch()
        self._heard: Heard | None = None
        self._news = asyncio.Event()
        self._pump_task: asyncio.Task[None] | None = None
        self._stream: Stream | None = None
        self.dropped: Counter[str] = Counter()

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """The newest telegram's registers for ``slot_end``; waits for one when there is none that is young enough."""
        driver = self._drivers.get(point.model)
        if not isinstance(driver, P1Driver):
            raise ProfileError(f"meter {point.meter}: {point.model!r} is no P1 driver; correct its master data")
        heard = await self._fresh(driver)
        if heard is None:
            code = "unreachable" if self._stream is None else "timeout"
            return self._empty(point, code, f"no telegram within {driver.silence_s:g} s")
        frame = look_at_telegram(heard.telegram, 0, point.zone if point.zone != "UTC" else driver.zone)
        if point.serial and frame.meter != point.serial:
            return self._empty(point, "wrong_unit", f"serial {frame.meter} speaks, {point.serial} is expected")
        return self._polled(point, driver, frame, heard, slot_end)

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        """A P1 port cannot be asked: a finding says so."""
        return self._empty(point, "no_load_profile", f"{start.isoformat()}Z to {end.isoformat()}Z stays a gap")

    async def relay(self, point: MeterPoint) -> RelayReport:
        """A P1 port says nothing that could be believed of a relay."""
        return RelayReport(point.meter, self._clock.now(), RelayState.UNKNOWN, source="no_relay")

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:  # noqa: ARG002
        """Nothing can be switched through a P1 port."""
        return DriveOutcome(order.command, self._clock.now(), DriveResult.REFUSED, "read_only")

    async def close(self) -> None:
        """Stop listening; the next call listens again."""
        pump, self._pump_task = self._pump_task, None
        if self._stream is not None:
            self._stream.close()
        if pump is not None:
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump

    async def _fresh(self, driver: P1Driver) -> Heard | None:
        """The newest telegram, waited for at most ``silence_s``."""
        limit = timedelta(seconds=driver.silence_s)
        if self._pump_task is None or self._pump_task.done():
            self._pump_task = asyncio.get_running_loop().create_task(self._pump())
        if self._heard is None or self._clock.now() - self._heard.at > limit:
            self._heard = None
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(driver.silence_s):
                    await self._news.wait()
        return self._heard

    async def _pump(self) -> None:
        """Listen until the stream ends; what is heard replaces what was heard before."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._connect_timeout_s):
                self._stream = await self._transport.connect(self._host, self._port)
            sifter = Sifter()
            while data := await self._stream.read(READ_LIMIT):
                for piece in sifter.feed(data):
                    if isinstance(piece.content, p1.Telegram):
                        self._heard = Heard(self._clock.now(), piece.content, piece.raw)
                        self._news.set()
                    else:
                        self.dropped[piece.refusal or "other_frame"] += 1
        self._stream = None

    def _polled(self, point: MeterPoint, driver: P1Driver, frame: Frame, heard: Heard, slot_end: datetime) -> Poll:
        at = heard.at
        findings: list[Finding] = []
        offset_s = None if frame.time is None else round((frame.time - at).total_seconds())
        late = (at - slot_end).total_seconds()
        flags = Flag.NONE
        if offset_s is not None and abs(offset_s) > CLOCK_LIMIT_S:
            findings.append(self._finding(point, "clock_off", f"{offset_s} s against ours, limit {CLOCK_LIMIT_S}"))
            flags |= Flag.CLOCK
        if abs(late) > point.slot_min * 60 // LATE_SHARE:
            findings.append(self._finding(point, "late_read", f"{late:.0f} s from the slot's end: hour uncertain"))
            flags |= Flag.UNCERTAIN
        known = numbers_of(frame)
        amounts = telegram_registers(known, driver)
        reads = []
        for channel, amount in amounts.items():
            verdict = "" if channel is Channel.GAS else self._watch.verdict(point, channel, amount, at, step_wh=1)
            if verdict:
                findings.append(self._finding(point, verdict, f"{amount} Wh: kept as suspect, confirm on site"))
            self._watch.believe(point, channel, amount, at)
            marks = int(flags | (Flag.SUSPECT if verdict else Flag.NONE))
            offset = stored_offset(offset_s)
            reads.append(MeterRead(point.meter_id, channel, slot_end, amount, marks, offset))
        power, volts = known.get("1.0.1.7.0.255"), known.get("1.0.32.7.0.255")
        return Poll(
            meter=point.meter,
            at=self._clock.now(),
            serial=frame.meter,
            reads=tuple(reads),
            power_w=None if power is None else round(power),
            voltage_v=None if volts is None else round(volts),
            offset_s=offset_s,
            findings=tuple(findings),
            register_wh=amounts.get(Channel.IMPORT),
            raw=((b"", heard.raw),),
        )

    def _empty(self, point: MeterPoint, code: str, detail: str) -> Poll:
        return Poll(meter=point.meter, at=self._clock.now(), findings=(self._finding(point, code, detail),))

    def _finding(self, point: MeterPoint, code: str, detail: str) -> Finding:
        return Finding(code, self._clock.now(), point.meter, self.gateway, detail)
