"""A configuration goes in; the home's one writer runs until it is told to stop: engine, links, handhelds, web server.

Signals: SIGTERM or SIGINT drain (no new disconnections, commit, close, within ``limits.drain_s``), a second SIGINT
aborts, SIGHUP reads configuration, books and policies again, all or nothing, with an audit row either way.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from prewatt import http, publishing, rules, supervisor, wiring
from prewatt.config import Config, load
from prewatt.errors import ShellError, translate
from prewatt.handhelds import handhelds
from prewatt.health import Probe
from prewatt.remembering import remember
from prewatt.wiring import Shell
from storage.writer import Priority

ABORTED = 130
BACKLOG = 128
SWITCH_S = 0.0005
"""A commit gives the interpreter away at each of its statements, and gets it back from whoever computes after so long:
with Python's own 5 ms a payment beside the hourly cycle took half a second more."""
log = logging.getLogger("prewatt.daemon")


class _Server(uvicorn.Server):
    """A web server that leaves signals to the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: the daemon stops all its parts in order."""
        yield


@dataclass(slots=True)
class Daemon:
    """The parts that run together; ``address`` is where the web server listens once ``ready`` is set."""

    shell: Shell
    probe: Probe = field(default_factory=Probe)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    address: tuple[str, int] = ("", 0)
    failed: str = ""
    _interrupts: int = 0

    def current(self) -> Shell:
        """The shell in force."""
        return self.shell

    async def run(self) -> int:
        """Run until stopped; 0 after a clean drain, 1 when a part failed."""
        sys.setswitchinterval(SWITCH_S)
        with self._signals():
            async with self._servers(), handhelds(self.current, self.probe):
                dog = asyncio.create_task(supervisor.keep_alive())
                self.ready.set()
                supervisor.notify("READY=1")
                log.info("running", extra={"address": "{}:{}".format(*self.address)})
                while not self.stop.is_set():
                    await self._turn()
                dog.cancel()
        await self.shell.aclose()
        log.info("stopped", extra={"failed": self.failed})
        return 1 if self.failed else 0

    async def _turn(self) -> None:
        """One engine from start to drained; a reload ends it and gives the next one its rules."""
        end = asyncio.Event()
        shell, fresh = self.shell, None
        engine = asyncio.create_task(self._watched("engine", shell.engine.run(end), end))
        while fresh is None and not self.stop.is_set():
            await _either(self.stop, self.hung_up)
            if self.hung_up.is_set() and not self.stop.is_set():
                self.hung_up.clear()
                fresh = await self._reloaded()
        if self.stop.is_set():
            supervisor.notify("STOPPING=1")
        end.set()
        await _drained(engine, shell.config.limits.drain_s)
        if fresh is not None:
            self.shell = fresh
            await shell.aclose()
            supervisor.notify("READY=1")
            log.info("reloaded")

    async def _watched(self, part: str, work: Coroutine[Any, Any, Any], end: asyncio.Event) -> None:
        """A part whose end before ``end`` was set ends the daemon: better restarted than half alive."""
        try:
            await work
        except Exception as error:
            log.exception("%s failed", part)
            self.failed = self.probe.error = f"{part}: {type(error).__name__}: {error}"
        else:
            if not end.is_set():
                self.failed = self.probe.error = f"{part} ended by itself"
        if self.failed:
            self.stop.set()

    @contextlib.asynccontextmanager
    async def _servers(self) -> AsyncIterator[None]:
        """The web server on its port and the local one on the home's socket, for as long as the block runs."""
        config = self.shell.config
        web = _tcp(config.http.host, config.http.port)
        self.address = web.getsockname()[:2]
        local = _unix(config.home.socket)
        servers = [
            (_Server(_quiet(http.application(self.current, self.probe))), web),
            (_Server(_quiet(http.local_application(self.current, self.probe))), local),
        ]
        tasks = [
            asyncio.create_task(self._watched("web server", s.serve(sockets=[at]), self.stop)) for s, at in servers
        ]
        try:
            while not all(server.started for server, _ in servers) and not self.stop.is_set():
                await asyncio.sleep(0.01)
            yield
        finally:
            self.stop.set()
            for server, _ in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)
            config.home.socket.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Handlers while the block runs."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self.stop.set,
            signal.SIGINT: self._interrupt,
            signal.SIGHUP: self.hung_up.set,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        """The first SIGINT drains; the second ends the process at once: what was committed stands."""
        self._interrupts += 1
        if self._interrupts > 1:
            os._exit(ABORTED)
        self.stop.set()

    async def _reloaded(self) -> Shell | None:
        """A shell of what the files say now; None, and nothing changes, when one of them is wrong."""
        supervisor.notify("RELOADING=1")
        try:
            fresh = await asyncio.to_thread(self._read_again)
        except Exception as error:
            known = translate(error) or ShellError(f"{type(error).__name__}: {error}")
            body = {"error": known.what, "in": known.which}
            log.error("reload refused: nothing changed", extra=body)
            now = self.shell.clock.now()
            await self.shell.store.commit(
                Priority.COMMAND, lambda unit: unit.audit("daemon", "config.refused", "reload", body, now)
            )
            self.probe.counts["reload_refused"] += 1
            supervisor.notify("READY=1")
            return None
        self.probe.counts["reloaded"] += 1
        return fresh

    def _read_again(self) -> Shell:
        """A shell with everything new but the store and the clock."""
        old = self.shell
        config = load(old.config.home)
        books, policies = rules.books(config), dict(rules.policies(config))
        wiring.channels(config)
        remember(old.store, config, books, policies, actor="daemon")
        policies = publishing.publish(old.store, policies, wiring.settings(config), actor="daemon")
        now = old.clock.now()
        old.store.write(Priority.COMMAND, lambda unit: unit.audit("daemon", "config.reloaded", "reload", {}, now))
        return Shell(config, old.store, old.clock, books, policies, actor="daemon")


async def _either(*events: asyncio.Event) -> None:
    """Wait for the first of them."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def _drained(engine: "asyncio.Task[None]", drain_s: float) -> None:
    """Wait for the engine to finish its turn; what takes longer is cut, and its transaction with it."""
    try:
        async with asyncio.timeout(drain_s):
            await asyncio.shield(engine)
    except TimeoutError:
        log.error("did not drain in time", extra={"limit_s": drain_s})
        engine.cancel()
        await asyncio.gather(engine, return_exceptions=True)


def _quiet(app: Any) -> uvicorn.Config:
    return uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)


def _tcp(host: str, port: int) -> socket.socket:
    """A listening TCP socket; ShellError names who to ask when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ShellError(
            f"cannot listen on {host}:{port}: {error.strerror}", attempt="http.port = 0, or another"
        ) from None
    return bound


def _unix(path: Path) -> socket.socket:
    """A listening Unix socket of mode 0600; what a killed daemon left there is replaced (the store's lock is ours)."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        bound.bind(str(path))
    except OSError as error:
        bound.close()
        raise ShellError(f"cannot listen: {error}", which=str(path), attempt="a home with a shorter path") from None
    finally:
        os.umask(mask)
    bound.listen(BACKLOG)
    return bound


def serve(config: Config) -> int:
    """Run the daemon in this process; the exit code."""
    with wiring.opened(config, actor="daemon") as shell:
        return asyncio.run(Daemon(shell).run())
