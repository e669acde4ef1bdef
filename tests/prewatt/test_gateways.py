"""How a gateway of the configuration becomes a link: framing, serial devices, pipelining, TLS files."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ingest.links.modbus import ModbusLink
from ingest.links.rtuline import RtuConnection
from ingest.links.serial import SerialTransport
from prewatt import wiring
from prewatt.config import Config, Gateway, check
from prewatt.describe import _default
from prewatt.errors import BadConfig
from prewatt.home import Home


def configured(tmp_path: Path, *lines: str) -> Config:
    text = "\n".join(["[[gateway]]", 'name = "g1"', *lines])
    return check(text, Home(tmp_path))


def modbus(tmp_path: Path, *lines: str) -> tuple[ModbusLink, Any]:
    config = configured(tmp_path, 'protocol = "modbus"', *lines)
    transport = wiring._transport(config, config.gateway[0])
    kept = cast(Any, SimpleNamespace(fences=None, counters=None))
    link = wiring._modbus(config, config.gateway[0], cast(Any, None), transport, kept)
    assert isinstance(link, ModbusLink)
    return link, transport


def test_a_serial_device_is_rtu_whatever_else_is_asked(tmp_path: Path) -> None:
    lines = ('host = "/dev/ttyUSB0"', "baud = 19200", 'parity = "E"', "pipeline = 8", "gap_ms = 5")
    link, transport = modbus(tmp_path, *lines)
    assert transport == SerialTransport(19200, "E")
    assert isinstance(link._connection, RtuConnection)
    assert (link.depth, link._connection._gap_s) == (1, 0.005)


def test_a_serial_server_is_rtu_in_tcp_and_a_gateway_may_be_pipelined(tmp_path: Path) -> None:
    link, _ = modbus(tmp_path, 'host = "10.0.0.7"', 'framing = "rtu"')
    assert isinstance(link._connection, RtuConnection)
    link, _ = modbus(tmp_path, 'host = "10.0.0.7"', "pipeline = 8")
    assert link.depth == 8
    assert modbus(tmp_path, 'host = "10.0.0.7"')[0].depth == 1


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (('protocol = "modbus"', 'host = "h"', 'framing = "hdlc"'), "modbus has no 'hdlc'"),
        (('protocol = "dlms"', 'host = "h"', 'framing = "rtu"'), "dlms has no 'rtu'"),
        (('protocol = "modbus"', 'host = "/dev/ttyS0"', "tls = true"), "a serial device has no TLS"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadConfig, match=words):
        configured(tmp_path, *lines)


def test_tls_files_that_are_none_name_the_gateway(tmp_path: Path) -> None:
    config = configured(tmp_path, 'protocol = "modbus"', 'host = "h"', "tls = true", 'authority = "nowhere.pem"')
    with pytest.raises(BadConfig, match="TLS files cannot be used") as refused:
        wiring._transport(config, config.gateway[0])
    assert "g1" in refused.value.which


def test_a_default_of_one_or_zero_is_shown_as_a_number() -> None:
    shown = {f.name: _default(f) for f in fields(Gateway)}
    assert (shown["pipeline"], shown["port"], shown["tls"], shown["parity"]) == ("1", "0", "false", '"N"')
