"""A request and the right that its endpoint wants go in; its refusal comes out, or nothing; and the login's pages."""

import asyncio
import time
from base64 import b64decode
from dataclasses import replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from prewatt.console.session import COOKIE, seal
from prewatt.console.viewer import HEADERS, STALE_FORM, Console, form, keep, refusal
from prewatt.errors import ShellError, Usage
from prewatt.people import NAME, User
from prewatt.roles import may

OPEN = ""
"""The right of the login's own pages."""


def gate(console: Console, request: Request, right: str, kind: str) -> Response | None:
    """Why this request is not served: too many of them, nobody logged in, not their role; None when it is."""
    address = request.client.host if request.client else ""
    wait = console.limiter.wait_s(kind, address, time.monotonic())
    if wait:
        return _later(wait)
    if right == OPEN:
        return None
    person = console.who(request)
    if not person.roles or person.must_change:
        if (
            request.method == "GET"
            and kind == "look"
            and "x-part" not in request.headers
            and not _program(console, request)
        ):
            back = urlencode({"back": request.url.path})
            place = "password" if person.must_change else "login"
            return RedirectResponse(f"{console.url(place)}?{back}", 303, headers=HEADERS)
        return refusal("refused: nobody is logged in; try: /login", 401)
    if not may(person.roles, right):
        return refusal(f"refused: {person.name} has no role that may {right}; try: ask an admin for it", 403)
    return None


def _program(console: Console, request: Request) -> bool:
    """Whether the address is one for programs, who are told 401 and led nowhere."""
    return request.url.path.startswith(console.url("v1/"))


def _later(wait_s: int) -> Response:
    response = refusal(f"refused: too many requests; try: again in {wait_s} s", 429)
    response.headers["Retry-After"] = str(wait_s)
    return response


async def show(console: Console, request: Request) -> Response:
    """The page that asks for name and password, or for a new password."""
    return _page(console, request, "")


def _page(console: Console, request: Request, said: str, status: int = 200) -> Response:
    person = console.who(request)
    changing = request.url.path.endswith("/password") and bool(person.roles)
    empty = console.people is not None and not console.people.everybody()
    values = {"changing": changing, "said": said or ("login.nobody" if empty else ""), "back": _back(console, request)}
    response = console.draw_bare(request, "login.html", **values)
    response.status_code = status
    return response


def _back(console: Console, request: Request) -> str:
    path = request.query_params.get("back", "")
    inside = path.startswith(f"{console.root}/") and not any(bad in path for bad in ("//", "\\", "\r", "\n"))
    return path if inside else console.url("")


async def enter(console: Console, request: Request) -> Response:
    """Name and password in, a session out; wrong ones cost the same time whatever was wrong."""
    given = await form(request)
    if not console.trusts(request, given.get("csrf", "")):
        return refusal(STALE_FORM, 403)
    user = await _known(console, given.get("name", ""), given.get("password", ""))
    if isinstance(user, Response):
        return user
    if user is None:
        return _page(console, request, "login.wrong", 403)
    place = console.url("password") if user.must_change else _back(console, request)
    response = RedirectResponse(place, 303, headers=HEADERS)
    keep(response, COOKIE, seal(console.key, user, console.source.now), secure=request.url.scheme == "https")
    return response


async def knock(console: Console, request: Request) -> Response:
    """A program's login: Basic authorization in, a session cookie out. No page of another site can send that header."""
    kind, _, told = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, password = b64decode(told, validate=True).decode().partition(":")
    except ValueError:
        name = password = ""
    if kind.lower() != "basic" or not name:
        return refusal("refused: no name and password; try: curl --user NAME", 401)
    user = await _known(console, name, password)
    if isinstance(user, Response):
        return user
    if user is None or user.must_change:
        return refusal(f"refused: {'set a password of your own first' if user else 'wrong name or password'}", 403)
    response = Response(status_code=204, headers=HEADERS)
    keep(response, COOKIE, seal(console.key, user, console.source.now), secure=request.url.scheme == "https")
    return response


async def _known(console: Console, given: str, password: str) -> User | Response | None:
    """Whose name and password these are, on record either way; a refusal when this name was tried too often."""
    name, people = given.strip().casefold(), console.people
    wait = console.limiter.wait_s("login", f"name:{name[:40]}", time.monotonic())
    if wait:
        return _later(wait)
    user = None
    if people is not None and NAME.fullmatch(name):
        user = await asyncio.to_thread(people.enters, name, password)
    await console.source.do("users.entered", {"name": name[:40], "ok": user is not None}, name[:40] or "?")
    return user


async def leave(console: Console, request: Request) -> Response:
    """End every session of this user."""
    if not console.trusts(request, (await form(request)).get("csrf", "")):
        return refusal(STALE_FORM, 403)
    person = console.who(request)
    user = console.people.everybody().get(person.name) if console.people is not None else None
    if user is not None and console.people is not None:
        console.people.put(replace(user, generation=user.generation + 1))
    response = RedirectResponse(console.url("login"), 303, headers=HEADERS)
    response.delete_cookie(COOKIE)
    return response


async def renew(console: Console, request: Request) -> Response:
    """A password of one's own; the old one is asked for again, and every other session ends."""
    given, person, people = await form(request), console.who(request), console.people
    if not console.trusts(request, given.get("csrf", "")):
        return refusal(STALE_FORM, 403)
    if people is None or not person.roles:
        return refusal("refused: nobody is logged in; try: /login", 401)
    wait = console.limiter.wait_s("login", f"name:{person.name}", time.monotonic())
    if wait:
        return _later(wait)
    fresh = given.get("fresh", "")
    if await asyncio.to_thread(people.enters, person.name, given.get("password", "")) is None:
        return _page(console, request, "login.wrong", 403)
    if fresh != given.get("again") or fresh == given.get("password"):
        return _page(console, request, "login.differ", 400)
    try:
        user = await asyncio.to_thread(people.change, person.name, fresh)
    except (Usage, ShellError):
        return _page(console, request, "login.short", 400)
    await console.source.do("users.renewed", {"name": person.name}, person.name)
    response = RedirectResponse(console.url(""), 303, headers=HEADERS)
    keep(response, COOKIE, seal(console.key, user, console.source.now), secure=request.url.scheme == "https")
    return response
