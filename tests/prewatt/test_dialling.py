"""Terminals and pushing meters over real loopback sockets, through the configuration and the real collector."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.links.dlt645 import Dlt645Link
from ingest.links.door import TcpListener
from ingest.links.forwarding import ForwardedLink
from ingest.links.p1 import P1Link
from ingest.links.push import PushLink
from ingest.links.qgdw376 import TerminalLink
from ingest.links.tcp import TcpTransport
from ingest.records import Drive, DriveResult, MeterPoint, RelayState
from ingest.wire.qgdw376_orders import Order
from prewatt import wiring
from prewatt.actions import actions
from prewatt.callers import Pretended, calling, pretend
from prewatt.config import check, load
from prewatt.dialling import Hubs
from prewatt.errors import BadConfig, ShellError, Usage
from prewatt.home import Home
from sim.caller import Caller
from sim.dlt645 import PASSWORD as METER_PASSWORD
from sim.dlt645 import Dlt645Line, Dlt645Meter
from sim.meters import SimMeter
from sim.pusher import push
from sim.terminal import PASSWORD, Terminal
from tests.ingest.rig import MemoryFences
from tests.prewatt.conftest import Run

NAME = "020004660"
ADDRESS = "202607140001"
PUSHER = "7359992890000001"


class HostTime:
    """The real time, for simulated devices."""

    def now(self) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def metal(serial: str, load_w: int = 1200) -> SimMeter:
    start = HostTime().now().replace(minute=0, second=0, microsecond=0) - timedelta(days=2)
    return SimMeter(serial, lambda _: load_w, start, register_mwh=10**9)


@pytest.fixture
def dialled(home: Path, run: Run, tmp_path: Path) -> tuple[Path, int, int]:
    """A home with a terminal, a meter behind it and a pushing meter, and the ports that they call."""
    port, pushes = free_port(), free_port()
    config = home / "prewatt.toml"
    config.write_text(
        config.read_text(encoding="utf-8")
        + f"""
[[gateway]]
name = "t1"
protocol = "qgdw376"
host = "127.0.0.1"
port = {port}
terminal = "{NAME}"
secret = "terminal"

[[gateway]]
name = "behind"
protocol = "dlt645"
host = "127.0.0.1"
port = {port}
terminal = "{NAME}"
terminal_secret = "terminal"
secret = "meter"

[[gateway]]
name = "pushes"
protocol = "push"
host = "127.0.0.1"
port = {pushes}
""",
        encoding="utf-8",
    )
    for name, text in (("terminal", PASSWORD.hex()), ("meter", METER_PASSWORD)):
        secret = home / "secrets" / name
        secret.parent.mkdir(exist_ok=True, mode=0o700)
        secret.write_text(text, encoding="ascii")
        secret.chmod(0o600)
    file = tmp_path / "dialled.csv"
    file.write_text(
        "account,meter,gateway,model,serial,unit,secret,zone\n"
        f"A1,M1,t1,qgdw376_switching,{NAME}-1,1,terminal,Asia/Shanghai\n"
        f"A2,M2,behind,dlt645_2007,{ADDRESS},1,meter,Asia/Shanghai\n"
        f"A3,M3,pushes,dlms_push,{PUSHER},1,,Europe/Oslo\n",
        encoding="utf-8",
    )
    done = run("accounts", "import", file, "-o", "json")
    assert (done.code, done.json["new"]) == (0, 3), done.out + done.err
    return home, port, pushes


def terminal() -> Terminal:
    line = Dlt645Line(HostTime(), {ADDRESS: Dlt645Meter(ADDRESS, metal(ADDRESS, 700), zone="Asia/Shanghai")})
    return Terminal(NAME, HostTime(), {1: metal(f"{NAME}-1")}, line=line)


async def pushing(port: int) -> None:
    """A meter that pushes every second, from before the hour on."""
    meter = metal(PUSHER)
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        while True:
            writer.write(push(meter, HostTime()))
            await writer.drain()
            await asyncio.sleep(0.2)


async def collected(shell: wiring.Shell, port: int, pushes: int) -> None:
    """All three are read, told, and the terminal's breaker is tripped."""
    device = terminal()
    line = device.line
    assert line is not None
    caller, beside = Caller(device, "127.0.0.1", port), asyncio.ensure_future(pushing(pushes))
    caller.start()
    links = shell.engine.links
    switching, behind, heard = links["t1"], links["behind"], links["pushes"]
    assert isinstance(switching, TerminalLink)
    assert isinstance(behind, ForwardedLink) and isinstance(heard, PushLink)
    await heard.door.open()
    await asyncio.sleep(0.5)
    report = await shell.engine.collect(whole=True)
    assert (report.due, report.polled, report.failed) == (3, 3, 0), report
    assert report.new >= 3
    points = {p.meter: p for p in shell.store.read(lambda reader: reader.find(MeterPoint, order="meter_id"))}
    until = shell.clock.now() + timedelta(hours=1)
    for order, shown in ((Order.ALARM, "alarm"), (Order.KEEP_POWER, "keep_power")):
        assert await switching.tell(points["M1"], order, until) == "" and getattr(device, shown)
    refused = await switching.drive(points["M1"], Drive("C0", "M1", "disconnect", 1, until))
    assert (refused.result, refused.reason) == (DriveResult.REFUSED, "keep_power")
    assert await switching.tell(points["M1"], Order.KEEP_POWER_OFF, until) == ""
    outcome = await switching.drive(points["M1"], Drive("C1", "M1", "disconnect", 2, until))
    assert (outcome.result, outcome.reason) == (DriveResult.ACKNOWLEDGED, "")
    assert (await switching.relay(points["M1"])).state is RelayState.OPEN
    assert (await behind.relay(points["M2"])).state is RelayState.CLOSED
    done = await actions()["meters.tell"](shell, {"account": "A1", "order": "alarm-off"})
    assert done["in_force"] and not device.alarm
    done = await actions()["meters.tell"](shell, {"account": "A2", "order": "keep-power"})
    assert done["in_force"] and line.meters[ADDRESS].meter.keep_power
    with pytest.raises(ShellError, match="takes no order"):
        await actions()["meters.tell"](shell, {"account": "A3", "order": "alarm"})
    with pytest.raises(ShellError, match="cuts by a credit of its own"):
        await actions()["meters.tell"](shell, {"account": "A1", "order": "purchase"})
    assert Order.PURCHASE not in device.orders
    done = await actions()["meters.tell"](shell, {"account": "A1", "order": "purchase", "cuts_by_itself": True})
    assert done["in_force"] and device.purchase == {1}
    refused = await switching.drive(points["M1"], Drive("C2", "M1", "disconnect", 3, until))
    assert (refused.result, refused.reason) == (DriveResult.REFUSED, "holds_credit")
    assert (await actions()["meters.tell"](shell, {"account": "A1", "order": "purchase-off"}))["in_force"]
    device.faults.add("lying_state")
    with pytest.raises(ShellError, match="not in force: not_in_force"):
        await actions()["meters.tell"](shell, {"account": "A1", "order": "alarm"})
    again = await shell.engine.collect(whole=True)
    assert (again.due, again.new) == (0, 0)
    assert caller.calls == 1 and device.orders.count(Order.TRIP) == 1
    beside.cancel()
    await shell.aclose()
    await caller.stop()


async def redialled(shell: wiring.Shell, port: int) -> None:
    """The newest connection is read, a stranger is denied, a simulated terminal calls by hand."""
    device = terminal()
    link: Any = shell.engine.links["t1"]
    (point, *_) = shell.store.read(lambda reader: reader.find(MeterPoint, order="meter_id"))
    hub = link._hub
    await hub.door.open()
    first, second = Caller(device, "127.0.0.1", port, redial_s=60), Caller(device, "127.0.0.1", port)
    first.start()
    assert (await link.relay(point)).state is RelayState.CLOSED
    second.start()
    while hub.counts["login"] < 2:
        await asyncio.sleep(0.01)
    assert hub.counts["replaced"] == 1 and (await link.relay(point)).state is RelayState.CLOSED
    stranger = Caller(Terminal("020009999", HostTime(), {}), "127.0.0.1", port, redial_s=60)
    stranger.start()
    while not hub.counts["unknown_terminal"]:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert stranger.session is not None and stranger.session.denied
    assert hub.door.callers == 1
    for caller in (first, second, stranger):
        await caller.stop()
    by_hand = calling(f"127.0.0.1:{port}", NAME, 1, 900, "Asia/Shanghai")  # what `prewatt meters dial` does
    calls = asyncio.ensure_future(by_hand.forever())
    while hub.counts["login"] < 3:
        await asyncio.sleep(0.01)
    poll = await link.poll(point, HostTime().now().replace(minute=0, second=0, microsecond=0))
    assert poll.power_w == 900 and poll.serial == f"{NAME}-1" and poll.reads
    calls.cancel()
    await shell.aclose()


@pytest.mark.sockets
def test_what_dials_in_is_collected_told_switched_and_read_on_its_newest_connection(
    dialled: tuple[Path, int, int],
) -> None:
    home, port, pushes = dialled
    with wiring.opened(load(Home(home))) as shell:
        asyncio.run(asyncio.wait_for(collected(shell, port, pushes), 60))
        asyncio.run(asyncio.wait_for(redialled(shell, port), 60))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (('protocol = "qgdw376"', 'host = "0.0.0.0"'), "is no terminal"),
        (('protocol = "qgdw376"', 'host = "0.0.0.0"', 'terminal = "12"'), "is no terminal"),
        (('protocol = "modbus"', 'host = "h"', f'terminal = "{NAME}"'), "modbus has no terminal"),
        (('protocol = "qgdw376"', 'host = "/dev/ttyS0"', f'terminal = "{NAME}"'), "needs an address"),
        (('protocol = "push"', 'host = "h"', "tls = true"), "without TLS"),
        (('protocol = "qgdw376"', 'host = "h"', f'terminal = "{NAME}"', "silence_s = 5"), "silence_s"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    text = "\n".join(["[[gateway]]", 'name = "g1"', *lines])
    with pytest.raises(BadConfig) as refused:
        check(text, Home(tmp_path))
    assert words in str(refused.value) or words in repr(refused.value.__dict__)


def test_gateways_of_one_socket_share_its_widest_limits(tmp_path: Path) -> None:
    one = 'protocol = "qgdw376"\nhost = "h"\n'
    text = f'[[gateway]]\nname = "a"\n{one}terminal = "{NAME}"\ncallers_each = 9\nsilence_s = 60\n'
    text += f'[[gateway]]\nname = "b"\n{one}terminal = "020004661"\nport = 3761\ncallers = 9000\n'
    config = check(text, Home(tmp_path))
    hubs = Hubs(config, HostTime())
    first, second = (hubs.of(gateway) for gateway in config.gateway)
    assert first is second and first._silence_s == 900
    assert (first.door._limits.total, first.door._limits.each) == (9000, 512)


def test_two_gateways_cannot_read_one_terminal(tmp_path: Path) -> None:
    one = f'protocol = "qgdw376"\nhost = "h"\nterminal = "{NAME}"\n'
    with pytest.raises(BadConfig, match=f"two gateways read terminal {NAME}"):
        check(f'[[gateway]]\nname = "a"\n{one}[[gateway]]\nname = "b"\n{one}', Home(tmp_path))


@pytest.mark.parametrize(
    ("where", "name", "zone"), [("h", NAME, "UTC"), ("h:1", "x", "UTC"), ("h:1", NAME, "Nowhere/Town")]
)
def test_what_cannot_call_is_said(where: str, name: str, zone: str) -> None:
    with pytest.raises(Usage):
        calling(where, name, 1, 0, zone)


@pytest.mark.sockets
def test_simulated_devices_stand_in_for_real_ones() -> None:
    """What `prewatt meters pretend` does: each is read by the link of its protocol."""

    async def story() -> None:
        slot = HostTime().now().replace(minute=0, second=0, microsecond=0)
        meter, port = await pretend("dlt645", "127.0.0.1:0", 700), await pretend("p1", "127.0.0.1:0", 800)
        link = Dlt645Link(
            HostTime(),
            TcpTransport(),
            meter.host,
            meter.port,
            gateway="d",
            fences=MemoryFences(),
            secrets=lambda _: b"",
        )
        poll = await link.poll(where(meter, "Asia/Shanghai"), slot)
        assert poll.power_w == 700 and poll.reads and abs(poll.offset_s or 0) <= 2
        ears = P1Link(HostTime(), TcpTransport(), port.host, port.port, gateway="p")
        poll = await ears.poll(where(port, "Europe/Amsterdam"), slot)
        assert poll.power_w == 800 and poll.reads
        door = PushLink(HostTime(), TcpListener(), "127.0.0.1", 0, gateway="h", wait_s=3600.0)
        await door.door.open()
        caller = await pretend("push", f"127.0.0.1:{door.door.port}", 900)
        calls = asyncio.ensure_future(caller.forever())
        poll = await door.poll(where(caller, "Europe/Oslo"), slot)
        assert poll.power_w == 900 and poll.reads
        calls.cancel()
        for opened in (link, ears, door):
            await opened.close()
        with pytest.raises(Usage, match="no simulated 'toaster'"):
            await pretend("toaster", "127.0.0.1:0", 0)

    asyncio.run(asyncio.wait_for(story(), 30))


def where(made: Pretended, zone: str) -> MeterPoint:
    return MeterPoint(1, "M1", made.serial, made.model, made.protocol, "g", made.host, made.port, 1, zone=zone)
