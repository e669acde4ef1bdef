"""The clock's two readings go in and whether it ran true comes out: a step of the host clock holds disconnections."""

from datetime import datetime

from control.settings import Settings


class HostClock:
    """Compares wall time with monotonic time at each look; reconnections never ask it."""

    def __init__(self, limits: Settings) -> None:
        """Nothing is known before the first look, which trusts the clock as it stands."""
        self._limits = limits
        self._last: tuple[datetime, float] | None = None
        self._stepped: float | None = None

    def look(self, now: datetime, monotonic: float) -> bool:
        """Whether the clock may be trusted: it has not stepped by more than the limit for a while."""
        if self._limits.trust_clock:
            return True
        if self._last is not None:
            wall, mono = self._last
            if abs((now - wall).total_seconds() - (monotonic - mono)) > self._limits.clock_step_s:
                self._stepped = monotonic
        self._last = now, monotonic
        return self._stepped is None or monotonic - self._stepped > self._limits.clock_trust_s
