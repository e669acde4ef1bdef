"""A home goes in; what works, what is doubtful and what is broken comes out, each with what to do about it."""

import shutil
import socket
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

from prewatt import rules, secrets
from prewatt.config import Config, load
from prewatt.errors import translate
from prewatt.home import Home
from prewatt.remote import alive
from prewatt.wiring import PORTS, open_store
from storage.lock import owner

SAFE_SQLITE = (3, 51, 3)
REACH_S = 2.0
OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its status (ok, warn, fail), what was found, and what to try."""

    check: str
    status: str
    found: str
    attempt: str = ""


def diagnose(home: Home, *, offline: bool) -> list[Finding]:
    """Every check in turn; a broken one stops no other, but without a configuration there is nothing to look at."""
    found = [*_machine()]
    config: list[Config] = []
    found.append(_tried("configuration", lambda: _load(home, config)))
    if not config:
        return found
    found += [_tried(name, lambda check=check: check(config[0])) for name, check in _CHECKS.items()]  # type: ignore[misc]
    return found + ([] if offline else [*_reach(config[0])])


def _tried(name: str, check: Callable[[], Finding]) -> Finding:
    """A check, or its error as a finding."""
    try:
        return check()
    except Exception as error:
        known = translate(error)
        if known is None:
            return Finding(name, FAIL, f"{type(error).__name__}: {error}")
        return Finding(name, FAIL, f"{known.what} {known.which}".strip(), known.attempt)


def _machine() -> Iterator[Finding]:
    yield Finding("python", OK, ".".join(map(str, sys.version_info[:3])))
    have = ".".join(map(str, sqlite3.sqlite_version_info))
    if sqlite3.sqlite_version_info < SAFE_SQLITE:
        hint = "no need to act: prewatt writes through one connection, which avoids its WAL reset bug"
        yield Finding("sqlite", WARN, f"{have}, older than 3.51.3", hint)
    else:
        yield Finding("sqlite", OK, have)
    for name in ("duckdb", "pyarrow", "pymodbus", "paho-mqtt"):
        yield Finding(name, OK, version(name))


def _load(home: Home, into: list[Config]) -> Finding:
    into.append(load(home))
    return Finding("configuration", OK, str(home.config))


def _rules(config: Config) -> Finding:
    books, policies = rules.books(config), rules.policies(config)
    return Finding("rules", OK, f"{len(books)} books, policies of {len(policies)} classes")


def _folder(config: Config) -> Finding:
    mode = stat.S_IMODE(config.home.root.stat().st_mode)
    if mode & 0o022:
        return Finding("home", FAIL, f"mode {mode:04o}: others can write it", f"chmod go-w {config.home.root}")
    return Finding("home", OK, f"mode {mode:04o}")


def _secrets(config: Config) -> Finding:
    names = [*config.payments.webhook_secrets, config.broker.password, *(g.secret for g in config.gateway)]
    wanted = sorted({name for name in names if name})
    for name in wanted:
        secrets.read(config.home.secrets, name)
    return Finding("secrets", OK, f"{len(wanted)} set")


def _disk(config: Config) -> Finding:
    free = shutil.disk_usage(config.home.root).free // 1_000_000
    want = config.limits.disk_free_mb
    if free < want:
        return Finding("disk", FAIL, f"{free} MB free", f"make room: limits.disk_free_mb wants {want}")
    return Finding("disk", OK, f"{free} MB free")


def _store(config: Config) -> Finding:
    if not config.home.state.is_file():
        return Finding("store", WARN, "none yet", "the first writing verb makes it")
    with open_store(config, writer="none") as store:
        total = store.read(lambda reader: reader.ledger_sum())
    if total:
        return Finding("store", FAIL, f"the ledger sums to {total} micro, not 0", "prewatt verify; stop posting")
    return Finding("store", OK, "opens; the ledger sums to 0")


def _daemon(config: Config) -> Finding:
    if alive(config.home.socket):
        return Finding("daemon", OK, f"runs as process {owner(config.home.root)}")
    return Finding("daemon", WARN, "does not run", "prewatt run")


def _clock(config: Config) -> Finding:
    """A clock that stands in a time before the store's newest row has been set back."""
    if not config.home.state.is_file():
        return Finding("clock", OK, "nothing to compare with")
    from storage.records import AuditRow

    with open_store(config, writer="none") as store:
        newest = store.read(lambda reader: reader.find(AuditRow, order="-seq", limit=1))
        now = store.clock.now()
    if newest and newest[0].at > now:
        return Finding("clock", FAIL, f"{now}Z, but the audit knows {newest[0].at}Z", "synchronise this host's clock")
    return Finding("clock", OK, f"{now}Z")


_CHECKS: dict[str, Callable[[Config], Finding]] = {
    "home": _folder,
    "rules": _rules,
    "secrets": _secrets,
    "disk": _disk,
    "store": _store,
    "clock": _clock,
    "daemon": _daemon,
}


def _reach(config: Config) -> Iterator[Finding]:
    """Whether something listens where gateways and broker should be."""
    places = [(f"gateway {g.name}", g.host, g.port or PORTS[g.protocol]) for g in config.gateway]
    if config.broker.enabled and not config.broker.embedded:
        places.append(("broker", config.broker.host, config.broker.port))
    for name, host, port in places:
        try:
            socket.create_connection((host, port), timeout=REACH_S).close()
        except OSError as error:
            yield Finding(name, FAIL, f"{host}:{port}: {error}", "is it on, and is the address right?")
        else:
            yield Finding(name, OK, f"{host}:{port} answers")
