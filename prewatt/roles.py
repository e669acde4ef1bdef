"""A right and somebody's roles go in, whether they have it comes out; every right is listed here, and no other exists.

A right is the name of an action (``prewatt/actions``), or ``look``. What is not listed nobody may do over the network;
the command line in the home needs no role: whoever can write the home's files is beyond them.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

VIEWER, OPERATOR, APPROVER, FINANCE, FIELD, ADMIN = "viewer", "operator", "approver", "finance", "field", "admin"
ROLES: Mapping[str, str] = MappingProxyType(
    {
        VIEWER: "looks at everything, changes nothing",
        OPERATOR: "works the desk: reads, holds, asks for disconnections, orders reconnections, pulls the kill switch",
        APPROVER: "lets another person's disconnection go, or stops it; with a second one all that the breaker keeps",
        FINANCE: "money: top-ups, matching, reversals",
        FIELD: "works on site: reads a meter now",
        ADMIN: "users and their roles; nothing that moves supply or money",
    }
)
LOOK = "look"
EVERYBODY = frozenset(ROLES)
RIGHTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        LOOK: EVERYBODY,
        "explain": EVERYBODY,
        "accounts.topup": frozenset({FINANCE}),
        "accounts.read": frozenset({OPERATOR, FIELD}),
        "accounts.protect": frozenset({OPERATOR, APPROVER}),
        "accounts.reconnect": frozenset({OPERATOR, APPROVER}),
        "accounts.disconnect": frozenset({OPERATOR}),
        "commands.approve": frozenset({APPROVER}),
        "commands.hold": frozenset({OPERATOR, APPROVER}),
        "orders.assign": frozenset({OPERATOR}),
        "orders.close": frozenset({OPERATOR, FIELD}),
        "outages.say": frozenset({OPERATOR, FIELD}),
        "meters.attribute": frozenset({OPERATOR, FIELD}),
        "meters.set_attribute": frozenset({OPERATOR}),
        "meters.set_clock": frozenset({OPERATOR, FIELD}),
        "payments.match": frozenset({FINANCE}),
        "payments.reverse": frozenset({FINANCE}),
        "payments.void": frozenset({FINANCE}),
        "payments.shift": frozenset({FINANCE}),
        "kill.pull": frozenset({OPERATOR, APPROVER}),
        "kill.reset": frozenset({APPROVER}),
        "breaker.release": frozenset({APPROVER}),
        "breaker.drop": frozenset({APPROVER}),
        "users.add": frozenset({ADMIN}),
        "users.password": frozenset({ADMIN}),
        "users.disable": frozenset({ADMIN}),
    }
)


def may(roles: Collection[str], right: str) -> bool:
    """Whether somebody with ``roles`` has ``right``.

    >>> may({"operator"}, "accounts.disconnect"), may({"operator"}, "commands.approve"), may({"admin"}, "no.such")
    (True, False, False)
    """
    return not RIGHTS.get(right, frozenset()).isdisjoint(roles)
