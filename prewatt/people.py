"""A home's file of users goes in; who somebody is and what roles they have comes out.

Passwords are kept as scrypt only. The file lies among the secrets (mode 0600), so that no hash of a password is ever in
the store, the catalog, an export or a backup of these. It is replaced whole, and read again when it has changed; one
that cannot be read lets nobody in.
"""

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from prewatt.errors import BadConfig, Usage
from prewatt.roles import ROLES
from prewatt.strict import suggest

FILE = "users.json"
NAME = re.compile(r"[a-z][a-z0-9._-]{1,31}")
SHORTEST, LONGEST = 10, 200
COST, BLOCK, PARALLEL = 1 << 15, 8, 1  # 32 MiB and some 80 ms a try
SALT = 16
MOST = 1000


@dataclass(frozen=True, slots=True)
class User:
    """One person: roles, the password's scrypt, and a generation that ends every session when it rises."""

    name: str
    roles: tuple[str, ...]
    password: str
    generation: int = 1
    disabled: bool = False
    must_change: bool = True  # the first password was somebody else's to know


class People:
    """The users of one home."""

    def __init__(self, folder: Path) -> None:
        """``folder`` holds the home's secrets."""
        self._path = folder / FILE
        self._stamp: tuple[int, int, int] | None = None
        self._known: Mapping[str, User] = {}

    def everybody(self) -> Mapping[str, User]:
        """All users by name; BadConfig for a file that others can read or that is none of ours."""
        try:
            state = self._path.stat()
        except FileNotFoundError:
            return {}
        if state.st_mode & 0o077:
            raise BadConfig("others can read it", which=str(self._path), attempt=f"chmod 600 {self._path}")
        stamp = (state.st_mtime_ns, state.st_ino, state.st_size)
        if stamp != self._stamp:
            try:
                rows = [User(**{**row, "roles": tuple(row["roles"])}) for row in json.loads(self._path.read_bytes())]
            except (ValueError, TypeError, KeyError) as error:
                raise BadConfig(f"not a list of users: {error}", which=str(self._path)) from None
            self._known, self._stamp = {row.name: row for row in rows}, stamp
        return self._known

    def put(self, user: User) -> None:
        """Write one user, new or changed; the file is replaced whole and on the disk before this returns."""
        rows = {**self.everybody(), user.name: user}
        if len(rows) > MOST:
            raise Usage(f"{MOST} users are the most of one home")
        text = json.dumps([asdict(rows[name]) for name in sorted(rows)], indent=1) + "\n"
        fresh = self._path.with_name(f".{FILE}.{os.getpid()}")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    def enters(self, name: str, password: str) -> User | None:
        """The user whose name and password these are; a name that is not there costs the same time."""
        user = self.everybody().get(name)
        right = matches(password, user.password if user is not None else _NOBODY)
        return user if user is not None and right and not user.disabled else None

    def change(self, name: str, password: str) -> User:
        """Give a user a password of their own; every session of theirs ends."""
        user = self.everybody()[name]
        fresh = replace(user, password=scrypt(password), generation=user.generation + 1, must_change=False)
        self.put(fresh)
        return fresh


def scrypt(password: str) -> str:
    """The text that is kept of a password: parameters, salt, digest; Usage for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Usage(f"a password has {SHORTEST} to {LONGEST} characters")
    salt = os.urandom(SALT)
    made = _digest(password, salt, COST, BLOCK, PARALLEL)
    return f"scrypt${COST}${BLOCK}${PARALLEL}${_text(salt)}${_text(made)}"


def matches(password: str, kept: str) -> bool:
    """Whether ``password`` is the one that ``kept`` was made of."""
    try:
        kind, cost, block, parallel, salt, wanted = kept.split("$")
        numbers = int(cost), int(block), int(parallel)
        found = _digest(password[: LONGEST + 1], base64.b64decode(salt), *numbers)
        return kind == "scrypt" and hmac.compare_digest(found, base64.b64decode(wanted))
    except ValueError:
        return False


def named(name: str) -> str:
    """A name that a user may have; Usage otherwise."""
    if not NAME.fullmatch(name):
        raise Usage(f"{name!r} is no user name", attempt="small letters, digits, . _ -, such as ann.li")
    return name


def roles_of(words: list[str]) -> tuple[str, ...]:
    """Roles that exist, each once; Usage names the nearest."""
    for word in words:
        if word not in ROLES:
            raise Usage(f"no role {word!r}", attempt=suggest(word, ROLES))
    if not words:
        raise Usage("no role", attempt=f"--role {' | '.join(ROLES)}")
    return tuple(role for role in ROLES if role in words)


def _digest(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    if cost > 1 << 17 or block > 16 or parallel > 4:
        raise ValueError("parameters beyond reason")
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=256 * cost * block, dklen=32
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


_NOBODY = f"scrypt${COST}${BLOCK}${PARALLEL}${_text(bytes(SALT))}${_text(bytes(32))}"
