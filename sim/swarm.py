"""A seed goes in, a set of faults drawn from it comes out: each kind on or off, and how strong, differs by seed.

A set that has everything on hides what only shows when something is off: a swarm of sets finds more than the full one.
"""

from sim.customers import mix, share
from sim.faults import FaultPlan

STRONGEST = {"lost_request": 0.15, "lost_answer": 0.15, "duplicate": 0.2, "late": 0.05, "link_down": 0.12}
STUCK = 0.02
CRASH_H = (6, 12, 24, 48, 96)


def swarm(seed: int) -> FaultPlan:
    """The faults of one seed: each kind in half of all seeds, up to some five times the standard's share."""
    shares = {
        name: round(most * (0.1 + 0.9 * share(seed, number, 307)), 4) if _on(seed, number) else 0.0
        for number, (name, most) in enumerate(sorted(STRONGEST.items()))
    }
    return FaultPlan(
        **shares,
        stuck_relay=round(STUCK * share(seed, 311), 4) if _on(seed, 21) else 0.0,
        crash_h=CRASH_H[mix(seed, 313) % len(CRASH_H)] if _on(seed, 22) else 0,
        clock_step=_on(seed, 23),
    )


def _on(seed: int, kind: int) -> bool:
    return mix(seed, kind, 317) % 2 == 1
