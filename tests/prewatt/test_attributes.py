"""Attributes of a DLMS meter over a real loopback socket, by the command line: read, written, and what is refused."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ingest.wire.axdr import Data, Tag
from ingest.wire.plaindata import like, plain
from prewatt.actions.attributes import change
from prewatt.errors import Usage
from sim.concentrator import SECRET, Concentrator
from sim.meters import SimMeter
from sim.sockets import serve
from tests.prewatt.conftest import Run
from tests.prewatt.test_dialling import HostTime

MESSAGE = "1/0.0.96.13.0.255/2"


@pytest.fixture
def meter() -> Iterator[tuple[SimMeter, int]]:
    """A meter behind a socket of its own thread."""
    clock, loop = HostTime(), asyncio.new_event_loop()
    metal = SimMeter("70000001", lambda _: 1200, clock.now() - timedelta(hours=2), register_mwh=5 * 10**6)
    served = loop.run_until_complete(serve(Concentrator(clock, {1: metal})))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield metal, served.port
    asyncio.run_coroutine_threadsafe(served.close(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.mark.sockets
def test_an_attribute_is_read_and_written_and_never_what_moves_supply(
    home: Path, run: Run, meter: tuple[SimMeter, int], tmp_path: Path
) -> None:
    metal, port = meter
    config = home / "prewatt.toml"
    gateway = f'\n[[gateway]]\nname = "c1"\nprotocol = "dlms"\nhost = "127.0.0.1"\nport = {port}\nsecret = "lls"\n'
    config.write_text(config.read_text(encoding="utf-8") + gateway, encoding="utf-8")
    (home / "secrets").mkdir(exist_ok=True, mode=0o700)
    (home / "secrets" / "lls").write_bytes(SECRET)
    (home / "secrets" / "lls").chmod(0o600)
    file = tmp_path / "one.csv"
    file.write_text("account,meter,gateway,model,serial,unit,secret\nA1,M1,c1,dlms_generic,70000001,1,lls\n", "utf-8")
    assert run("accounts", "import", file, "-o", "json").code == 0

    read = run("meters", "attribute", "M1", "3/1.0.1.8.0.255/2", "-o", "json")
    assert (read.json["type"], read.json["value"]) == ("double_long_unsigned", metal.register_wh), read.err
    done = run("meters", "attribute", "M1", MESSAGE, "--set", "balance 12.50", "--reason", "test", "-o", "json")
    assert (done.json["before"], done.json["value"]) == ("0x", "balance 12.50")
    assert metal.message == b"balance 12.50"
    for attribute, value, says in (
        ("3/1.0.1.8.0.255/2", "7", "read_write_denied"),
        ("3/1.0.1.8.0.255/2", "seven", "a whole number is wanted"),
    ):
        refused = run("meters", "attribute", "M1", attribute, "--set", value, "--reason", "test", "-o", "json")
        assert refused.code != 0 and says in refused.err, (attribute, refused.err)
    metal.skew_s = 300
    assert run("meters", "set-clock", "M1", "-o", "json").json["clock"] == "right" and abs(metal.skew_s) <= 3
    metal.skew_s = 3000
    refused = run("meters", "set-clock", "M1", "-o", "json")
    assert refused.code != 0 and "drift" in refused.err and metal.skew_s == 3000
    told = run("sql", "select action from audit where action like 'meter.attribute%' order by seq", "-o", "json")
    assert [row["action"] for row in told.json["rows"]][:2] == ["meter.attribute.asked", "meter.attribute.set"]


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("70/0.0.96.3.10.255/4", "with every guard"),
        ("71/0.0.17.0.0.255/4", "a limit goes through a command"),
        ("22/0.0.15.0.1.255/4", "a schedule can move supply"),
        ("15/0.0.40.0.0.255/7", "not shown"),
        ("21/0.0.16.1.0.255/4", "it may move supply"),
        ("111/0.0.19.0.0.255/2", "it may move supply"),
        ("1/0.0.96.3.1.255/2", "a control signal"),
        ("1/0.0.199.3.1.255/2", "the maker's own"),
        ("nonsense", "no attribute"),
        (MESSAGE, "why"),
    ],
    ids=[
        "relay",
        "limiter",
        "schedule",
        "secret",
        "monitor",
        "prepayment",
        "signal",
        "makers",
        "no_attribute",
        "no_reason",
    ],
)
def test_what_is_refused_is_refused_before_any_meter_is_asked(attribute: str, says: str) -> None:
    asked = {"meter": "M1", "attribute": attribute, "value": "1", "reason": "" if attribute == MESSAGE else "test"}
    try:
        asyncio.run(change(None, asked))  # type: ignore[arg-type]
    except Usage as refusal:
        said = str(refusal)
    except AttributeError:
        said = "a meter was looked for"
    assert says in said


def test_a_value_takes_the_type_that_stands_there() -> None:
    row = Data(Tag.STRUCTURE, (Data(Tag.OCTET_STRING, b"\x07"), Data(Tag.BOOLEAN, True), Data(Tag.LONG, -3)))
    rows = Data(Tag.ARRAY, (row,))
    assert plain(rows) == [["0x07", True, -3]]
    assert like(rows, plain(rows)) == rows
    assert like(rows, [["ab", False, 1], ["0x00ff", True, 2]]).value[1].value[0].value == b"\x00\xff"  # type: ignore
    for wrong in ([["ab", 1, 1]], [["ab", True]], [["ab", True, "x"]], "x", [[1, True, 1]], [["ab", True, True]]):
        with pytest.raises(ValueError, match="wanted"):
            like(rows, wrong)
    with pytest.raises(ValueError, match="does not show"):
        like(Data(Tag.ARRAY, ()), [1])
