"""A wish about users goes in; the home's file of users is changed, and the audit chain says by whom.

Passwords never pass here: a new user's scrypt comes ready made.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from prewatt.errors import Usage
from prewatt.people import People, User, named, roles_of
from prewatt.wiring import Shell
from storage.unit import Unit
from storage.writer import Priority


def _people(shell: Shell) -> People:
    return People(shell.config.home.secrets)


def _known(people: People, name: str) -> User:
    found = people.everybody().get(name)
    if found is None:
        raise Usage(f"no user {name!r}", attempt="prewatt users list")
    return found


def _not_oneself(shell: Shell, name: str) -> None:
    """Nobody raises, or loses, their own rights: another admin, or the home's command line, does."""
    if name == shell.actor:
        raise Usage("nobody changes their own roles or rights", attempt="ask another admin; /password is for your own")


async def _audit(shell: Shell, what: str, name: str, body: Mapping[str, Any]) -> None:
    def work(unit: Unit) -> None:
        unit.audit(shell.actor, what, name, dict(body), shell.clock.now())

    await shell.store.commit(Priority.COMMAND, work)


async def add(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """A new user, or other roles for one who is there; their sessions end."""
    people, name, roles = _people(shell), named(str(args["name"])), roles_of(list(args["roles"]))
    known = people.everybody().get(name)
    _not_oneself(shell, name)
    if known is None and not args.get("password"):
        raise Usage(f"no user {name!r}", attempt="prewatt users add")
    if known is not None and args.get("password"):
        raise Usage(f"there is a user {name!r}", attempt="prewatt users roles, or users password")
    await _audit(shell, "user.roles" if known else "user.add", name, {"roles": list(roles)})
    if known is None:
        people.put(User(name, roles, str(args["password"])))
    else:
        people.put(replace(known, roles=roles, generation=known.generation + 1))
    return _told(people, name)


async def password(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Another password for a user who lost theirs; they must change it when they log in."""
    people, name = _people(shell), str(args["name"])
    known = _known(people, name)
    _not_oneself(shell, name)
    await _audit(shell, "user.password", name, {})
    people.put(replace(known, password=str(args["password"]), generation=known.generation + 1, must_change=True))
    return _told(people, name)


async def disable(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let a user in no more, or again; their sessions end at once."""
    people, name, off = _people(shell), str(args["name"]), bool(args.get("disabled", True))
    known = _known(people, name)
    _not_oneself(shell, name)
    await _audit(shell, "user.disable" if off else "user.enable", name, {})
    people.put(replace(known, disabled=off, generation=known.generation + 1))
    return _told(people, name)


async def entered(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Somebody logged in, or tried to: kept in the audit chain."""
    await _audit(shell, "user.enter" if args["ok"] else "user.refused", str(args["name"]), {})
    return {}


async def renewed(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Somebody changed their own password."""
    await _audit(shell, "user.renew", str(args["name"]), {})
    return {}


def _told(people: People, name: str) -> dict[str, Any]:
    user = people.everybody()[name]
    return {"name": name, "roles": list(user.roles), "disabled": user.disabled, "must_change": user.must_change}


ACTIONS = {
    "users.add": add,
    "users.password": password,
    "users.disable": disable,
    "users.entered": entered,
    "users.renewed": renewed,
}
