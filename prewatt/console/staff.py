"""The home's users go in, the admin's page of them comes out; and from its forms what the actions ask for."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from prewatt.console.board import frame, snapshot
from prewatt.console.viewer import MESSAGE_LIMIT, Console
from prewatt.people import scrypt
from prewatt.roles import ROLES


async def page(console: Console, request: Request) -> Response:
    """Who may use this console, and in which roles."""
    found = await console.watch.once(("users",), lambda: frame(console.source, snapshot(console.source, [])))
    people = console.people.everybody() if console.people is not None else {}
    users = [people[name] for name in sorted(people)]
    message = request.query_params.get("message", "")[:MESSAGE_LIMIT]
    return console.draw(request, "users.html", found, "users", users=users, roles=list(ROLES), message=message)


def roles(given: Mapping[str, str]) -> dict[str, Any]:
    """The roles whose boxes are ticked."""
    return {"roles": [role for role in ROLES if given.get(f"role-{role}")]}


def password(given: Mapping[str, str]) -> dict[str, Any]:
    """The first password as it is kept; it takes some 80 ms."""
    return {"password": scrypt(given.get("password", ""))}


def newcomer(given: Mapping[str, str]) -> dict[str, Any]:
    """A new user's roles and first password."""
    return {**roles(given), **password(given)}
