"""The registry's rows go in, docs/reference/ablations.md comes out: what happens without each.

``python -m tests.reference`` writes it beside the other pages.
"""

from tests.ablations.registry import SAFEGUARDS

LEAD = """Each row is taken out of the running code by its name, and the test beside it must turn red: one that stays
green fails the gate (`tests/ablations`). `pytest tests/ablations -k NAME` shows one of them."""


def page() -> str:
    """The table, by subject."""
    lines = ["# What happens without it", "", *LEAD.splitlines(), ""]
    groups = list(dict.fromkeys(one.group for one in SAFEGUARDS))
    for group in groups:
        lines += [f"## {group[:1].upper()}{group[1:]}", "", "| taken away | then | turns red |", "|---|---|---|"]
        for one in SAFEGUARDS:
            if one.group == group:
                lines.append(f"| {one.name} | {one.stops} | `{one.check}` |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
