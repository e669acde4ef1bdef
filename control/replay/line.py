"""Orders and visits of a replay go in, answers come out at once: every relay obeys, nothing is lost."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ingest.links.fenced import FencedDrives
from ingest.model import Driver
from ingest.ports import Clock, FenceStore
from ingest.records import Channel, Drive, DriveOutcome, MeterPoint, MeterRead, Poll, RelayReport, RelayState

GATEWAY = MODEL = "replay"


class ReplayClock:
    """Time as the replay tells it; it only goes forward, and whoever sleeps moves it."""

    def __init__(self, start: datetime) -> None:
        """Begin at ``start``."""
        self._start = self._now = start

    def now(self) -> datetime:
        """The replayed time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the start."""
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass at once."""
        self._now += timedelta(seconds=max(0.0, seconds))

    def reach(self, at: datetime) -> None:
        """Go on to ``at``, unless it is later already."""
        self._now = max(self._now, at)


@dataclass(frozen=True, slots=True)
class ReplayDriver:
    """A meter of a replay: it can be switched and read back, whatever it was."""

    name: str = MODEL
    protocol: str = "file"
    title: str = "a stored meter, replayed"
    switchable: bool = True
    load_profile: bool = False
    max_power_w: int = 1_000_000
    proven: str = "a replay has no wire"


DRIVERS: dict[str, Driver] = {MODEL: ReplayDriver()}


@dataclass(slots=True)
class Stand:
    """Where one meter of the replay stands: its register, its load, its relay, and when it was off."""

    register_wh: int = 0
    power_w: int = 0
    relay: RelayState = RelayState.CLOSED
    off: list[tuple[datetime, datetime | None]] = field(default_factory=list)

    def switch(self, state: RelayState, at: datetime) -> None:
        """Obey, and remember since when."""
        if state is self.relay:
            return
        self.relay = state
        if state is RelayState.OPEN:
            self.off.append((at, None))
            self.power_w = 0
        else:
            self.off[-1] = (self.off[-1][0], at)


class ReplayLink:
    """``ingest.ports.Link`` for every meter of a replay; ``stands`` by meter number."""

    def __init__(self, clock: Clock, stands: dict[str, Stand], fences: FenceStore) -> None:
        """Fences are the engine's own."""
        self._clock, self._stands = clock, stands
        self._fenced = FencedDrives(clock, fences)

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """The session's evidence and the register that it shows; intervals come from the lake, not from here."""
        read = MeterRead(point.meter_id, Channel.IMPORT, slot_end, self._stands[point.meter].register_wh)
        return replace(self.visit(point), reads=(read,))

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        """Nothing: what is not stored cannot be replayed."""
        del start, end
        return self.visit(point)

    def visit(self, point: MeterPoint) -> Poll:
        """Serial, register, load and relay as they stand now."""
        stand, at = self._stands[point.meter], self._clock.now()
        report = RelayReport(point.meter, at, stand.relay, stand.power_w)
        return Poll(
            point.meter, at, point.serial, relay=report, power_w=stand.power_w, offset_s=0,
            register_wh=stand.register_wh,
        )  # fmt: skip

    async def relay(self, point: MeterPoint) -> RelayReport:
        """What the relay says: the truth."""
        stand = self._stands[point.meter]
        return RelayReport(point.meter, self._clock.now(), stand.relay, stand.power_w)

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        """Switch at once, behind fence and expiry."""
        return await self._fenced.run(order, _Obedient(self._stands[point.meter], self._clock))

    async def close(self) -> None:
        """Nothing is open."""


class _Obedient:
    """One relay as ``FencedDrives`` asks for it."""

    def __init__(self, stand: Stand, clock: Clock) -> None:
        self._stand, self._clock = stand, clock

    async def prepare(self, order: Drive) -> str:
        return "" if order.action in ("disconnect", "connect") else "no_arm"

    @property
    def state(self) -> RelayState:
        return self._stand.relay

    async def write(self, order: Drive) -> None:
        wanted = RelayState.OPEN if order.action == "disconnect" else RelayState.CLOSED
        self._stand.switch(wanted, self._clock.now())

    async def read_back(self) -> None:
        return None
