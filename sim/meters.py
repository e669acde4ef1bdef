"""One physical meter: load goes in, a register and a relay come out; the protocol servers read and switch it.

The same object stands behind the Modbus server, the DLMS concentrator and the deterministic simulator. It keeps its own
(possibly wrong) clock. Faults are set by name: ``stuck_relay`` (drives do nothing), ``lying_relay`` (reports what it
was told, does nothing), ``dead`` (answers nothing), ``wrong_unit`` (another unit answers), ``half_frame``,
``clock_skew`` (device clock off by ``skew_s``), ``frozen`` (register stands still though load flows).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest.records import RelayState

Load = Callable[[datetime], int]
"""Watts drawn during the hour that starts at the given UTC time (constant within an hour)."""

_HOUR = timedelta(hours=1)
SLOTS_KEPT = 24 * 120
BY_HAND = "crew"


def hour_floor(at: datetime) -> datetime:
    """The start of the hour of ``at``."""
    return at.replace(minute=0, second=0, microsecond=0)


@dataclass(slots=True)
class SimMeter:
    """A meter's metal: ``register_mwh`` (milli-Wh), relay, clock offset, faults."""

    serial: str
    load: Load
    at: datetime
    register_mwh: int = 0
    digits: int = 9
    relay: RelayState = RelayState.CLOSED
    skew_s: int = 0
    faults: set[str] = field(default_factory=set)
    profile: list[tuple[datetime, int]] = field(default_factory=list)  # (hour end, register_wh) as the meter stored it
    relay_changes: list[tuple[datetime, RelayState, str]] = field(default_factory=list)
    last_fence: int = 0
    keep_power: bool = False
    alarm: bool = False
    message: bytes = b""  # what its display tells the customer
    valid_until: datetime | None = None
    jams: Callable[[RelayState], bool] | None = None  # asked at each drive: does the relay jam from now on?
    spare_wus: int = 0  # W x microseconds not yet a milli-Wh, so that looking often changes nothing
    told: RelayState | None = None  # what a lying relay was last told
    changed: Callable[[], None] | None = None  # called at each effective change of the relay
    first_wh: int = field(init=False)  # the display when it was hung

    def __post_init__(self) -> None:
        """Remember the display."""
        self.first_wh = self.register_wh

    def advance(self, now: datetime) -> None:
        """Let the load run until ``now``, storing the hourly load profile on the way; time never runs backwards."""
        while self.at < now:
            hour = hour_floor(self.at)
            until = min(now, hour + _HOUR)
            if self.relay is RelayState.CLOSED and "frozen" not in self.faults:
                seconds_us = (until - self.at) // timedelta(microseconds=1)
                more_mwh, self.spare_wus = divmod(self.spare_wus + self.load(hour) * seconds_us, 3_600_000)
                self.register_mwh += more_mwh
            self.at = until
            if until == hour + _HOUR:
                self.profile.append((until, self.register_wh))
                del self.profile[:-SLOTS_KEPT]

    @property
    def register_wh(self) -> int:
        """The display: cumulative Wh, rolled over at ``10**digits``."""
        turn: int = 10**self.digits
        return (self.register_mwh // 1000) % turn

    def power_w(self, now: datetime) -> int:
        """The load through the relay now: 0 when it is open."""
        return self.load(hour_floor(now)) if self.relay is RelayState.CLOSED else 0

    def device_time(self, now: datetime) -> datetime:
        """What the meter's own clock says (UTC)."""
        return now + timedelta(seconds=self.skew_s)

    def switch(self, state: RelayState, now: datetime, cause: str) -> bool:
        """Drive the relay; returns whether the device acknowledges (a stuck or lying relay acknowledges and stays)."""
        self.advance(now)
        if self.jams is not None and cause != BY_HAND and self.jams(state):  # a crew does not leave a stuck one behind
            self.faults.add("stuck_relay")
        if "stuck_relay" not in self.faults and "lying_relay" not in self.faults and state is not self.relay:
            self.relay = state
            self.relay_changes.append((now, state, cause))
            if self.changed is not None:
                self.changed()
        if "lying_relay" in self.faults:
            self.told = state
        return True

    @property
    def reported_relay(self) -> RelayState:
        """What the device says of its relay."""
        return self.told if "lying_relay" in self.faults and self.told is not None else self.relay
