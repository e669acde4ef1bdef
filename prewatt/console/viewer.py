"""A request goes in; who looks (session, language, theme, CSRF token) and the page drawn for them come out."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from prewatt.console import render, session
from prewatt.console.live import Watch
from prewatt.console.source import Source
from prewatt.console.views import Frame
from prewatt.console.words import LANGUAGES, Words
from prewatt.people import People
from prewatt.ratelimit import Limiter
from prewatt.roles import may

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MESSAGE_LIMIT = 300
COOKIE_AGE_S = 365 * 86400
THEMES = ("light", "dark")
STALE_FORM = "refused: the form is stale; try: load the page again"


@dataclass(frozen=True, slots=True)
class Console:
    """One console on one daemon; ``key`` signs its CSRF tokens, ``root`` is where it is mounted."""

    source: Source
    key: bytes
    root: str = ""
    people: People | None = None  # None: whoever reaches it is the house
    limiter: Limiter = field(default_factory=Limiter)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        """Watch the source's store."""
        object.__setattr__(self, "watch", Watch(self.source.store))

    def csrf(self, request: Request) -> str:
        """The token of this browser and login: an HMAC of its cookies."""
        both = f"{browser(request)}|{request.cookies.get(session.COOKIE, '')}"
        return hmac.new(self.key, both.encode(), "sha256").hexdigest()

    def who(self, request: Request) -> session.Person:
        """The person whose session this is."""
        return session.holder(request.cookies.get(session.COOKIE, ""), self.people, self.key, self.source.now)

    def trusts(self, request: Request, token: str) -> bool:
        """Whether a form came from a page that this console drew for this browser."""
        return hmac.compare_digest(token.encode(), self.csrf(request).encode())

    def url(self, path: str) -> str:
        """An address of this console."""
        return f"{self.root}/{path}"

    def static(self, name: str) -> str:
        """The address of an asset; it changes with the content, so that browsers may keep it for ever."""
        return f"{self.url('static/')}{name}?{fingerprint(name)}"

    def words(self, request: Request) -> Words:
        """The viewer's language and the site's zone."""
        return Words(request.cookies.get("lang", preferred(request)), self.source.zone)

    def draw(self, request: Request, template: str, frame: Frame, page: str, **values: Any) -> HTMLResponse:
        """One page in the viewer's language and theme."""
        person = self.who(request)
        text = render.page(
            template,
            **self._shared(request),
            frame=frame,
            page=page,
            person=person.name if self.people is not None else "",
            can=lambda right: may(person.roles, right),
            nonce=secrets.token_hex(8),
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            icon=self.icon,
            version=getattr(request.state, "version", ""),
            **{"text": "", "message": "", **values},
        )
        response = HTMLResponse(text, headers=HEADERS)
        if "session" not in request.cookies:
            keep(response, "session", browser(request))
        return response

    def draw_bare(self, request: Request, template: str, **values: Any) -> HTMLResponse:
        """A page that shows nothing of the installation but its name: the login's."""
        text = render.page(template, **self._shared(request), site=self.source.site, **values)
        response = HTMLResponse(text, headers=HEADERS)
        if "session" not in request.cookies:
            keep(response, "session", browser(request))
        return response

    def _shared(self, request: Request) -> dict[str, Any]:
        """What every template knows."""
        return {
            "w": self.words(request),
            "theme": "dark" if request.cookies.get("theme") == "dark" else "light",
            "csrf": self.csrf(request),
            "url": self.url,
            "static": self.static,
        }

    def icon(self, name: str) -> Markup:
        """One of the sprite's icons; the word beside it carries the meaning."""
        use = Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>')
        return use.format(self.static("icons.svg"), name)


@cache
def fingerprint(name: str) -> str:
    """The first digits of an asset's hash."""
    return sha256(resources.files("prewatt.console").joinpath("static", name).read_bytes()).hexdigest()[:10]


def browser(request: Request) -> str:
    """This browser's session id: its cookie, or a fresh one that this response sets."""
    if "session" in request.cookies:
        return request.cookies["session"]
    if not hasattr(request.state, "session"):
        request.state.session = secrets.token_hex(16)
    return str(request.state.session)


def preferred(request: Request) -> str:
    """Chinese if the browser asks for it first, else English."""
    return LANGUAGES[request.headers.get("accept-language", "").lower().startswith("zh")]


def keep(response: Response, name: str, value: str, *, secure: bool = False) -> None:
    """Set one of the console's cookies."""
    response.set_cookie(name, value, max_age=COOKIE_AGE_S, httponly=True, samesite="strict", secure=secure)


def refusal(text: str, status: int) -> Response:
    """A refused request as plain text."""
    return Response(text, status, headers=HEADERS, media_type="text/plain")


async def form(request: Request) -> Mapping[str, str]:
    """The form's fields as text."""
    return {key: str(value) for key, value in (await request.form()).items()}
