"""The last register of a meter and a new one go in, a verdict comes out: could this energy have flowed in that time?

Pure, and asked by links before a value leaves them: a value that fell or rose faster than the meter's greatest power is
more likely another register, another meter or an old answer than energy.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ingest.records import Channel, MeterPoint

CLOCK_SLACK_S = 60  # host clocks are set by NTP in steps; energy of this long is never suspicious
STEP_SLACK_WH = 10


class Seen(NamedTuple):
    """A register value that was believed, and when it was read."""

    at: datetime
    register_wh: int


def judge(before: Seen | None, register_wh: int, at: datetime, *, point: MeterPoint, step_wh: int = 1) -> str:
    """Return "" for a plausible value, else ``negative_register``, ``register_fell`` or ``too_fast``.

    A register that passed its last digit (``point.digits``) counts as risen. ``step_wh`` is the register's resolution.
    """
    if register_wh < 0:
        return "negative_register"
    if before is None:
        return ""
    passed = at - before.at
    elapsed_s = max(0, 86_400 * passed.days + passed.seconds) + CLOCK_SLACK_S
    most_wh = point.max_power_w * elapsed_s // 3600 + step_wh + STEP_SLACK_WH
    risen = register_wh - before.register_wh
    if risen < 0:
        around = risen + int(10**point.digits)
        return "" if 0 <= around <= most_wh else "register_fell"
    return "too_fast" if risen > most_wh else ""


def stands(before: Seen | None, register_wh: int, at: datetime, *, power_w: int, step_wh: int = 1) -> bool:
    """Whether a register stands that should have moved at ``power_w``: a meter that froze, or an old answer.

    Two steps of the register must have been due; a load that was switched on just now looks the same, so this is a
    reason to ask again, not a verdict.
    """
    if before is None or register_wh != before.register_wh:
        return False
    due_wh = power_w * max(0, int((at - before.at).total_seconds())) // 3600
    return due_wh >= 2 * step_wh + STEP_SLACK_WH // 2


class RegisterWatch:
    """The believed registers of many meters by (meter, serial, channel); a new serial starts afresh."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._seen: dict[tuple[int, str, int], Seen] = {}

    def verdict(self, point: MeterPoint, channel: int, register_wh: int, at: datetime, *, step_wh: int = 1) -> str:
        """What ``judge`` says against the last believed value."""
        before = self._seen.get((point.meter_id, point.serial, channel))
        if before is None and register_wh >= 0:
            return ""
        if before is not None and before.at > at:
            before = before._replace(at=at)  # the host clock was set back: the register alone decides
        return judge(before, register_wh, at, point=point, step_wh=step_wh)

    def plain(self, point: MeterPoint, rows: Sequence[tuple[Channel, int, int]], at: datetime) -> bool:
        """Whether no row (channel, register, resolution in Wh) has a ``verdict``; then all of them are believed."""
        for channel, value, step_wh in rows:
            if self.verdict(point, channel, value, at, step_wh=step_wh):
                return False
        seen, meter_id, serial = self._seen, point.meter_id, point.serial
        for channel, value, _ in rows:
            seen[meter_id, serial, channel] = Seen(at, value)
        return True

    def doubtful(
        self, point: MeterPoint, channel: int, register_wh: int, at: datetime, *, power_w: int, step_wh: int = 1
    ) -> bool:
        """Whether a plausible value deserves a second look: the first of a meter, or one that ``stands``."""
        before = self._seen.get((point.meter_id, point.serial, channel))
        return before is None or stands(before, register_wh, at, power_w=power_w, step_wh=step_wh)

    def knows(self, point: MeterPoint, channel: int) -> bool:
        """Whether any value of this register was believed yet."""
        return (point.meter_id, point.serial, channel) in self._seen

    def believe(self, point: MeterPoint, channel: int, register_wh: int, at: datetime) -> None:
        """Make this the value that the next one is held against."""
        self._seen[point.meter_id, point.serial, channel] = Seen(at, register_wh)
