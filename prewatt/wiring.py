"""A configuration goes in; store, rules, links, channels and engine come out, bound to each other."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from control.settings import Settings
from control.tables import TABLES
from ingest.ports import Clock, FenceStore, KeyStore, Link
from prewatt import publishing, rules, secrets
from prewatt.clock import clock as host_clock
from prewatt.clock import declared
from prewatt.config import FILE_CHANNEL, Config, Gateway
from prewatt.dialling import DIALS_IN, Hubs
from prewatt.errors import BadConfig
from prewatt.progress import Progress, silent
from prewatt.remembering import remember
from storage.store import Store

if TYPE_CHECKING:
    from control.engine import Engine
    from control.policy import Policy
    from control.ports import Channel
    from tariff.book import Book

PORTS = {"modbus": 502, "dlms": 4059, "dlt645": 8899, "p1": 2323}
OUTBOX_FILE = "notices.ndjson"


def open_store(config: Config, clock: Clock | None = None, *, writer: Literal["thread", "none"] = "thread") -> Store:
    """The home's store; "none" reads beside whoever owns it."""
    return Store.open(config.home.root, TABLES, clock=clock or host_clock(), writer=writer)


@dataclass(slots=True)
class Shell:
    """What a verb works with: the open store and the rules in force; the engine is made when first asked for."""

    config: Config
    store: Store
    clock: Clock
    books: "Mapping[str, Book]"
    policies: "Mapping[str, Policy]"
    actor: str = "cli"
    progress: Progress = silent
    _engine: "list[Engine]" = field(default_factory=list)

    @property
    def engine(self) -> "Engine":
        """The control engine on this store, with every link and channel that the configuration names."""
        if not self._engine:
            self._engine.append(engine(self))
        return self._engine[0]

    async def aclose(self) -> None:
        """Close what the engine opened; the store stays open."""
        while self._engine:
            await close_links(self._engine.pop().links)

    def as_actor(self, actor: str, progress: Progress) -> "Shell":
        """The same shell for another person's action."""
        return Shell(
            self.config, self.store, self.clock, self.books, self.policies, actor, progress, _engine=[self.engine]
        )


@contextmanager
def opened(config: Config, *, actor: str = "cli", progress: Progress = silent) -> Iterator[Shell]:
    """A shell that owns the home's store until the block ends; StoreLocked when another process does."""
    clock = host_clock()
    found = rules.books(config), rules.policies(config)
    with open_store(config, clock) as store:
        remember(store, config, *found, actor=actor)
        policies = publishing.publish(store, found[1], settings(config), actor=actor)
        yield Shell(config, store, clock, found[0], policies, actor=actor, progress=progress)


@contextmanager
def reading(config: Config) -> Iterator[Shell]:
    """A shell that reads beside a running daemon."""
    clock = host_clock()
    found = rules.books(config), rules.policies(config)
    with open_store(config, clock, writer="none") as store:
        policies = store.read(lambda reader: publishing.chosen(reader, found[1], settings(config), clock.now())[0])
        yield Shell(config, store, clock, found[0], policies)


def settings(config: Config) -> Settings:
    """The engine's limits and routes, with what the configuration changes."""
    first = config.channel[0].name if config.channel else FILE_CHANNEL
    routes = dict.fromkeys(("customer", "second", "collector", "meter"), first)
    required, used = payment_channels(config)
    bound = Settings(
        payment_channels=required,
        used_channels=used,
        routes={**routes, **config.notices.routes},
        fallback=dict(config.notices.fallback),
        trust_clock=declared(),
        shadow_days=config.policies.shadow_days,
    )
    return replace(bound, **dict[str, Any](config.engine))


def payment_channels(config: Config) -> tuple[dict[str, bool], dict[str, bool]]:
    """Channels that guard G3 wants reconciled, and those that it wants once they were used; name -> reconciled live.

    What ``[payments] channels`` names is the whole list. Without it every channel that ever brought money counts, the
    webhook only while it has a key: a home that takes no payments at all cuts nobody.
    """
    from control.payments import channels as installed

    live = {name: channel.live for name, channel in installed().items()}
    if config.payments.channels:
        return {name: live[name] for name in config.payments.channels}, {}
    return {}, {name: flag for name, flag in live.items() if name != "webhook" or config.payments.webhook_secrets}


def channels(config: Config) -> "dict[str, Channel]":
    """The notice channels by name; without any, one file in the home's outbox."""
    from control.channels import kinds

    known, secret = kinds(), partial(secrets.read, config.home.secrets)
    if not config.channel:
        config.home.outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {FILE_CHANNEL: known["file"].make({"path": str(config.home.outbox / OUTBOX_FILE)}, secret)}
    made: dict[str, Channel] = {}
    for channel in config.channel:
        given = dict(channel.settings)
        if "path" in given:
            given["path"] = str(config.home.under(given["path"]))
        try:
            made[channel.name] = known[channel.kind].make(given, secret)
        except KeyError as missing:
            raise BadConfig(
                f"channel {channel.name!r} needs {missing.args[0]!r}",
                which=f"{config.home.config}: channel",
                attempt=f"{missing.args[0]} = ...  # {known[channel.kind].settings.get(missing.args[0], '')}",
            ) from None
    return made


class Kept(NamedTuple):
    """What links keep durably in the store."""

    fences: FenceStore
    counters: KeyStore


def links(config: Config, store: Store, clock: Clock) -> dict[str, Link]:
    """One link per gateway, by the gateway's name; nothing is connected yet."""
    from control.fences import Fences
    from storage.counters import Counters

    kept, hubs = Kept(Fences(store), Counters(store)), Hubs(config, clock)
    found: dict[str, Link] = {}
    for gateway in config.gateway:
        make = partial(_LINKS[gateway.protocol], config, gateway, clock) if gateway.protocol not in DIALS_IN else None
        if make is not None and gateway.terminal:
            found[gateway.name] = hubs.forwarded(gateway, partial(_over, make, kept))
        elif make is not None:
            found[gateway.name] = make(_transport(config, gateway), kept)
        elif gateway.protocol == "push":
            found[gateway.name] = hubs.pushing(gateway)
        else:
            found[gateway.name] = hubs.terminal(gateway, kept.fences, partial(_meter_secret, config, gateway))
    return found


def _over(make: Callable[[Any, Kept], Link], kept: Kept, transport: Any) -> Link:
    """One link over the transport that is given last."""
    return make(transport, kept)


def _transport(config: Config, gateway: Gateway) -> Any:
    """How bytes reach a gateway: a serial device, TCP, or TLS with the files that the configuration names."""
    from ingest.links.targets import is_serial

    if is_serial(gateway.host):
        from ingest.links.serial import SerialTransport

        return SerialTransport(gateway.baud, gateway.parity, gateway.stop_bits, gateway.data_bits)
    from ingest.links.tcp import TcpTransport, tls_context

    if not gateway.tls:
        return TcpTransport()
    files = [config.home.under(name) if name else None for name in (gateway.authority, gateway.certificate)]
    try:
        return TcpTransport(tls_context(*files))
    except OSError as error:  # ssl.SSLError is one
        which = f"{config.home.config}: gateway {gateway.name!r}"
        raise BadConfig(f"TLS files cannot be used: {error}", which=which, attempt="authority, certificate") from None


def _modbus(config: Config, gateway: Gateway, clock: Clock, transport: Any, kept: Kept) -> Link:  # noqa: ARG001
    from ingest.links.modbus import ModbusLink

    return ModbusLink(
        clock,
        transport,
        gateway.host,
        gateway.port or PORTS["modbus"],
        gateway=gateway.name,
        fences=kept.fences,
        timeout_s=gateway.timeout_ms / 1000,
        depth=gateway.pipeline,
        framing="rtu" if gateway.framing == "rtu" or gateway.host.startswith("/") else "tcp",
        gap_s=gateway.gap_ms / 1000,
    )


def _dlms(config: Config, gateway: Gateway, clock: Clock, transport: Any, kept: Kept) -> Link:
    from ingest.links.dlms import DlmsLink
    from ingest.links.dlms_visit import Seals
    from ingest.links.hdlc import HdlcTransport

    below = HdlcTransport(transport, physical=gateway.physical or None) if gateway.framing == "hdlc" else transport
    return DlmsLink(
        clock,
        below,
        gateway.host,
        gateway.port or PORTS["dlms"],
        gateway=gateway.name,
        fences=kept.fences,
        timeout_s=gateway.timeout_ms / 1000,
        depth=1 if gateway.framing == "hdlc" else 64,
        clock_limit_s=gateway.clock_limit_s,
        secrets=partial(_meter_secret, config, gateway),
        seals=Seals(kept.counters),
    )


def _dlt645(config: Config, gateway: Gateway, clock: Clock, transport: Any, kept: Kept) -> Link:
    from ingest.links.dlt645 import Dlt645Link

    return Dlt645Link(
        clock,
        transport,
        gateway.host,
        gateway.port or PORTS["dlt645"],
        gateway=gateway.name,
        fences=kept.fences,
        timeout_s=gateway.timeout_ms / 1000,
        secrets=partial(_meter_secret, config, gateway),
    )


def _p1(config: Config, gateway: Gateway, clock: Clock, transport: Any, kept: Kept) -> Link:  # noqa: ARG001
    from ingest.links.p1 import P1Link

    return P1Link(clock, transport, gateway.host, gateway.port or PORTS["p1"], gateway=gateway.name)


def _meter_secret(config: Config, gateway: Gateway, name: str) -> bytes | None:
    """A meter's own secret, else its gateway's; None when neither is set, which the link reports by meter."""
    try:
        return secrets.read(config.home.secrets, name or gateway.secret)
    except BadConfig:
        return None


_LINKS: Mapping[str, Callable[[Config, Gateway, Clock, Any, Kept], Link]] = {
    "modbus": _modbus,
    "dlms": _dlms,
    "dlt645": _dlt645,
    "p1": _p1,
}


async def close_links(open_links: Mapping[str, Link]) -> None:
    """Close every link; one that fails to close stops no other."""
    for link in open_links.values():
        await link.close()


def engine(shell: Shell) -> "Engine":
    """The engine on an open store."""
    from control.channels.alarm import MeterAlarm
    from control.engine import Engine

    config, told = shell.config, channels(shell.config)
    made = Engine(
        shell.store,
        shell.clock,
        shell.books,
        shell.policies,
        links(config, shell.store, shell.clock),
        told,
        settings=settings(config),
    )
    for channel in told.values():
        if isinstance(channel, MeterAlarm):  # the meters' own alarms are reached over the engine's links
            channel.store, channel.links = shell.store, lambda: made.links
    made.rater.series = rules.series_of(config)  # corrections of bills made on books that are no longer in force
    return made
