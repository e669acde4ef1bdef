"""A town goes in, its gateways on real loopback sockets come out: in this process, or in one of its own.

As a process (``python -m sim.field``) it speaks JSON lines: it prints ``{"ready": {gateway: [host, port]}}``, takes
orders on standard input and ends when that closes, so that nothing is left running when its parent dies. All processes
share one test clock through a file.

Orders: ``{"do": "relays"}``, ``{"do": "fault", "meter": M, "fault": F, "on": true}``, ``{"do": "kill", "gateway": G}``,
``{"do": "revive", "gateway": G}``, ``{"do": "switch", "meter": M, "state": "closed"}`` (a crew's hand),
``{"do": "skew", "meter": M, "s": 3600}`` (its own clock is off),
``{"do": "stop"}``.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ingest import drivers
from ingest.model import ModbusDriver
from ingest.ports import Clock
from ingest.records import Channel, Flag, MeterRead, RelayState
from sim.clock import TestClock
from sim.concentrator import Concentrator
from sim.customers import load_of, mix
from sim.meters import SimMeter
from sim.modbus import ModbusGateway
from sim.ports import Device
from sim.sockets import Served, serve
from sim.town import Town, build
from sim.towns import TOWNS


def metals(town: Town) -> dict[str, SimMeter]:
    """One physical meter per site, keyed by meter number, with a register that did not start at zero."""
    return {
        site.point.meter: SimMeter(
            serial=site.point.serial,
            load=load_of(site.shape, seed=town.seed, customer=site.number, percent=site.percent),
            at=town.start,
            register_mwh=mix(town.seed, site.number, 29) % 40_000 * 1_000_000,
            digits=site.point.digits,
        )
        for site in town.sites
    }


def displays(town: Town, meters: Mapping[str, SimMeter]) -> list[MeterRead]:
    """What each display said when it was hung, of those that were hung in the town's first hour."""
    return [
        MeterRead(point.meter_id, Channel.IMPORT, town.start, meters[point.meter].first_wh, Flag.MANUAL)
        for point in (site.point for site in town.sites if site.install.start == town.start)
    ]


def devices(town: Town, meters: Mapping[str, SimMeter], clock: Clock) -> dict[str, Device]:
    """The listening side of every gateway, keyed by gateway name; handhelds' meters hang on none."""
    known = drivers.drivers()
    found: dict[str, Device] = {}
    for gateway in town.gateways:
        points = [site.point for site in town.sites if site.point.gateway == gateway.name]
        if gateway.protocol == "dlms":
            found[gateway.name] = Concentrator(clock, {point.unit: meters[point.meter] for point in points})
        elif gateway.protocol == "modbus":
            line = ModbusGateway(clock)
            for point in points:
                driver = known[point.model]
                if isinstance(driver, ModbusDriver):
                    line.add(point.unit, meters[point.meter], driver)
            found[gateway.name] = line
    return found


class Field:
    """A town served on loopback."""

    def __init__(self, town: Town, clock: Clock) -> None:
        """Not yet listening; see ``open``."""
        self.town = town
        self.meters = metals(town)
        self.clock = clock
        self.served: dict[str, Served] = {}

    async def open(self) -> dict[str, tuple[str, int]]:
        """Listen on every gateway; returns where."""
        for name, device in devices(self.town, self.meters, self.clock).items():
            self.served[name] = await serve(device)
        return {name: (s.host, s.port) for name, s in self.served.items()}

    async def close(self) -> None:
        """Close every socket."""
        for served in self.served.values():
            await served.close()

    async def obey(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one order; an order that names nothing known is answered with an error."""
        try:
            return await self._do(order)
        except (KeyError, ValueError) as error:
            return {"error": f"{type(error).__name__}: {error}", "order": dict(order)}

    async def _do(self, order: Mapping[str, Any]) -> dict[str, Any]:
        match order["do"]:
            case "relays":
                return {"relays": {m: str(x.relay) for m, x in self.meters.items()}, "changes": self.changes()}
            case "fault":
                faults = self.meters[order["meter"]].faults
                (faults.add if order.get("on", True) else faults.discard)(order["fault"])
            case "skew":
                self.meters[order["meter"]].skew_s = int(order["s"])
            case "switch":
                self.meters[order["meter"]].switch(RelayState(order["state"]), self.clock.now(), "crew")
            case "kill":
                await self.served[order["gateway"]].kill()
            case "revive":
                served = self.served[order["gateway"]]
                await served.listen(served.host, served.port)
            case "stop":
                return {"stop": True}
            case other:
                raise ValueError(f"unknown order {other!r}; try: relays, fault, skew, switch, kill, revive, stop")
        return {"done": order["do"]}

    def changes(self) -> dict[str, list[tuple[str, str]]]:
        """Every meter's effective relay changes: when and to what."""
        return {
            meter: [(at.isoformat(), str(state)) for at, state, _ in metal.relay_changes]
            for meter, metal in self.meters.items()
            if metal.relay_changes
        }


async def _serve(field: Field) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _say({"ready": await field.open()})
    while line := await reader.readline():
        answer = await field.obey(json.loads(line))
        _say(answer)
        if "stop" in answer:
            break
    await field.close()


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> None:
    """Serve a town until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m sim.field", description=__doc__.partition("\n")[0])
    parser.add_argument("--town", choices=sorted(TOWNS), default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accounts", type=int, default=24)
    parser.add_argument("--clock", type=Path, required=True, help="the shared test clock's file")
    args = parser.parse_args(argv)
    town = TOWNS[args.town]() if args.town else build(args.seed, args.accounts)
    asyncio.run(_serve(Field(town, TestClock(args.clock))))


if __name__ == "__main__":
    main()
