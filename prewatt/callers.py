"""An address and a few numbers go in, a simulated terminal that calls it comes out: to try a listening gateway."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ingest.wire.qgdw376 import address_of
from prewatt.clock import clock
from prewatt.errors import Usage
from sim.caller import Caller
from sim.meters import SimMeter
from sim.terminal import Terminal


def calling(where: str, terminal: str, points: int, load_w: int, zone: str) -> Caller:
    """The caller; Usage says what is wrong with what was given."""
    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Usage(f"{where!r} is no HOST:PORT", which="HOST:PORT", attempt="127.0.0.1:3761")
    try:
        address_of(terminal)
        ZoneInfo(zone)
    except (ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise Usage(str(error), which="--terminal, --zone", attempt="020004660, Asia/Shanghai") from None
    except KeyError:
        raise Usage(f"no zone {zone!r}", which="--zone", attempt="Asia/Shanghai") from None
    own = clock()
    since = own.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=2)

    def load(_: datetime) -> int:
        return load_w

    meters = {n: SimMeter(f"{terminal}-{n}", load, since, register_mwh=n * 10**9) for n in range(1, points + 1)}
    return Caller(Terminal(terminal, own, meters, zone=zone), host, int(port), redial_s=5.0)
