"""A running shell goes in, the operator console on it comes out."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from control.signals import Visit
from ingest.records import MeterPoint
from prewatt.actions import actions
from prewatt.clock import TEST_CLOCK
from prewatt.console.app import console
from prewatt.console.source import Source
from prewatt.errors import Usage
from prewatt.founding import private_file
from prewatt.output import plain
from prewatt.people import People
from prewatt.progress import silent
from prewatt.rules import series_of
from prewatt.wiring import Shell
from storage.unit import Reader

KEY = "console-key"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
FRESH = timedelta(hours=2)


def console_of(shell: Shell) -> ASGIApp:
    """The console; on loopback it answers to loopback's names only, so that no web page can reach it by another."""
    config = shell.config
    people = People(config.home.secrets)
    app: ASGIApp = console(source_of(shell), key=private_file(config.home.secrets / KEY), people=people)
    if config.http.host in LOOPBACK:
        app = TrustedHostMiddleware(app, allowed_hosts=list(LOOPBACK))
    return app


def source_of(shell: Shell) -> Source:
    """What the console may read and do of a running shell."""
    config = shell.config

    async def do(name: str, args: Mapping[str, Any], person: str) -> Mapping[str, Any]:
        if name not in actions():
            raise Usage(f"no action {name!r}", attempt="prewatt --help")
        answer: Mapping[str, Any] = plain(await actions()[name](shell.as_actor(person, silent), args))
        return answer

    return Source(
        shell.store,
        shell.books,
        shell.engine.world,
        do,
        site=config.site.name,
        zone=config.site.zone,
        simulated=bool(os.environ.get(TEST_CLOCK)),
        series=series_of(config),
        links=lambda: shell.store.read(lambda reader: links_up(reader, shell)),
    )


def links_up(reader: Reader, shell: Shell) -> tuple[int, int]:
    """How many gateways had a meter answer lately, of how many."""
    names = {gateway.name for gateway in shell.config.gateway}
    if not names:
        return 0, 0
    at = {point.meter: point.gateway for point in reader.find(MeterPoint, gateway__in=sorted(names))}
    fresh = reader.find(Visit, at__ge=shell.clock.now() - FRESH)
    return len({at[visit.meter] for visit in fresh if visit.meter in at}), len(names)
