"""A cookie, the users and the time go in; who asks comes out. A session is signed, dated, and ends by generation.

It names user, beginning and the user's generation. It ends after ``SESSION_H``, at a logout, with a changed password
and when the user is disabled, because each of these raises the generation.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from prewatt.people import People, User
from prewatt.roles import EVERYBODY

COOKIE = "login"
SESSION_H = 12


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, as the audit names them, with their roles; ``must_change``: their password first."""

    name: str
    roles: frozenset[str]
    must_change: bool = False


NOBODY = Person("", frozenset())
HOUSE = Person("console", EVERYBODY)
"""Whoever sits before a console that has no users: the demo's, in the process that shows it."""


def seal(key: bytes, user: User, now: datetime) -> str:
    """The cookie of a session that begins now."""
    body = f"{user.name}|{now.replace(microsecond=0).isoformat()}|{user.generation}"
    return f"{body}|{_sign(key, body)}"


def holder(cookie: str, people: People | None, key: bytes, now: datetime) -> Person:
    """The person of the session; nobody where it is forged, over, or its user's rights have ended."""
    if people is None:
        return HOUSE
    body, _, signed = cookie.rpartition("|")
    if not body or not hmac.compare_digest(_sign(key, body).encode(), signed.encode()):
        return NOBODY
    name, began, generation = body.split("|")
    user = people.everybody().get(name)
    age = now - datetime.fromisoformat(began)
    if user is None or user.disabled or str(user.generation) != generation:
        return NOBODY
    if not -timedelta(minutes=5) <= age < timedelta(hours=SESSION_H):
        return NOBODY
    return Person(user.name, frozenset(user.roles), user.must_change)


def _sign(key: bytes, body: str) -> str:
    return hmac.new(key, f"login|{body}".encode(), "sha256").hexdigest()
