"""A kind of device, a place and a few numbers go in, a simulated device that serves or calls there comes out.

To try a gateway of a home without the device: terminals and pushing meters call the home, the others wait on loopback.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from ingest.ports import Clock
from ingest.wire.qgdw376 import address_of
from prewatt.clock import clock
from prewatt.errors import Usage
from sim import dlt645, p1port, pusher
from sim.caller import Caller
from sim.meters import SimMeter
from sim.sockets import serve
from sim.speaking import speak_to, speak_to_all
from sim.terminal import Terminal

ADDRESS, P1_SERIAL, PUSH_SERIAL = "202607140001", "E0001234", "7359992890000001"
PUSH_S = 10.0


def place_of(where: str) -> tuple[str, int]:
    """HOST:PORT as its parts; Usage says that it is none."""
    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) < 65536:
        raise Usage(f"{where!r} is no HOST:PORT", which="HOST:PORT", attempt="127.0.0.1:3761")
    return host, int(port)


def metal(serial: str, load_w: int, own: Clock, register_mwh: int = 10**9) -> SimMeter:
    """A meter with two days behind it."""
    since = own.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=2)

    def load(_: datetime) -> int:
        return load_w

    return SimMeter(serial, load, since, register_mwh=register_mwh)


def calling(where: str, terminal: str, points: int, load_w: int, zone: str) -> Caller:
    """A terminal that calls ``where``; Usage says what is wrong with what was given."""
    host, port = place_of(where)
    try:
        address_of(terminal)
        ZoneInfo(zone)
    except (ValueError, OSError) as error:
        raise Usage(str(error), which="--terminal, --zone", attempt="020004660, Asia/Shanghai") from None
    except KeyError:  # ZoneInfoNotFoundError is one
        raise Usage(f"no zone {zone!r}", which="--zone", attempt="Asia/Shanghai") from None
    own = clock()
    meters = {n: metal(f"{terminal}-{n}", load_w, own, n * 10**9) for n in range(1, points + 1)}
    return Caller(Terminal(terminal, own, meters, zone=zone), host, port, redial_s=5.0)


@dataclass(frozen=True, slots=True)
class Pretended:
    """A device at work: what to write into the account file, and how to keep it running."""

    protocol: str
    model: str
    serial: str
    host: str
    port: int
    secret: str  # of simulated devices only: it is written in their source
    forever: Callable[[], Awaitable[None]]


async def pretend(kind: str, where: str, load_w: int) -> Pretended:
    """Start a simulated device; Usage names the kinds."""
    if kind not in KINDS:
        raise Usage(f"no simulated {kind!r}", which="KIND", attempt=", ".join(KINDS))
    host, port = place_of(where)
    return await KINDS[kind](host, port, load_w)


async def _until_cancelled() -> None:
    await asyncio.Event().wait()


async def _dlt645(host: str, port: int, load_w: int) -> Pretended:
    own = clock()
    meter = dlt645.Dlt645Meter(ADDRESS, metal(ADDRESS, load_w, own), zone="Asia/Shanghai")
    served = await serve(dlt645.Dlt645Line(own, {ADDRESS: meter}), host=host, port=port)
    return Pretended("dlt645", "dlt645_2007", ADDRESS, host, served.port, dlt645.PASSWORD, _until_cancelled)


async def _p1(host: str, port: int, load_w: int) -> Pretended:
    own = clock()
    says = partial(p1port.telegram, metal(P1_SERIAL, load_w, own), own)
    server = await speak_to_all(says, port, 1.0)
    bound = server.sockets[0].getsockname()[1]
    return Pretended("p1", "p1_dsmr", P1_SERIAL, host, bound, "", server.serve_forever)


async def _push(host: str, port: int, load_w: int) -> Pretended:
    own = clock()
    says = partial(pusher.push, metal(PUSH_SERIAL, load_w, own), own)
    return Pretended("push", "dlms_push", PUSH_SERIAL, host, port, "", partial(speak_to, says, host, port, PUSH_S))


KINDS: Mapping[str, Callable[[str, int, int], Awaitable[Pretended]]] = {"dlt645": _dlt645, "p1": _p1, "push": _push}
