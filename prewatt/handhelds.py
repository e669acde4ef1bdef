"""A running shell goes in; while the block runs, handheld messages reach its engine, by our own broker if so told."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial

from ingest.links.mqtt import BrokerAddress, HandheldListener
from ingest.ports import HandheldSink
from ingest.records import Finding, HandheldMessage, HandheldReply
from ingest.wire.handheld import Keys
from prewatt import secrets
from prewatt.config import Config
from prewatt.health import Probe
from prewatt.wiring import Shell
from storage.inbox import ReadInbox

log = logging.getLogger("prewatt.handhelds")


@contextlib.asynccontextmanager
async def handhelds(current: Callable[[], Shell], probe: Probe) -> AsyncIterator[None]:
    """Listen at the configured broker; nothing at all where none is configured."""
    shell = current()
    broker = shell.config.broker
    if not broker.enabled:
        yield
        return
    with _embedded(shell.config) as port:
        inbox = ReadInbox(shell.store)
        secret = partial(secrets.read, shell.config.home.secrets)
        listener = HandheldListener(
            shell.clock,
            BrokerAddress(
                broker.host,
                port,
                broker.client,
                username=broker.user,
                password=secret(broker.password).decode() if broker.password else "",
                tls=broker.tls,
            ),
            _sink(current, probe),
            found=partial(_found, inbox),
            keys=_Keyring(current),
            unsigned=broker.unsigned,
            raw=inbox,
        )
        probe.broker = listener.connected.is_set
        await listener.start()
        try:
            yield
        finally:
            await listener.stop()


class _Keyring:
    """The live keys of each device, read again from the secrets when a reload brings another configuration."""

    def __init__(self, current: Callable[[], Shell]) -> None:
        self._current = current
        self._of: Config | None = None
        self._keys: Keys = {}

    def __call__(self) -> Keys:
        config = self._current().config
        if self._of is not config:
            self._of, self._keys = config, device_keys(config)
        return self._keys


def device_keys(config: Config) -> Keys:
    """Each device's key, and behind it the one that it replaces; BadConfig for a secret that cannot be read."""
    secret = partial(secrets.read, config.home.secrets)
    broker = config.broker
    return {
        device: tuple(secret(names[device]) for names in (broker.devices, broker.retiring) if device in names)
        for device in sorted({*broker.devices, *broker.retiring})
    }


async def _found(inbox: ReadInbox, findings: Sequence[Finding]) -> None:
    """What was refused is in the log and among the findings, which are counted by code."""
    for finding in findings:
        log.warning("handheld message not taken", extra={"reason": finding.code, "detail": finding.detail})
    await inbox.found(findings)


def _sink(current: Callable[[], Shell], probe: Probe) -> HandheldSink:
    async def take(message: HandheldMessage) -> HandheldReply:
        probe.counts[f"handheld_{message.kind}"] += 1
        reply = await current().engine.handheld(message)
        if reply.status == "refused":
            log.warning("handheld message refused", extra={"device": message.device, "reason": reply.reason})
        return reply

    return take


@contextlib.contextmanager
def _embedded(config: Config) -> Iterator[int]:
    """The port to connect to; our own broker runs on it while the block does, if it is embedded."""
    broker = config.broker
    if not broker.embedded:
        yield broker.port
        return
    from sim.broker import Broker

    running = Broker(config.home.root / "broker", port=broker.port).start()
    try:
        yield running.port
    finally:
        running.stop()
