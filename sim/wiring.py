"""A town and the name of a transport go in, one link per gateway comes out: by the wire, or straight to the meters."""

from collections.abc import Mapping
from typing import Any

from ingest import drivers
from ingest.links.dlms import DlmsLink
from ingest.links.modbus import ModbusLink
from ingest.ports import FenceStore, Link
from sim.concentrator import SECRET
from sim.direct import DirectLink
from sim.loop import DeviceClock, VirtualClock
from sim.meters import SimMeter
from sim.network import SimNetwork
from sim.town import Town

TRANSPORTS = ("wire", "direct")
WIRE_ACCOUNTS = 40  # larger towns go by the direct transport unless told otherwise
TIMEOUT_S = 4.0


def transport_of(name: str, accounts: int) -> str:
    """The transport called ``name``; "" is the wire for a small town, else direct. KeyError for any other word."""
    if name and name not in TRANSPORTS:
        raise KeyError(name)
    return name or ("wire" if accounts <= WIRE_ACCOUNTS else "direct")


def links(
    town: Town,
    transport: str,
    network: SimNetwork,
    *,
    meters: Mapping[str, SimMeter],
    fences: FenceStore,
    clock: VirtualClock,
) -> dict[str, Link]:
    """One link per gateway that can be called; "wire": the real links, over bytes; "direct": ``sim.direct``."""
    known, truth = drivers.drivers(), DeviceClock(clock)
    found: dict[str, Link] = {}
    for gateway in town.gateways:
        common: dict[str, Any] = {"gateway": gateway.name, "fences": fences, "timeout_s": TIMEOUT_S}
        where = (clock, network, gateway.host, gateway.port)
        if transport == "direct" and gateway.protocol in ("modbus", "dlms"):
            found[gateway.name] = DirectLink(clock, truth, network, gateway.host, meters, known, **common)
        elif gateway.protocol == "modbus":
            found[gateway.name] = ModbusLink(*where, **common)
        elif gateway.protocol == "dlms":
            found[gateway.name] = DlmsLink(*where, secrets=lambda _name: SECRET, **common)
    return found
