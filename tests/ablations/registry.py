"""All rows in, one table out; a name that stands twice is an error."""

from tests.ablations import Safeguard, devices, guards, money, orders, town

SAFEGUARDS: tuple[Safeguard, ...] = (*guards.ROWS, *orders.ROWS, *town.ROWS, *money.ROWS, *devices.ROWS)


def by_check() -> dict[str, list[Safeguard]]:
    """The safeguards of each check, by pytest's node id."""
    found: dict[str, list[Safeguard]] = {}
    for one in SAFEGUARDS:
        found.setdefault(one.check, []).append(one)
    return found
