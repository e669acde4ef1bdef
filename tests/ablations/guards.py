"""Guards and rules by name: each made always true, or taken out, with the story that it prevents."""

from typing import Any

import pytest

from control import guards, reconnect, verdicts
from control.records import Guard
from tests.ablations import Removal, Safeguard, entry

STORIES = "tests/control/test_ablation.py"


def always(name: str) -> Removal:
    """Guard ``name`` true whatever the case; KeyError for a name that is none."""
    owner = "control.guards:CHECKS" if name in guards.CHECKS else "control.reconnect:CHECKS"

    def true(*_: Any) -> Guard:
        return Guard(name, True, "removed by the test")

    return entry(owner, name, true)


def ruleless(name: str) -> Removal:
    """The rules without ``name``."""

    def remove(patch: pytest.MonkeyPatch) -> None:
        kept = {key: rule for key, rule in verdicts.rules().items() if key != name}
        assert len(kept) < len(verdicts.rules()), f"no rule {name}"
        patch.setattr(verdicts, "rules", lambda: kept)

    return remove


def removal(name: str) -> Removal:
    """How to take a guard or rule away, by its name alone."""
    return always(name) if name in guards.CHECKS or name in reconnect.CHECKS else ruleless(name)


_DECIDED = {
    "G1": "who is paid up is cut",
    "G2": "somebody is cut on an estimate",
    "G3": "somebody is cut while vending is down and nobody can pay",
    "G4": "somebody is cut on a festival",
    "G5": "somebody is cut in a dispute, or under protection",
    "G6": "a bug that made everybody negative cuts everybody",
    "G7": "who paid this morning is cut at noon",
    "G8": "a relay opens under more load than it can break",
    "G9": "orders leave though the kill switch was pulled",
    "G10": "a plant is stopped without a person",
    "G11": "a village is cut on the day of its migration",
    "G12": "the neighbour is cut",
    "G13": "somebody is cut who never signed",
}
_SENT = {name: _DECIDED[name] for name in _DECIDED}
_RETURNS = {
    "RG1": "supply comes on while a crew works on the line",
    "RG2": "a vacant site comes alive",
    "RG3": "the neighbour's relay is closed",
    "RG4": "a relay closes on somebody's generator",
}
_RULES = {
    "come_back": "who paid stays dark for ever",
    "cut": "nobody is ever cut: safe, and no use",
    "ask": "no person is ever asked",
    "stand_still": "nobody can tell why somebody was not cut",
    "by_hand": "a clinic's debt is nobody's task",
    "read_back": "an unknown relay stays unknown",
    "no_free_supply": "no communication is free supply",
    "tell": "nobody is warned",
}

ROWS = (
    *(
        Safeguard(
            name, "guards, when decided", what, f"{STORIES}::test_with_the_safeguard_the_story_goes_well[{name}]",
            always(name),
        )
        for name, what in _DECIDED.items()
    ),
    *(
        Safeguard(
            f"{name} at the send", "guards, when sent", what, f"{STORIES}::test_each_guard_stops_the_send_too[{name}]",
            always(name),
        )
        for name, what in _SENT.items()
    ),
    *(
        Safeguard(
            name, "reconnect guards", what, f"{STORIES}::test_with_the_safeguard_the_story_goes_well[{name}]",
            always(name),
        )
        for name, what in _RETURNS.items()
    ),
    *(
        Safeguard(
            name, "rules", what, f"{STORIES}::test_with_the_safeguard_the_story_goes_well[{name}]", ruleless(name)
        )
        for name, what in _RULES.items()
    ),
)  # fmt: skip
