"""Find, try and read meters on a line, and list the models that prewatt can read and switch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prewatt.errors import ShellError, Usage
from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

if TYPE_CHECKING:
    from ingest.links.targets import Target

PANEL = "field"
group = typer.Typer(no_args_is_help=True, help=__doc__)

Where = Annotated[str, typer.Argument(metavar="HOST|SERIAL", help="10.0.0.7, 10.0.0.7:502 or /dev/ttyUSB0.")]
Rtu = Annotated[bool, typer.Option("--rtu", help="RTU frames inside TCP (serial servers).")]
Baud = Annotated[int, typer.Option(help="Speed of a serial device.")]
Parity = Annotated[str, typer.Option(help="Parity of a serial device: N, E or O.")]
Timeout = Annotated[int, typer.Option("--timeout-ms", min=20, max=60_000, help="How long a unit may think.")]
Units = Annotated[str, typer.Option(help="Unit numbers: 1-32,40.")]
Unit = Annotated[int, typer.Option(min=0, max=255, help="Unit number.")]
First = Annotated[int, typer.Option("--from", min=0, max=65_535, help="First register (0-based).")]
Last = Annotated[int, typer.Option("--to", min=1, max=65_536, help="Where to stop (not read).")]


@group.command()
def profiles(home: HomeOption = None, output: FormOption = None) -> None:
    """List the drivers: model, protocol, what they read, and whether their relay is proven by read-back."""
    from ingest.drivers import drivers
    from prewatt.listing import driver_row

    rows = [driver_row(driver) for driver in drivers().values()]
    emit(Result("meters profiles", {"profiles": rows}, rows="profiles"))


@group.command()
def scan(
    where: Where,
    units: Units = "1-247",
    rtu: Rtu = False,
    baud: Baud = 9600,
    parity: Parity = "N",
    timeout_ms: Timeout = 300,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Find the units that answer on a line, and the models that fit them. Reads only. Exit 1 when nobody answers."""
    from prewatt import surveys

    numbers = surveys.unit_numbers(units)
    rows = surveys.run(
        _target(where, rtu, baud, parity), lambda s: surveys.scanned(s, numbers), timeout_s=timeout_ms / 1000
    )
    emit(Result("meters scan", {"where": where, "asked": len(numbers), "units": rows}, rows="units"))
    if not rows:
        raise typer.Exit(1)


@group.command()
def probe(
    where: Where,
    unit: Unit = 1,
    start: First = 0,
    stop: Last = 128,
    address: Annotated[int | None, typer.Option(help="Where a manual puts a value: it may be off by one.")] = None,
    wait_s: Annotated[int, typer.Option("--wait", min=0, max=600, help="Seconds between two looks.")] = 20,
    rtu: Rtu = False,
    baud: Baud = 9600,
    parity: Parity = "N",
    timeout_ms: Timeout = 500,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Rank what an unknown meter may be: models, and function, type and word order by plausible values. Reads only."""
    from prewatt import surveys

    found = surveys.run(
        _target(where, rtu, baud, parity),
        lambda s: surveys.probed(s, unit, _span(start, stop), address, wait_s),
        timeout_s=timeout_ms / 1000,
    )
    emit(Result("meters probe", found, rows="guesses", columns=("function", "type", "order", "points")))
    if not found["models"] and not found["guesses"]:
        raise typer.Exit(1)


@group.command()
def read(
    where: Where,
    model: Annotated[str, typer.Option(help="Driver: prewatt meters profiles.")],
    unit: Unit = 1,
    rtu: Rtu = False,
    baud: Baud = 9600,
    parity: Parity = "N",
    timeout_ms: Timeout = 2000,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Read one meter through its driver: values in base units, and what is doubtful about them."""
    from prewatt import surveys

    known = surveys.modbus_driver(model)
    found = surveys.run(
        _target(where, rtu, baud, parity), lambda s: surveys.read(s, unit, known), timeout_s=timeout_ms / 1000
    )
    emit(Result("meters read", found))


@group.command()
def dump(
    where: Where,
    file: Annotated[Path, typer.Argument(help="Where to write; refused if it exists.")],
    units: Units = "1",
    start: First = 0,
    stop: Last = 256,
    rtu: Rtu = False,
    baud: Baud = 9600,
    parity: Parity = "N",
    timeout_ms: Timeout = 500,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Write the registers of meters to a file that `meters serve` can serve again."""
    import json

    from prewatt import surveys
    from sim.bank import SCHEMA

    if file.exists():
        raise Usage(f"{file} exists", which="FILE", attempt="another name")
    numbers, span = surveys.unit_numbers(units), _span(start, stop)
    found = surveys.run(
        _target(where, rtu, baud, parity), lambda s: surveys.dumped(s, numbers, span), timeout_s=timeout_ms / 1000
    )
    if not found:
        raise ShellError("no register answers", which=where, attempt="prewatt meters scan")
    file.write_text(json.dumps({"schema": SCHEMA, "units": found}, indent=1) + "\n", encoding="utf-8")
    count = sum(len(text) // 4 for one in found for runs in one["registers"].values() for text in runs.values())
    emit(Result("meters dump", {"file": str(file), "units": [one["unit"] for one in found], "registers": count}))


@group.command()
def serve(
    file: Annotated[Path, typer.Argument(help="A file of `meters dump`.", exists=True, dir_okay=False)],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="TCP port; 0 = any free one.")] = 5020,
    rtu: Rtu = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Serve dumped registers as Modbus TCP on loopback until interrupted: the meter again, without the meter."""
    import asyncio

    from sim.bank import RegisterBank, load
    from sim.sockets import serve as listen

    bank = RegisterBank(load(file), "rtu" if rtu else "tcp")

    async def forever() -> None:
        served = await listen(bank, port=port)
        emit(Result("meters serve", {"host": served.host, "port": served.port, "units": sorted(bank.units)}))
        try:
            await asyncio.Event().wait()
        finally:
            await served.close()

    asyncio.run(forever())


@group.command()
def tell(
    account: Annotated[str, typer.Argument(help="Whose meter.")],
    order: Annotated[str, typer.Argument(help="keep-power, alarm, of terminals also purchase; each also with -off.")],
    minutes: Annotated[int, typer.Option(min=2, max=240, help="The order is void after so long.")] = 10,
    cuts_by_itself: Annotated[
        bool, typer.Option("--cuts-by-itself", help="purchase: its own credit is set, and the customer was told.")
    ] = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Tell a meter or terminal keep power, arrears alarm or purchase control; a terminal must show it afterwards."""
    from prewatt.doing import do

    given = {"account": account, "order": order, "minutes": minutes, "cuts_by_itself": cuts_by_itself}
    emit(Result("meters tell", do(home, "meters.tell", **given)))


@group.command()
def attribute(
    meter: Annotated[str, typer.Argument(help="Whose; a DLMS meter of this home.")],
    name: Annotated[str, typer.Argument(metavar="CLASS/OBIS/ATTRIBUTE", help="For example 8/0.0.1.0.0.255/2.")],
    value: Annotated[str | None, typer.Option("--set", help="Write this, as JSON or text; octets as 0x hex.")] = None,
    reason: Annotated[str, typer.Option(help="Why it is written; the audit chain keeps it.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Read any attribute of a DLMS meter, or write one and read it back; never what moves supply."""
    from prewatt.doing import do

    asked = {"meter": meter, "attribute": name}
    if value is None:
        emit(Result("meters attribute", do(home, "meters.attribute", **asked)))
    else:
        emit(Result("meters attribute", do(home, "meters.set_attribute", **asked, value=value, reason=reason)))


@group.command("set-clock")
def set_clock(
    meter: Annotated[str, typer.Argument(help="Whose; a DLMS meter of this home.")],
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Set a DLMS meter's clock that is up to a quarter of an hour off, and read it back."""
    from prewatt.doing import do

    emit(Result("meters set-clock", do(home, "meters.set_clock", meter=meter)))


@group.command()
def dial(
    where: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The listening gateway.")],
    terminal: Annotated[str, typer.Option(help="Its address: region and number, as the gateway names it.")],
    points: Annotated[int, typer.Option(min=1, max=64, help="Measuring points.")] = 1,
    load_w: Annotated[int, typer.Option("--load", min=0, max=100_000, help="Watts at each point.")] = 1200,
    zone: Annotated[str, typer.Option(help="The zone that its clock shows.")] = "Asia/Shanghai",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Call a gateway as a simulated Q/GDW 376.1 terminal, until interrupted: to try a home without a terminal."""
    import asyncio

    from prewatt.callers import calling

    caller = calling(where, terminal, points, load_w, zone)
    told = {"terminal": terminal, "calls": where, "points": points, "secret": caller.terminal.password.hex()}
    emit(Result("meters dial", told))
    asyncio.run(caller.forever())


@group.command()
def pretend(
    kind: Annotated[str, typer.Argument(help="dlt645 or p1 (waits there), push (calls there).")],
    where: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Port 0: any free one.")] = "127.0.0.1:0",
    load_w: Annotated[int, typer.Option("--load", min=0, max=60_000, help="Watts that flow.")] = 1200,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Be a simulated DL/T 645 meter, P1 port or pushing meter, until interrupted: to try a home without the device."""
    import asyncio

    from prewatt.callers import pretend as start

    async def forever() -> None:
        made = await start(kind, where, load_w)
        told = {name: getattr(made, name) for name in ("protocol", "model", "serial", "host", "port", "secret")}
        emit(Result("meters pretend", told))
        await made.forever()

    asyncio.run(forever())


def _target(where: str, rtu: bool, baud: int, parity: str) -> "Target":
    from ingest.errors import IngestError
    from ingest.links.targets import target

    if parity not in ("N", "E", "O"):
        raise Usage(f"no parity {parity!r}", which="--parity", attempt="N, E or O")
    try:
        return target(where, rtu=rtu, baud=baud, parity=parity)
    except IngestError as error:
        raise Usage(str(error), which="HOST|SERIAL") from None


def _span(start: int, stop: int) -> tuple[int, int]:
    if stop <= start:
        raise Usage(f"nothing between {start} and {stop}", which="--from, --to")
    return start, stop
