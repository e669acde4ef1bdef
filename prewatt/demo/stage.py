"""A town goes in; its simulated field in a process of its own and the real daemon on a temporary home come out.

Everything goes over loopback sockets: Modbus and DLMS gateways, the MQTT broker, the payment webhook. One test clock,
shared through a file, jumps from hour to hour and runs 1:1 in between. Whatever ends the block ends all of it.
"""

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from control.engine import Engine
from control.payments import webhook
from control.records import Hold
from control.signals import Visit
from prewatt import founding, secrets, wiring
from prewatt.clock import TEST_CLOCK
from prewatt.config import Config, check
from prewatt.daemon import Daemon
from prewatt.home import Home, find
from sim.clock import TestClock
from sim.concentrator import SECRET
from sim.town import Town
from storage.records import AccountState, Payment
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority

HOUR_TIMEOUT_S = 20.0
AFTER_HOUR = timedelta(seconds=31)
LLS = "dlms-lls"
READER = "pda-07"  # the reader's handheld, and the name of its key
CONFIG = """\
[site]
name = "demo-town"
zone = "Asia/Shanghai"
currency = "CNY"

[books]
default = "demo"

[policies]
template = "cn-remote"
shadow_days = 0

[broker]
enabled = true
embedded = true
port = {broker}
devices = {{"pda-07" = "pda-07"}}

[payments]
webhook_secrets = ["payments-webhook"]

[http]
host = "127.0.0.1"
port = {port}

[engine]
idle_s = 0.2
publish_s = 21600
"""
GATEWAY = """
[[gateway]]
name = "{name}"
protocol = "{protocol}"
host = "{host}"
port = {port}
timeout_ms = 2000
secret = "{secret}"
"""


class DemoFailed(Exception):
    """A step of the story did not come true; the message says which and what was seen instead."""


@dataclass(slots=True)
class Stage:
    """What the story acts on; ``rated`` counts reads and the seconds that rating them took."""

    town: Town
    clock: TestClock
    daemon: Daemon
    process: asyncio.subprocess.Process
    home: Home
    reads: int = 0
    rating_s: float = 0.0
    wired: tuple[str, ...] = ()
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def engine(self) -> Engine:
        """The daemon's engine."""
        return self.daemon.shell.engine

    @property
    def store(self) -> Store:
        """The daemon's store."""
        return self.daemon.shell.store

    @property
    def address(self) -> str:
        """Where the console is."""
        return "http://{}:{}".format(*self.daemon.address)

    async def order(self, **order: Any) -> dict[str, Any]:
        """Ask the field process something."""
        async with self._turn:
            if self.process.stdin is None or self.process.stdout is None or self.process.returncode is not None:
                raise DemoFailed("the simulated field is gone: its process ended")
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            line = await self.process.stdout.readline()
            if not line:
                raise DemoFailed("the simulated field is gone: its process ended")
            answer: dict[str, Any] = json.loads(line)
            return answer

    async def first_look(self) -> None:
        """Wait until every wired meter was visited once: its register is where the first hour begins."""
        await self._wait(self._unseen, "no first visit to")

    async def to(self, at: datetime) -> None:
        """Let the clock jump to just after the hour ``at`` and wait until that hour of every wired meter is rated."""
        self.clock.jump(max(at + AFTER_HOUR, self.clock.now()))
        await self.providers()
        self.engine.wake()
        await self._wait(lambda: self._behind(at), f"no read of {at.isoformat()}Z from")
        await self._wait(lambda: self._unfinished(at), "the cycle did not end:")

    async def _wait(self, missing: Callable[[], list[str]], what: str) -> None:
        until = time.monotonic() + HOUR_TIMEOUT_S
        while names := missing():
            if self.daemon.stop.is_set():
                raise DemoFailed(self.daemon.failed or "stopped")
            if time.monotonic() > until:
                raise DemoFailed(f"{what} {len(names)}: {', '.join(names[:5])}")
            await asyncio.sleep(0.01)

    def _unseen(self) -> list[str]:
        seen = self.store.read(lambda r: {row.meter for row in r.find(Visit) if row.register_wh is not None})
        wired = [s.point.meter for s in self.town.sites if s.account.account in self.wired]
        return [meter for meter in wired if meter not in seen]

    async def providers(self) -> None:
        """The payment providers' word, at this time, that nothing is missing."""
        for channel in sorted({**self.engine.settings.payment_channels, **self.engine.settings.used_channels}):
            await self.engine.reconciled(channel, "demo")

    def _unfinished(self, at: datetime) -> list[str]:
        """The hour's cycle, until forecast and decisions are done too: the clock must not jump under them."""
        ended = self.engine.turns().get("cycle")
        return [] if ended is not None and ended >= at else [f"{at.isoformat()}Z"]

    def _behind(self, at: datetime) -> list[str]:
        states = self.store.read(lambda r: {row.account: row.accrued_to for row in r.find(AccountState)})
        return [name for name in self.wired if (known := states.get(name)) is None or known < at]

    async def post(self, external_id: str, account: str, amount: str) -> tuple[int, bytes]:
        """One payment by the signed webhook, over HTTP as a provider sends it; status and body."""
        now = self.clock.now()
        data = {
            "external_id": external_id,
            "account": account,
            "amount": amount,
            "currency": "CNY",
            "paid_at": f"{now.isoformat()}Z",
        }
        body = json.dumps({"type": "payment.posted", "data": data}).encode()
        key = webhook.secret(secrets.read(self.home.secrets, founding.WEBHOOK_SECRET).decode())
        headers = {"content-type": "application/json", **webhook.sign(key, f"msg_{external_id}", now, body)}
        return await asyncio.to_thread(_post, self.daemon.address, body, headers)


def _post(address: tuple[str, int], body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request("POST", "/v1/payments/webhook", body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@contextlib.asynccontextmanager
async def stage(town: Town, *, port: int = 0) -> AsyncIterator[Stage]:
    """The whole stage while the block runs; ``port`` is the console's (0: any free one)."""
    folder = Path(tempfile.mkdtemp(prefix="prewatt-demo-"))
    before = os.environ.get(TEST_CLOCK)
    try:
        clock = TestClock.start(folder / "clock.json", town.start + AFTER_HOUR, rate=1.0)
        os.environ[TEST_CLOCK] = str(folder / "clock.json")
        process, addresses = await _field(folder / "clock.json")
        try:
            config = _found(find(folder / "home"), addresses, town, port)
            async with _running(config, town, clock, process) as ready:
                yield ready
        finally:
            await _end(process)
    finally:
        if before is None:
            os.environ.pop(TEST_CLOCK, None)
        else:
            os.environ[TEST_CLOCK] = before
        shutil.rmtree(folder, ignore_errors=True)


async def _field(clock: Path) -> tuple[asyncio.subprocess.Process, dict[str, tuple[str, int]]]:
    """The simulated field in a process of its own, in a session of its own: Ctrl-C reaches us first."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import prewatt; from sim.field import main; main()"),
        *("--town", "demo", "--clock", str(clock)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise DemoFailed("the simulated field did not start; its error is above")
    return process, {name: (host, at) for name, (host, at) in json.loads(line)["ready"].items()}


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the field's standard input, which ends it; kill what does not end."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _found(home: Home, addresses: Mapping[str, tuple[str, int]], town: Town, port: int) -> Config:
    """A fresh home whose configuration names the field's gateways."""
    founding.found(home, name="demo-town", zone="Asia/Shanghai", currency="CNY", book="demo", template="cn-remote")
    for name, key in ((LLS, SECRET), (READER, os.urandom(32).hex().encode())):
        place = home.secrets / name
        place.touch(mode=0o600)
        place.write_bytes(key)
    protocols = {gateway.name: gateway.protocol for gateway in town.gateways}
    text = CONFIG.format(broker=_free_port(), port=port)
    for name, (host, at) in sorted(addresses.items()):
        secret = LLS if protocols[name] == "dlms" else ""
        text += GATEWAY.format(name=name, protocol=protocols[name], host=host, port=at, secret=secret)
    home.config.write_text(text, encoding="utf-8")
    return check(text, home)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def _running(
    config: Config, town: Town, clock: TestClock, process: asyncio.subprocess.Process
) -> AsyncIterator[Stage]:
    """The daemon in this process, with master data and opening payments, until the block ends."""
    with wiring.opened(config, actor="demo") as shell:
        shell.store.write(Priority.BATCH, lambda unit: _master(unit, town))
        daemon = Daemon(shell)
        wired = tuple(s.account.account for s in town.sites if s.point.protocol in ("modbus", "dlms"))
        ready = Stage(town, clock, daemon, process, config.home, wired=wired)
        _time_rating(ready)
        for site in town.sites:
            now, account = clock.now(), site.account
            opening = Payment(
                "counter", f"opening-{account.account}", account.account, site.opening_micro, "CNY", now, now
            )
            await shell.engine.pay(opening)
        task = asyncio.create_task(daemon.run())
        try:
            waiting = asyncio.create_task(daemon.ready.wait())
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                raise DemoFailed(f"the daemon did not start: {daemon.failed or task.exception()}")
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, daemon.stop.set)  # the terminal is gone
            yield ready
        finally:
            daemon.stop.set()
            await task


def _master(unit: Unit, town: Town) -> None:
    """Accounts, meters, installations and protected sites."""
    for site in town.sites:
        unit.add(site.account)
        unit.add(site.point)
        unit.add(site.install)
        if site.protected:
            owner = "municipal list of important users"
            unit.add(Hold(f"h-{site.account.account}", site.account.account, "protected", owner, town.start))


def _time_rating(ready: Stage) -> None:
    """Measure what rating costs, from outside."""
    rater = ready.engine.rater
    step = rater.step

    def timed(now: datetime) -> Any:
        began = time.perf_counter()
        report = step(now)
        ready.rating_s += time.perf_counter() - began
        ready.reads += report.reads
        return report

    rater.step = timed  # type: ignore[method-assign]
