"""Named sets of faults go in by name, what the world must do to people, wires and processes comes out.

The shares of ``standard`` are those of the safety page: link down 3.6 % of the time, requests and acknowledgements lost
3 % each, duplicates 3 %, stuck relays 0.3 % of drives, a crash every two days.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sim.customers import mix

DAY_MIN = 1440


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Shares per message (network), of time (link_down) or of drives (stuck_relay); hours between crashes, 0 = none."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    link_down: float = 0.0
    stuck_relay: float = 0.0
    crash_h: int = 0
    clock_step: bool = False

    def enabled(self) -> tuple[str, ...]:
        """Names of the faults that must strike at least once."""
        found = [name for name in ("lost_request", "lost_answer", "duplicate", "late") if getattr(self, name)]
        found += ["link_down"] if self.link_down else []
        found += ["stuck_relay"] if self.stuck_relay else []
        found += ["crash"] if self.crash_h else []
        return tuple(found + (["clock_step"] if self.clock_step else []))


_WIRE = FaultPlan(lost_request=0.03, lost_answer=0.03, duplicate=0.03, late=0.005)
FAULTS: Mapping[str, FaultPlan] = {
    "none": FaultPlan(),
    "wire": _WIRE,
    "links": FaultPlan(link_down=0.036),
    "relays": FaultPlan(stuck_relay=0.003),
    "crashes": FaultPlan(crash_h=48),
    "standard": FaultPlan(
        lost_request=0.03,
        lost_answer=0.03,
        duplicate=0.03,
        late=0.005,
        link_down=0.036,
        stuck_relay=0.003,
        crash_h=48,
        clock_step=True,
    ),
}
SHARE_BITS = 1_000_000
STUCK_WITHIN = 4


def stuck_at(seed: int, drive: int, share: float) -> bool:
    """Whether the town's ``drive``-th relay drive jams: one of the first four for sure, then by share."""
    if share <= 0:
        return False
    return drive == mix(seed, 97) % STUCK_WITHIN + 1 or mix(seed, drive, 101) % SHARE_BITS < share * SHARE_BITS


def outage(seed: int, gateway: int, day: int, share: float) -> tuple[int, int]:
    """Start and length in minutes of one gateway's outage on one day: ``share`` of the time on average."""
    mean = round(share * DAY_MIN)
    length = mean // 2 + mix(seed, gateway, day, 103) % (mean + 1)
    return mix(seed, gateway, day, 107) % (DAY_MIN - length), length
