"""Successes and failures per device go in, permission to call comes out: a dead device stops nobody but itself.

Closed: calls pass. After ``LIMIT`` failures in a row open: calls are held back, for ``FIRST`` and then twice as long
each time, up to ``LONGEST``. When that time is over, half-open: one probe passes; its success closes, its failure opens
again. No clock and no chance: ``now`` comes in.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

LIMIT = 3
FIRST = timedelta(minutes=2)
LONGEST = timedelta(hours=1)


@dataclass(slots=True)
class _Device:
    failures: int = 0
    spell: timedelta = FIRST
    until: datetime | None = None


class Quarantine:
    """The state of many devices by name; what is not known is healthy."""

    def __init__(self, *, limit: int = LIMIT, first: timedelta = FIRST, longest: timedelta = LONGEST) -> None:
        """Open after ``limit`` failures in a row, for ``first`` up to ``longest``."""
        self._limit = limit
        self._first = first
        self._longest = longest
        self._devices: dict[str, _Device] = {}

    def allows(self, device: str, now: datetime) -> bool:
        """Whether ``device`` may be called; in half-open state only the first who asks may, once a spell."""
        state = self._devices.get(device)
        if state is None or state.until is None:
            return True
        if now < state.until:
            return False
        state.until = now + state.spell
        return True

    def failures(self, device: str) -> int:
        """How often ``device`` failed in a row."""
        state = self._devices.get(device)
        return state.failures if state is not None else 0

    def succeeded(self, device: str) -> bool:
        """Close; returns whether the device was in quarantine."""
        state = self._devices.pop(device, None)
        return state is not None and state.until is not None

    def failed(self, device: str, now: datetime) -> bool:
        """Count a failure; returns whether it put the device into quarantine (first time, not again)."""
        state = self._devices.setdefault(device, _Device(spell=self._first))
        state.failures += 1
        if state.until is not None:
            state.spell = min(2 * state.spell, self._longest)
        elif state.failures < self._limit:
            return False
        opened = state.until is None
        state.until = now + state.spell
        return opened

    def held(self, now: datetime) -> tuple[str, ...]:
        """The devices that are held back now, sorted."""
        return tuple(sorted(d for d, s in self._devices.items() if s.until is not None and now < s.until))
