"""A scenario goes in, its run comes out: seed, accounts, days, faults and transport as one small file that replays it.

Scenarios are kept in ``sim/scenarios`` as TOML. ``breaks`` names the invariants that the run broke when it was kept
(empty: it must hold); ``note`` says why it is kept.
"""

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sim.faults import FAULTS, FaultPlan
from sim.run import simulate
from sim.world import Cast

FOLDER = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that a run depends on."""

    name: str
    seed: int
    accounts: int
    days: int
    plan: FaultPlan = FAULTS["standard"]
    policy: str = "minigrid"
    transport: str = "direct"
    breaks: tuple[str, ...] = ()
    note: str = ""
    warm_up_days: int = 4

    def play(self, cast: Cast | None = None) -> dict[str, Any]:
        """The figures of the run; ``cast`` replaces engine and crews, not policy and transport."""
        cast = replace(cast or Cast(), template=self.policy, transport=self.transport, warm_up_days=self.warm_up_days)
        return simulate(self.accounts, self.days, self.seed, faults=self.plan, cast=cast)

    def text(self) -> str:
        """The scenario as TOML; ``read`` gives the same back."""
        plain = FaultPlan()
        named = {f.name: getattr(self.plan, f.name) for f in fields(FaultPlan)}
        struck = {name: value for name, value in named.items() if value != getattr(plain, name)}
        lines = [
            f"name = {_quoted(self.name)}",
            f"note = {_quoted(self.note)}",
            f"seed = {self.seed}",
            f"accounts = {self.accounts}",
            f"days = {self.days}",
            f"policy = {_quoted(self.policy)}",
            f"transport = {_quoted(self.transport)}",
            f"warm_up_days = {self.warm_up_days}",
            f"breaks = [{', '.join(_quoted(word) for word in self.breaks)}]",
            "",
            "[faults]",
            *(f"{name} = {str(value).lower()}" for name, value in struck.items()),
        ]
        return "\n".join(lines) + "\n"

    def keep(self, folder: Path = FOLDER) -> Path:
        """Write the scenario's file and return its path."""
        path = folder / f"{self.name}.toml"
        path.write_text(self.text(), encoding="utf-8")
        return path


def read(path: Path) -> Scenario:
    """The scenario in a file; KeyError or TypeError name a key that is missing or unknown."""
    body = tomllib.loads(path.read_text(encoding="utf-8"))
    plan = FaultPlan(**body.pop("faults", {}))
    return Scenario(plan=plan, breaks=tuple(body.pop("breaks", ())), **body)


def broken(figures: dict[str, Any]) -> frozenset[str]:
    """The ids of the invariants that a run broke; a fault that never struck is not one of them."""
    rows = figures["invariants"]
    return frozenset() if rows == "ok" else frozenset(row["id"] for row in rows) - {"fault"}


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
