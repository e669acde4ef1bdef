"""A failing scenario goes in, a smaller one that breaks the same invariant comes out.

No faults at all first, then days and accounts by halves, each kind of fault left out in turn, then single days and
accounts; a step is kept when the run still breaks an invariant that it broke before. Every try is one deterministic
run, so the result needs no luck to be seen again.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from sim.faults import FaultPlan
from sim.scenario import Scenario, broken

Breaks = Callable[[Scenario], frozenset[str]]


class Holds(ValueError):
    """The scenario that was to be made smaller breaks nothing."""


def shrink(
    scenario: Scenario,
    *,
    breaks: Breaks | None = None,
    tries: int = 40,
    tell: Callable[[str], None] | None = None,
) -> Scenario:
    """The smallest scenario found in ``tries`` runs; Holds when the first run breaks nothing."""
    breaks = breaks or (lambda one: broken(one.play()))
    wanted = breaks(scenario)
    if not wanted:
        raise Holds(f"{scenario.name}: no invariant breaks with seed {scenario.seed}; try: another seed, more days")
    left, smallest = tries - 1, scenario
    moved = True
    while moved and left > 0:
        moved = False
        for smaller in _smaller(smallest):
            if left <= 0:
                break
            left -= 1
            found = breaks(smaller) & wanted
            if tell is not None:
                tell(f"{smaller.accounts} accounts, {smaller.days} days: {', '.join(sorted(found)) or 'holds'}")
            if found:
                smallest, moved = replace(smaller, breaks=tuple(sorted(found))), True
                break
    return smallest if smallest.breaks else replace(smallest, breaks=tuple(sorted(wanted)))


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    """The next smaller ones, the boldest first."""
    plain = FaultPlan()
    if scenario.plan != plain:
        yield replace(scenario, plan=plain)
    for days in (1, scenario.days // 2):
        if 0 < days < scenario.days:
            yield replace(scenario, days=days)
    for accounts in (scenario.accounts // 4, scenario.accounts // 2):
        if accounts:
            yield replace(scenario, accounts=accounts)
    for entry in fields(FaultPlan):
        if getattr(scenario.plan, entry.name) != getattr(plain, entry.name):
            yield replace(scenario, plan=replace(scenario.plan, **{entry.name: getattr(plain, entry.name)}))
    if scenario.days > 1:
        yield replace(scenario, days=scenario.days - 1)
    for accounts in (scenario.accounts * 3 // 4, scenario.accounts - 1):
        if 0 < accounts < scenario.accounts:
            yield replace(scenario, accounts=accounts)
