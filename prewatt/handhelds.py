"""A running shell goes in; while the block runs, handheld messages reach its engine, by our own broker if so told."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

from ingest.links.mqtt import BrokerAddress, HandheldListener
from ingest.ports import HandheldSink
from ingest.records import HandheldMessage, HandheldReply
from prewatt import secrets
from prewatt.config import Config
from prewatt.health import Probe
from prewatt.wiring import Shell
from storage.inbox import ReadInbox


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
            found=inbox.found,
            keys={device: secret(name) for device, name in broker.devices.items()},
            raw=inbox,
        )
        probe.broker = listener.connected.is_set
        await listener.start()
        try:
            yield
        finally:
            await listener.stop()


def _sink(current: Callable[[], Shell], probe: Probe) -> HandheldSink:
    async def take(message: HandheldMessage) -> HandheldReply:
        probe.counts[f"handheld_{message.kind}"] += 1
        return await current().engine.handheld(message)

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
