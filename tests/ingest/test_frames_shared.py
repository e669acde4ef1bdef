"""Frames that others captured give the values that others read from them (../shared/data, never copied here)."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.framed import Frame
from ingest.frames import FrameReader
from ingest.pushes import profiles
from ingest.wire import ciphering
from ingest.wire.checksums import fcs_bytes
from prewatt.captures import captures

pytestmark = pytest.mark.shared

IDENTITIES = {"list_ver_id": "list_version", "meter_type": "meter_type"}


def decode(data: bytes, **options: Any) -> list[Frame]:
    return [f for capture in captures(data) for f in FrameReader(profiles(), **options).whole(capture)]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def short(obis: str) -> str:
    a, b, c, d, e, _ = obis.split(".")
    return f"{a}-{b}:{c}.{d}.{e}"


def test_pushes_of_four_makers_give_what_an_independent_decoder_read(shared: Path) -> None:
    count = 0
    for case in lines(shared / "data/dlms/amshan_frames.jsonl"):
        (frame,) = decode(bytes.fromhex(case["hex"]))
        assert frame.status == "ok", case["name"]
        found = {value.name: value.value for value in frame.values}
        for key, wanted in case["amshan_decoded"].items():
            if key in ("meter_manufacturer", "meter_datetime"):
                continue
            if key == "meter_id":
                assert frame.meter == wanted
                continue
            name = IDENTITIES.get(key, key)
            if key.endswith("_total"):
                name = key.removesuffix("_total").replace("_power_", "_energy_")
            value = found[name]
            same = value == wanted if isinstance(wanted, str) else Decimal(str(wanted)) == Decimal(value)
            assert same, (case["name"], key, value, wanted)
            count += 1
    assert count > 150


def test_hdlc_pushes_give_what_another_decoder_read(shared: Path) -> None:
    folder = shared / "data/dlms/node_dsmr_parser"
    for name in ("aidon-example-1", "aidon-example-2", "kamstrup-example-1", "kamstrup-example-2", "slovenia-list-1"):
        (frame,) = decode((folder / f"{name}.txt").read_bytes())
        wanted = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        assert frame.status == "ok" and frame.kind == "hdlc"
        found = {value.name: value.value for value in frame.values}
        electricity = wanted["electricity"]
        assert found["active_power_import"] == electricity["powerReceivedTotal"]
        for kind in ("voltage", "current"):
            for phase, value in electricity.get(kind, {}).items():
                assert found[f"{kind}_{phase}"] == Decimal(repr(round(value, 3))), (name, kind, phase)
        if "total" in electricity:
            assert found["active_energy_import"] == electricity["total"]["received"]
    (bad,) = decode((folder / "described-list.txt").read_bytes())
    assert bad.reason == "bad_checksum"  # its FCS was not renewed when the meter was made anonymous


def test_a_described_list_without_its_last_values_is_cut(shared: Path) -> None:
    """The same frame with its FCS counted anew names 28 objects and brings 25 values: nothing of it is believed."""
    raw = captures((shared / "data/dlms/node_dsmr_parser/described-list.txt").read_bytes())[0]
    (frame,) = decode(raw[:-3] + fcs_bytes(raw[1:-3]) + b"\x7e")
    assert (frame.status, frame.reason) == ("refused", "truncated")


def test_ciphered_m_bus_opens_with_the_key_that_stands_beside_it(shared: Path) -> None:
    folder = shared / "data/dlms/node_dsmr_parser"
    text = (folder / "austria-example-1.txt").read_text(encoding="utf-8")
    key = bytes.fromhex(text.split()[-1])
    refused, _ = decode(text.encode())
    assert (refused.reason, refused.kind) == ("ciphered_no_key", "mbus")
    opened, _ = decode(text.encode(), keys=ciphering.Keys(key))
    (plain,) = decode((folder / "austria-decrypted-1.txt").read_bytes())
    assert opened.status == plain.status == "ok" and len(plain.values) == 11
    assert [(v.obis, v.unit) for v in opened.values] == [(v.obis, v.unit) for v in plain.values]


def test_the_known_answer_of_the_green_book(shared: Path) -> None:
    (case,) = json.loads((shared / "data/dlms/security_kat.json").read_text(encoding="utf-8"))
    keys = ciphering.Keys(bytes.fromhex(case["ek"]), bytes.fromhex(case["ak"]))
    title, counter = bytes.fromhex(case["system_title"]), int(case["invocation_counter"], 16)
    sealed = ciphering.seal(bytes.fromhex(case["plain"]), keys, title=title, counter=counter)
    assert sealed.body.hex().upper() == case["cipher_and_tag"]
    assert ciphering.unseal(sealed, keys).hex().upper() == case["plain"]


def test_hdlc_edge_frames_check(shared: Path) -> None:
    for case in lines(shared / "data/dlms/amshan_hdlc_edge.jsonl"):
        (frame,) = decode(b"\x7e" + bytes.fromhex(case["hex"]) + b"\x7e")
        assert frame.kind == "hdlc" and frame.reason in ("", "unknown_list"), case["name"]


def test_dl_t_645_frames_give_the_values_beside_them(shared: Path) -> None:
    for case in lines(shared / "data/dlt645/frames.jsonl"):
        (frame,) = decode(bytes.fromhex(case["hex"]))
        if not case["checksum_ok"]:
            assert frame.reason == "bad_checksum"
            continue
        assert (frame.status, frame.meter) == ("ok", case["addr"])
        if "value" in case:
            scale = 1000 if case["unit"] == "kWh" else 1
            assert [(v.value, v.unit) for v in frame.values] == [
                (Decimal(str(case["value"])) * scale, case["unit"].removeprefix("k"))
            ]
        if "relay_command" in case:
            assert [v.value for v in frame.values] == ["permit"]


def test_p1_telegrams_give_what_another_decoder_read(shared: Path) -> None:
    folder = shared / "data/p1"
    checked = 0
    for path in sorted(folder.glob("node_*.json")):
        wanted = json.loads(path.read_text(encoding="utf-8"))
        (frame,) = decode(path.with_suffix(".txt").read_bytes())
        crc = wanted["dsmr"].get("crc")
        if crc is not None and not crc["valid"]:
            assert frame.reason == "bad_checksum", path.name
            continue
        assert frame.status in ("ok", "flagged"), path.name
        found = {value.name: value.value for value in frame.values}
        for tariff, ways in wanted["electricity"]["tariffs"].items():
            assert found[f"active_energy_import_t{tariff}"] == ways["received"]
            assert found[f"active_energy_export_t{tariff}"] == ways["returned"]
            checked += 1
        assert found["active_power_import"] == wanted["electricity"]["powerReceivedTotal"]
    assert checked >= 6


def test_p1_telegrams_of_real_meters_check(shared: Path) -> None:
    folder = shared / "data/p1"
    for path in [*folder.glob("amshan_*.txt"), *folder.glob("dsmrparser_*.txt")]:
        frame = decode(path.read_bytes())[0]
        assert frame.status == "ok" and frame.values, path.name


def test_a_raw_serial_capture_gives_every_telegram(shared: Path) -> None:
    raw = (shared / "data/p1/dsmr_tools_ttyUSB0_head.txt").read_bytes()
    found = decode(raw)
    assert [f.reason for f in found] == ["truncated"] + [""] * 81
    stamps = [f.time for f in found[1:] if f.time is not None]
    assert stamps == sorted(stamps) and len(stamps) == 81
    here = FrameReader(profiles())
    pieces = [f for at in range(0, len(raw), 97) for f in here.feed(raw[at : at + 97])] + here.close()
    assert pieces == found
