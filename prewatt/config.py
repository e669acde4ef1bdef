"""``prewatt.toml`` goes in, one checked ``Config`` comes out, or a refusal that names file:line:key with a hint.

Checking does no I/O beyond reading the file itself: nothing is connected, no secret is opened.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from control.payments.csv import Columns
from prewatt.errors import BadConfig
from prewatt.home import CONFIG, Home
from prewatt.secrets import NAME
from prewatt.strict import Document, fill, parse, setting, suggest

PORTS = {"least": 1, "most": 65535}
PROTOCOLS = ("modbus", "dlms", "dlt645", "p1", "qgdw376", "push")
RECIPIENTS = ("customer", "second", "collector", "meter")
FILE_CHANNEL = "file"
SECRET_KEYS = frozenset({"secret", "password", "key", "token"})


@dataclass(frozen=True, slots=True)
class Site:
    """Who runs this installation."""

    name: str = setting("shown in the console and in notices", "prewatt")
    zone: str = setting("IANA zone of accounts and reports that name none", "UTC")
    currency: str = setting("ISO 4217 code of accounts that name none", "CNY")
    lang: str = setting("language of accounts that name none", "en", words=("en", "zh"))


@dataclass(frozen=True, slots=True)
class Books:
    """Tariff books: those shipped are known by name; a file of the directory replaces a shipped one of its name."""

    directory: str = setting("folder of *.toml books, from the home", "books")
    default: str = setting('book of accounts that name none; "" refuses them', "")


@dataclass(frozen=True, slots=True)
class Policies:
    """Control policies: which template each customer class follows."""

    directory: str = setting("folder of *.toml policies, from the home", "policies")
    template: str = setting("template of classes that are not listed", "cn-remote")
    classes: Mapping[str, str] = setting("template by customer class", dict)
    shadow_days: int = setting(
        "a class is only watched so long after it first has accounts: decided on, nothing sent; 0 = live at once",
        30,
        least=0,
        most=366,
    )


@dataclass(frozen=True, slots=True)
class Gateway:
    """One address with meters behind it."""

    name: str = setting("the name that meters refer to")
    protocol: str = setting("how it speaks", words=PROTOCOLS)
    host: str = setting("name or address; where it dials in, the address to listen on")
    port: int = setting("TCP port; 0 = the protocol's own", 0, least=0, most=65535)
    timeout_ms: int = setting("an answer later than this closes the connection", 3000, least=50, most=120_000)
    gap_ms: int = setting("silence between two requests", 0, least=0, most=10_000)
    secret: str = setting("NAME of the secret that its meters use unless they have their own", "")
    framing: str = setting(
        'DLMS: wrapper or hdlc; Modbus: tcp or rtu; "" = what the host is (a serial device: rtu)',
        "",
        words=("", "wrapper", "hdlc", "tcp", "rtu"),
    )
    physical: int = setting("DLMS over HDLC: lower part of the meters' addresses; 0 = none", 0, least=0, most=16383)
    clock_limit_s: int = setting("DLMS: a visit sets a clock that is up to so far off; 0: never", 0, least=0, most=900)
    baud: int = setting("speed, where host is a serial device (/dev/...)", 9600, least=300, most=921_600)
    parity: str = setting("parity of a serial device", "N", words=("N", "E", "O"))
    stop_bits: int = setting("stop bits of a serial device", 1, least=1, most=2)
    data_bits: int = setting("data bits of a serial device; 7 with parity E: old P1 ports", 8, least=7, most=8)
    pipeline: int = setting("Modbus TCP: visits under way at a time, where the gateway takes them", 1, least=1, most=64)
    terminal: str = setting(
        "qgdw376, or dlt645 behind one: the terminal that dials in, region and number as one word (020004660)", ""
    )
    terminal_secret: str = setting(
        "dlt645 behind a terminal: NAME of the secret with its message authentication code; none = zeros", ""
    )
    meter_port: int = setting("dlt645 behind a terminal: the terminal's port towards its meters", 31, least=1, most=255)
    silence_s: int = setting("qgdw376: a terminal silent for so long has gone", 900, least=30, most=86_400)
    callers: int = setting("connections at a time, where it dials in", 4096, least=1, most=100_000)
    callers_each: int = setting("of them from one address", 512, least=1, most=100_000)
    tls: bool = setting("whether it speaks TLS", False)
    authority: str = setting(
        "TLS: file that its certificate is checked against, from the home; none = the system's", ""
    )
    certificate: str = setting("TLS: file of our certificate and its private part, from the home", "")


@dataclass(frozen=True, slots=True)
class Broker:
    """The MQTT broker that handhelds use; MQTT 3.1.1 with QoS 1."""

    enabled: bool = setting("whether handhelds are listened to", False)
    embedded: bool = setting("run the broker that comes with prewatt, on the same host and port", False)
    host: str = setting("name or address", "127.0.0.1")
    port: int = setting("TCP port", 1883, **PORTS)
    client: str = setting("client id; the session at the broker hangs on it", "prewatt")
    user: str = setting("login name", "")
    password: str = setting("NAME of the secret that holds the password", "")
    tls: bool = setting("whether the broker speaks TLS", False)
    devices: Mapping[str, str] = setting("NAME of each handheld's key, by device", dict)
    retiring: Mapping[str, str] = setting(
        "NAME of the key that a device may still use while its key is replaced, by device", dict
    )
    unsigned: bool = setting("whether devices that have no key are believed; those that have one must sign", False)


@dataclass(frozen=True, slots=True)
class Channel:
    """One way for notices to leave; its other keys are those of its kind."""

    name: str = setting("the name that policies and notices use")
    kind: str = setting("file, smtp, webhook, or one that a plug-in adds")
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notices:
    """Which channel carries which notices."""

    routes: Mapping[str, str] = setting("channel by recipient: customer, second, collector, meter", dict)
    fallback: Mapping[str, str] = setting("channel to use instead, by the channel that failed for good", dict)


@dataclass(frozen=True, slots=True)
class Payments:
    """How money arrives."""

    channels: tuple[str, ...] = setting(
        "channels that must be reconciled before anybody is cut; none named = those that were ever used", tuple
    )
    webhook_secrets: tuple[str, ...] = setting("NAMES of the keys that sign webhooks; two while one is replaced", tuple)
    csv: Columns = setting("columns of payment files, by what they hold", Columns)
    mpesa_secret: str = setting("NAME of the secret in the address that M-Pesa posts to; none = no M-Pesa", "")
    mpesa_shortcode: str = setting("our business short code at M-Pesa", "")
    alipay_key: str = setting("NAME of the secret that holds the platform's public key (PEM); none = no Alipay", "")
    alipay_app: str = setting("our app_id there", "")


@dataclass(frozen=True, slots=True)
class Http:
    """The daemon's web server."""

    host: str = setting("address to bind", "127.0.0.1")
    port: int = setting("TCP port; 0 = any free one", 8480, least=0, most=65535)


@dataclass(frozen=True, slots=True)
class Limits:
    """When /readyz says no, and how long a stop may take."""

    read_age_min: int = setting("the newest read may be this old", 130, least=1, most=100_000)
    rating_lag_min: int = setting("accepted reads may wait this long for rating", 30, least=1, most=100_000)
    disk_free_mb: int = setting("room that the store's disk must have", 200, least=1, most=10_000_000)
    drain_s: int = setting("a stopping daemon finishes within", 10, least=1, most=600)


@dataclass(frozen=True, slots=True)
class Tables:
    """The whole file, as its tables."""

    site: Site = setting("who runs it", Site)
    books: Books = setting("tariff books", Books)
    policies: Policies = setting("control policies", Policies)
    gateway: tuple[Gateway, ...] = setting("one [[gateway]] each", tuple)
    broker: Broker = setting("handhelds", Broker)
    channel: tuple[Channel, ...] = setting("one [[channel]] each; none = a file outbox in the home", tuple)
    notices: Notices = setting("which channel carries what", Notices)
    payments: Payments = setting("how money arrives", Payments)
    http: Http = setting("web server", Http)
    limits: Limits = setting("limits", Limits)
    engine: Mapping[str, float] = setting("the control engine's own knobs, by name", dict)


@dataclass(frozen=True, slots=True)
class Config(Tables):
    """A checked configuration and the home that it came from."""

    home: Home = field(kw_only=True)
    text: str = field(kw_only=True, default="")


def load(home: Home) -> Config:
    """Read and check the home's ``prewatt.toml``."""
    home.must_exist()
    try:
        text = home.config.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadConfig(f"not UTF-8: {error.reason}", which=str(home.config)) from None
    return check(text, home)


def check(text: str, home: Home, file: str = CONFIG) -> Config:
    """A configuration from its text; every refusal is BadConfig."""
    document = parse(text, file)
    tables = fill(document, Tables)
    for rule in _RULES:
        rule(document, tables)
    return Config(**{name: getattr(tables, name) for name in Tables.__dataclass_fields__}, home=home, text=text)


def _zone(document: Document, tables: Tables) -> None:
    try:
        ZoneInfo(tables.site.zone)
    except (OSError, KeyError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        raise document.refuse(
            ("site", "zone"), f"no zone {tables.site.zone!r}", "an IANA name: Asia/Shanghai"
        ) from None


def _currency(document: Document, tables: Tables) -> None:
    if not re.fullmatch(r"[A-Z]{3}", tables.site.currency):
        raise document.refuse(("site", "currency"), f"{tables.site.currency!r} is no ISO 4217 code", "CNY")


def _unique(document: Document, tables: Tables, *, what: str) -> None:
    """Two tables of one name are an error, never "the last wins"."""
    seen: dict[str, int] = {}
    for index, item in enumerate(getattr(tables, what)):
        if item.name in seen:
            raise document.refuse((what, index, "name"), f"two are named {item.name!r}", "another name")
        seen[item.name] = index


def _secrets_are_names(document: Document, _: Tables) -> None:
    """A key for a secret holds its name; anything that cannot be one is probably the secret itself."""

    def visit(path: tuple[str | int, ...], value: Any) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            visit((*path, key), inner)
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        words = {word.removesuffix("s") for word in re.split(r"[_-]", key)}
        if isinstance(value, str) and value and words & SECRET_KEYS and not NAME.fullmatch(value):
            hint = "write the secret to secrets/NAME (mode 0600) and name it here"
            raise document.refuse(path, "wants the NAME of a secret, not the secret", hint)

    visit((), dict(document.data))


def _channels(document: Document, tables: Tables) -> None:
    """Each channel's kind exists and knows its settings."""
    if not tables.channel:
        return
    from control.channels import kinds

    known = kinds()
    for index, channel in enumerate(tables.channel):
        if channel.kind not in known:
            raise document.refuse(
                ("channel", index, "kind"), f"no channel kind {channel.kind!r}", suggest(channel.kind, known)
            )
        for key in channel.settings:
            if key not in known[channel.kind].settings:
                hint = suggest(key, ("name", "kind", *known[channel.kind].settings))
                raise document.refuse(("channel", index, key), f"unknown key {key!r} of a {channel.kind} channel", hint)


def _payments(document: Document, tables: Tables) -> None:
    """Payment channels that are named exist, each once; a webhook needs its key."""
    if not tables.payments.channels:
        return
    from control.payments import channels

    known = channels()
    for index, name in enumerate(tables.payments.channels):
        place = ("payments", "channels", index)
        if name not in known or name in tables.payments.channels[:index]:
            raise document.refuse(place, f"no payment channel {name!r}, or named twice", suggest(name, known))
        if name == "webhook" and not tables.payments.webhook_secrets:
            raise document.refuse(place, "the webhook has no key", 'webhook_secrets = ["payments-webhook"]')


def _routes(document: Document, tables: Tables) -> None:
    """Notices go to channels that exist."""
    known = {channel.name for channel in tables.channel} or {FILE_CHANNEL}
    for table in ("routes", "fallback"):
        for key, name in getattr(tables.notices, table).items():
            if name not in known or (table == "routes" and key not in RECIPIENTS):
                wrong, words = (key, RECIPIENTS) if name in known else (name, tuple(known))
                raise document.refuse(("notices", table, key), f"unknown name {wrong!r}", suggest(wrong, words))


def _devices(document: Document, tables: Tables) -> None:
    """A handheld's retiring key stands behind a live one, and is another."""
    for device, name in tables.broker.retiring.items():
        if tables.broker.devices.get(device, name) == name:
            raise document.refuse(
                ("broker", "retiring", device), "no newer key replaces it", f'devices = {{{device} = "..."}}'
            )


def _framings(document: Document, tables: Tables) -> None:
    """A gateway's framing belongs to its protocol, and a serial device has no TLS."""
    fit = {"dlms": ("", "wrapper", "hdlc"), "modbus": ("", "tcp", "rtu")}
    for index, gateway in enumerate(tables.gateway):
        words = fit.get(gateway.protocol, ("",))
        if gateway.framing not in words:
            known = " or ".join(filter(None, words)) or "none"
            raise document.refuse(
                ("gateway", index, "framing"), f"{gateway.protocol} has no {gateway.framing!r}", known
            )
        if gateway.tls and gateway.host.startswith("/"):
            raise document.refuse(("gateway", index, "tls"), "a serial device has no TLS", "tls = false")


def _terminals(document: Document, tables: Tables) -> None:
    """A terminal has an address, belongs to its protocols, and is read by one gateway only."""
    from ingest.wire.qgdw376 import address_of

    seen: dict[str, int] = {}
    for index, gateway in enumerate(tables.gateway):
        place, name = ("gateway", index, "terminal"), gateway.terminal
        if gateway.protocol not in ("qgdw376", "dlt645") and name:
            raise document.refuse(place, f"{gateway.protocol} has no terminal", "qgdw376 or dlt645")
        if gateway.protocol == "qgdw376" or name:
            try:
                address_of(name)
            except ValueError as error:
                raise document.refuse(place, str(error), 'terminal = "020004660"') from None
            if gateway.protocol == "qgdw376" and seen.setdefault(name, index) != index:
                raise document.refuse(place, f"two gateways read terminal {name}", "another terminal")
        listens = gateway.protocol == "push" or name
        if listens and (gateway.tls or gateway.host.startswith("/")):
            raise document.refuse(("gateway", index, "host"), "what dials in needs an address, without TLS", "0.0.0.0")


def _engine(document: Document, tables: Tables) -> None:
    """The engine's knobs are the numbers of ``control.settings.Settings``, fractions where it takes them."""
    from control.settings import Settings

    known = {f.name: f.type in (int, "int") for f in fields(Settings) if f.type in (int, float, "int", "float")}
    for key, value in tables.engine.items():
        if key not in known:
            raise document.refuse(("engine", key), f"unknown key {key!r}", suggest(key, known))
        if known[key] and not isinstance(value, int):
            raise document.refuse(("engine", key), f"want a whole number, got {value!r}")


_RULES: tuple[Callable[[Document, Tables], None], ...] = (
    _zone,
    _currency,
    partial(_unique, what="gateway"),
    partial(_unique, what="channel"),
    _secrets_are_names,
    _channels,
    _payments,
    _routes,
    _devices,
    _framings,
    _terminals,
    _engine,
)
