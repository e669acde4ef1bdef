"""Gateways that dial in go in, links that listen for them come out: terminals, meters behind them, pushing meters.

Gateways of one host and port share one listening socket; it opens with the first call and closes with the last link.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ingest.ports import Clock, FenceStore, Link
from prewatt import secrets
from prewatt.config import Config, Gateway
from prewatt.errors import BadConfig

if TYPE_CHECKING:
    from ingest.links.dialin import DialIn
    from ingest.links.door import Limits
    from ingest.wire.ciphering import Keys

PORTS = {"qgdw376": 3761, "push": 4059}
DIALS_IN = frozenset(PORTS)
Secret = Callable[[str], bytes | None]


class Hubs:
    """The listening sockets of one configuration, by host and port."""

    def __init__(self, config: Config, clock: Clock) -> None:
        """Nothing listens yet."""
        self._config = config
        self._clock = clock
        self._made: dict[tuple[str, int], DialIn] = {}

    def of(self, gateway: Gateway) -> "DialIn":
        """The hub that the gateway's terminal dials in to."""
        from ingest.links.dialin import DialIn
        from ingest.links.door import TcpListener

        place = _place(gateway)
        if place not in self._made:
            shared = [other for other in self._config.gateway if other.terminal and _place(other) == place]
            silence_s = max(other.silence_s for other in shared)
            limits = _limits(*shared)
            self._made[place] = DialIn(self._clock, TcpListener(), *place, silence_s=silence_s, limits=limits)
        return self._made[place]

    def terminal(self, gateway: Gateway, fences: FenceStore, secret: Secret) -> Link:
        """A terminal as a gateway of its measuring points."""
        from ingest.links.qgdw376 import TerminalLink

        return TerminalLink(
            self._clock,
            self.of(gateway),
            gateway.terminal,
            gateway=gateway.name,
            fences=fences,
            secrets=secret,
            timeout_s=gateway.timeout_ms / 1000,
        )

    def forwarded(self, gateway: Gateway, make: Callable[[Any], Any]) -> Link:
        """The DL/T 645 meters behind a terminal; ``make`` makes their link over the transport that it is given."""
        from ingest.links.forwarding import ForwardedLink, ForwardTransport

        hub, timeout_s = self.of(gateway), gateway.timeout_ms / 1000
        password = partial(_secret, self._config, gateway.terminal_secret)
        transport = ForwardTransport(
            hub, gateway.terminal, port=gateway.meter_port, password=password, timeout_s=timeout_s
        )
        return ForwardedLink(make(transport), hub, gateway.terminal)

    def pushing(self, gateway: Gateway) -> Link:
        """Meters that push here; the gateway's secret holds their keys when they cipher."""
        from ingest.links.door import TcpListener
        from ingest.links.push import PushLink

        port = gateway.port or PORTS["push"]
        keys = _keys(self._config, gateway)
        place = gateway.host, port
        limits = _limits(gateway)
        return PushLink(self._clock, TcpListener(), *place, gateway=gateway.name, keys=keys, limits=limits)


def _place(gateway: Gateway) -> tuple[str, int]:
    """Where its terminal calls."""
    return gateway.host, gateway.port or PORTS["qgdw376"]


def _limits(*gateways: Gateway) -> "Limits":
    """The widest limits of the gateways that share a socket."""
    from ingest.links.door import Limits

    return Limits(max(gateway.callers for gateway in gateways), max(gateway.callers_each for gateway in gateways))


def _secret(config: Config, name: str) -> bytes | None:
    """A secret by its name; None without a name. BadConfig when it is named and cannot be read."""
    return secrets.read(config.home.secrets, name) if name else None


def _keys(config: Config, gateway: Gateway) -> "Keys | None":
    """64 hex digits: encryption key, then authentication key; 32: the encryption key alone."""
    from ingest.wire.ciphering import Keys

    text = _secret(config, gateway.secret)
    if text is None:
        return None
    try:
        raw = bytes.fromhex(text.decode("ascii"))
        return Keys(raw[:16], raw[16:])
    except ValueError:
        which = f"{config.home.config}: gateway {gateway.name!r}"
        raise BadConfig("its secret holds no keys", which=which, attempt="32 or 64 hex digits") from None
