"""`prewatt frames decode`: the contract's shape from HEX, a file and a stream, and keys by their secrets' names."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingest.pushes import profiles
from ingest.wire import ciphering, dlt645
from prewatt.captures import captures
from prewatt.cli import build
from prewatt.errors import BadConfig, Usage

PUSH = profiles()["kamstrup"].examples[0].frame
METER = dlt645.encode(dlt645.Frame("202607140001", 0x91, bytes.fromhex("0001010056341200")))


def run(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(build(), ["frames", "decode", *words, "-o", "json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_hex_gives_the_contracts_shape() -> None:
    found = run(" ".join(PUSH[at : at + 2] for at in range(0, len(PUSH), 2)))
    assert found["schema"] == "prewatt.frames.decode/1"
    assert found["counts"] == {"ok": 1, "flagged": 0, "refused": {}}
    (frame,) = found["frames"]
    assert {k: frame[k] for k in ("offset", "status", "reason", "profile", "meter", "time", "findings")} == {
        "offset": 0,
        "status": "ok",
        "reason": None,
        "profile": "kamstrup",
        "meter": "5706567000000020",
        "time": "2026-03-14T09:00:05Z",
        "findings": [],
    }
    energy = frame["values"][-1]
    assert energy == {
        "obis": "1.1.1.8.0.255",
        "name": "active_energy_import",
        "value": "77452500",
        "unit": "Wh",
        "time": "2026-03-14T09:00:05Z",
    }


def test_a_refusal_is_a_result() -> None:
    found = run(PUSH[:-8])
    assert found["counts"]["refused"] == {"truncated": 1}
    assert found["frames"][0]["raw"] == PUSH[:-8]


def test_files_of_bytes_hex_and_json_lines_say_the_same(tmp_path: Path) -> None:
    raw = bytes.fromhex(PUSH)
    texts = {
        "raw.bin": raw + METER,
        "one.hex": (PUSH + "\n" + METER.hex(" ")).encode(),
        "rows.jsonl": "\n".join(json.dumps({"hex": h}) for h in (PUSH, METER.hex())).encode(),
    }
    seen = []
    for name, data in texts.items():
        (tmp_path / name).write_bytes(data)
        seen.append([f["values"] for f in run("--file", str(tmp_path / name))["frames"]])
    assert seen[0] == seen[1] == seen[2] and len(seen[0]) == 2
    (tmp_path / "day.bin").write_bytes(b"\x00\xff".join([raw, METER] * 600))
    assert run("--stream", str(tmp_path / "day.bin"))["counts"]["ok"] == 1200
    assert run("--stream", str(tmp_path / "one.hex"))["counts"]["ok"] == 2


def test_profile_and_zone_are_forced() -> None:
    assert run(PUSH, "--profile", "kaifa_se")["counts"]["flagged"] == 1
    assert run(PUSH, "--zone", "UTC")["frames"][0]["time"] == "2026-03-14T10:00:05Z"


def test_keys_come_by_the_names_of_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ciphering.Keys(bytes(range(16)), bytes(16))
    plain = bytes.fromhex(PUSH)[12:-3]
    sealed = ciphering.general(ciphering.seal(plain, keys, title=b"PWT00001", counter=1)).hex()
    assert run(sealed)["counts"]["refused"] == {"ciphered_no_key": 1}
    monkeypatch.setenv("PREWATT_SECRET_GUEK", keys.encryption.hex())
    monkeypatch.setenv("PREWATT_SECRET_GAK", keys.authentication.hex())
    assert run(sealed, "--key", "guek", "--auth-key", "gak")["counts"]["ok"] == 1
    assert keys.encryption.hex() not in repr(keys)
    monkeypatch.setenv("PREWATT_SECRET_GUEK", "0011")
    with pytest.raises(BadConfig, match="16 bytes"):
        run(sealed, "--key", "guek")


def test_what_cannot_be_is_said_before_anything_is_read(tmp_path: Path) -> None:
    for words in ((), ("zz",), (PUSH, "--zone", "Mars/Olympus"), (PUSH, "--file", "x")):
        with pytest.raises(Usage):
            run(*words)
    with pytest.raises(BadConfig, match="cannot read"):
        run("--file", str(tmp_path / "none"))


def test_text_that_is_no_hex_stays_text() -> None:
    assert captures(b"/ISK5\r\n") == [b"/ISK5\r\n"]
    for spelled in (b"0x7e, 0xA0", b"[0x7E, 0xA0]", rb"'\x7e\xa0'", b"7e // flag\na0 # format\n", b"7E-A0"):
        assert captures(spelled) == [b"\x7e\xa0"]
    assert captures(b"e6e7000f\ne6e70010") == [bytes.fromhex("e6e7000f"), bytes.fromhex("e6e70010")]
