"""A viewer's POST goes in; an action of the daemon, or a cookie, comes out, and the way back to the page.

Every action is one of the daemon's own, the same that the command line calls: a disconnection asked for here passes
every guard, and its reason is on record.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from prewatt.console import staff
from prewatt.console.viewer import HEADERS, STALE_FORM, THEMES, Console, form, keep, refusal
from prewatt.console.words import LANGUAGES
from prewatt.errors import translate

HOLD_H = 24
OUTAGE = ("transformer", "feeder", "meter", "cause", "start", "end", "work")


@dataclass(frozen=True, slots=True)
class Act:
    """A button: the action that it asks for, what of it the form says, what is fixed, and its word's key.

    ``made`` makes more of the form's fields, beside the loop: it may take its time.
    """

    action: str
    word: str
    fields: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    made: Callable[[Mapping[str, str]], Mapping[str, Any]] = lambda given: {}  # noqa: ARG005


ACTS: Mapping[tuple[str, str], Act] = {
    ("account", "topup"): Act("accounts.topup", "account.topup", ("amount", "id")),
    ("account", "read"): Act("accounts.read", "account.read"),
    ("account", "protect"): Act("accounts.protect", "account.protect", ("reason",)),
    ("account", "hold"): Act("accounts.protect", "account.hold", ("reason",), {"kind": "manual", "days": 1}),
    ("account", "reconnect"): Act("accounts.reconnect", "account.reconnect"),
    ("account", "disconnect"): Act("accounts.disconnect", "account.disconnect", ("reason",)),
    ("command", "approve"): Act("commands.approve", "board.approve"),
    ("command", "hold"): Act("commands.hold", "board.hold", (), {"hours": HOLD_H}),
    ("safety", "pull"): Act("kill.pull", "safety.pull", ("reason",)),
    ("safety", "reset"): Act("kill.reset", "safety.reset"),
    ("safety", "release"): Act("breaker.release", "safety.release"),
    ("safety", "drop"): Act("breaker.drop", "safety.drop"),
    ("payment", "match"): Act("payments.match", "payments.match", ("channel", "id", "account")),
    ("payment", "reverse"): Act("payments.reverse", "payments.reverse", ("channel", "id", "amount", "reason")),
    ("order", "assign"): Act("orders.assign", "field.assign", ("order", "owner")),
    ("order", "close"): Act("orders.close", "field.close", ("order", "outcome", "found")),
    ("outage", "start"): Act("outages.say", "field.start", OUTAGE, {"word": "start"}),
    ("outage", "end"): Act("outages.say", "field.end", ("outage",), {"word": "end"}),
    ("outage", "cancel"): Act("outages.say", "field.cancel", ("outage",), {"word": "cancel"}),
    ("user", "add"): Act("users.add", "users.add", ("name",), made=staff.newcomer),
    ("user", "roles"): Act("users.add", "users.roles", ("name",), made=staff.roles),
    ("user", "password"): Act("users.password", "users.password", ("name",), made=staff.password),
    ("user", "disable"): Act("users.disable", "users.disable", ("name",)),
    ("user", "enable"): Act("users.disable", "users.enable", ("name",), {"disabled": False}),
}


async def account(console: Console, request: Request) -> Response:
    """A person's action on one account."""
    name = request.path_params["account"]
    return await _act(console, request, "account", f"accounts/{name}", {"account": name})


async def command(console: Console, request: Request) -> Response:
    """A person's word on one command."""
    return await _act(console, request, "command", "", {"command": request.path_params["command"]})


async def safety(console: Console, request: Request) -> Response:
    """A person's word on the kill switch or the breaker."""
    return await _act(console, request, "safety", "safety", {})


async def payment(console: Console, request: Request) -> Response:
    """A person's word on one payment, which the form names."""
    return await _act(console, request, "payment", "payments", {})


async def order(console: Console, request: Request) -> Response:
    """A person's word on one work order, which the form names."""
    return await _act(console, request, "order", "orders", {})


async def outage(console: Console, request: Request) -> Response:
    """A person's word on an outage, one that the form names or a new one."""
    return await _act(console, request, "outage", "outages", {})


async def user(console: Console, request: Request) -> Response:
    """An admin's word on one user, whom the form names."""
    return await _act(console, request, "user", "users", {})


KINDS: Mapping[Callable[[Console, Request], Awaitable[Response]], str] = {
    account: "account", command: "command", safety: "safety", payment: "payment", order: "order", outage: "outage",
    user: "user",
}  # fmt: skip
"""Which buttons an endpoint takes."""


async def _act(console: Console, request: Request, kind: str, back: str, subject: Mapping[str, str]) -> Response:
    """CSRF checked, handed to the daemon, its answer shown on the page that it came from."""
    given = dict(await form(request))
    if not console.trusts(request, given.pop("csrf", "")):
        return refusal(STALE_FORM, 403)
    act = ACTS.get((kind, request.path_params["verb"]))
    if act is None:
        return refusal(f"no action {request.path_params['verb']!r}", 404)
    words = console.words(request)
    asked = {**subject, **{name: given[name] for name in act.fields if given.get(name)}, **act.fixed}
    try:
        asked |= await asyncio.to_thread(act.made, given)
        await console.source.do(act.action, asked, console.who(request).name)
        message = words.say("account.done", what=words.say(act.word).rstrip("…"))
    except Exception as error:
        known = translate(error)
        if known is None:
            raise
        message = words.say("account.refused", why=known.what)
    return RedirectResponse(f"{console.url(back)}?{urlencode({'message': message})}", 303, headers=HEADERS)


async def choose(console: Console, request: Request) -> Response:
    """Keep the viewer's language or theme in a cookie."""
    given = await form(request)
    if not console.trusts(request, given.get("csrf", "")):
        return refusal(STALE_FORM, 403)
    response = RedirectResponse(_back(console, given.get("back", "")), 303, headers=HEADERS)
    for name, allowed in (("lang", LANGUAGES), ("theme", THEMES)):
        if given.get(name) in allowed:
            keep(response, name, given[name])
    return response


def _back(console: Console, path: str) -> str:
    """Where to go back to: a path of this console, never another host."""
    inside = path.startswith(f"{console.root}/") and not any(bad in path for bad in ("//", "\\", "\r", "\n"))
    return path if inside else console.url("")
