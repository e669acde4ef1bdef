"""Modbus framing: byte at a time, with hostile bytes, and against captured traffic that another parser has read."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.links.requests import read_request, write_request
from ingest.model import Encoding, Quantity, Register
from ingest.wire.modbus import Frame, Refusal, TcpFramer, adu, check
from ingest.wire.registers import decode
from tests.ingest.capture import segments

REPLY = adu(7, 17, bytes.fromhex("030400010002"))


def test_requests_are_what_the_specification_prints() -> None:
    # Application Protocol V1.1b3: examples of 6.3, 6.5, 6.6 and 6.12
    assert read_request(3, 0x006B, 3).hex() == "03006b0003"
    assert write_request(5, 0x00AC, (0xFF00,)).hex() == "0500acff00"
    assert write_request(5, 0x00AC, (0x0000,)).hex() == "0500ac0000"
    assert write_request(6, 0x0001, (3,)).hex() == "0600010003"
    assert write_request(16, 0x0001, (0x000A, 0x0102)).hex() == "100001000204000a0102"
    assert adu(0x1501, 0xFF, bytes.fromhex("03006b0003")).hex() == "150100000006ff03006b0003"


def test_a_frame_comes_out_whole_one_byte_at_a_time_and_with_trailing_data() -> None:
    framer = TcpFramer()
    frames = [frame for byte in REPLY + REPLY[:5] for frame in framer.feed(bytes([byte]))]
    assert frames == [Frame(7, 17, bytes.fromhex("030400010002"))]
    assert framer.half
    assert framer.feed(REPLY[5:] + REPLY) == frames * 2
    assert not framer.half


@pytest.mark.parametrize("head", ["0001 0001 0006 01 03", "0001 0000 0001 01 03", "0001 0000 00ff 01 03"])
def test_a_broken_header_breaks_the_stream_for_good(head: str) -> None:
    framer = TcpFramer()
    assert framer.feed(REPLY + bytes.fromhex(head.replace(" ", ""))) == [Frame(7, 17, REPLY[7:])]
    assert framer.broken == "bad_frame"
    assert framer.feed(REPLY) == []


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_anything_may_come_and_memory_stays_bounded(chunks: list[bytes]) -> None:
    framer = TcpFramer()
    for chunk in chunks:
        for frame in framer.feed(chunk):
            assert 1 <= len(frame.pdu) <= 253
        assert len(framer._held) <= 260


@given(st.binary(min_size=0, max_size=260), st.sampled_from([1, 2, 3, 4]), st.integers(1, 100))
def test_a_check_gives_the_asked_bytes_or_a_named_refusal(response: bytes, function: int, count: int) -> None:
    answer = check(read_request(function, 0, count), response)
    if isinstance(answer, bytes):
        assert len(answer) == (2 * count if function > 2 else (count + 7) // 8)
    else:
        assert answer.reason


@pytest.mark.parametrize(
    ("request_hex", "response_hex", "reason"),
    [
        ("0300000002", "0302aabb", "bad_count"),
        ("0300000002", "0304aabbcc", "bad_count"),
        ("0300000002", "0304aabbccddee", "bad_count"),
        ("0300000002", "0404aabbccdd", "bad_answer"),
        ("0300000002", "8302", "exception_illegal_address"),
        ("0300000002", "830b", "exception_gateway_no_response"),
        ("0300000002", "8363", "exception_unknown"),
        ("0300000002", "83", "exception_unknown"),
        ("0300000002", "", "bad_answer"),
        ("06001a0001", "06001a0000", "bad_answer"),
        ("06001a0001", "06001b0001", "bad_answer"),
        ("10001a0001020001", "10001a0002", "bad_answer"),
    ],
)
def test_refusals_are_named(request_hex: str, response_hex: str, reason: str) -> None:
    answer = check(bytes.fromhex(request_hex), bytes.fromhex(response_hex))
    assert isinstance(answer, Refusal)
    assert answer.reason == reason


def test_good_echoes_pass() -> None:
    assert check(bytes.fromhex("06001a0001"), bytes.fromhex("06001a0001")) == bytes.fromhex("001a0001")
    assert check(bytes.fromhex("10001a0001020001"), bytes.fromhex("10001a0001")) == bytes.fromhex("001a0001")


def _exchanges(path: Path, chunk: int) -> list[tuple[Frame, Frame]]:
    """Requests and their responses by connection and transaction, cut into pieces of ``chunk`` bytes."""
    framers: dict[tuple[object, ...], TcpFramer] = {}
    asked: dict[tuple[object, ...], Frame] = {}
    pairs = []
    for segment in segments(path):
        framer = framers.setdefault((segment.source, segment.target), TcpFramer())
        for at in range(0, len(segment.payload), chunk):
            for frame in framer.feed(segment.payload[at : at + chunk]):
                client = segment.source if segment.request else segment.target
                key = (client, frame.tid, frame.unit)
                if segment.request:
                    asked[key] = frame
                elif key in asked:
                    pairs.append((asked.pop(key), frame))
    assert not any(framer.broken for framer in framers.values())
    return pairs


@pytest.mark.shared
@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_captured_reads_decode_to_what_another_parser_printed(shared: Path, chunk: int) -> None:
    folder = shared / "data/modbus/pcap"
    log = (folder / "icsnpp_modbus_detailed.log").read_text().splitlines()
    oracle = {}
    for row in (line.split("\t") for line in log if not line.startswith("#")):
        if row[8].startswith("READ_") and row[12] != "-":
            oracle[int(row[6]), int(row[7])] = (row[8], row[9], [int(v) for v in row[12].split(",")])
    seen = 0
    for request, response in _exchanges(folder / "icsnpp_modbus_example.pcap", chunk):
        key = (request.tid, request.unit)
        if key not in oracle or request.pdu[0] > 4:
            continue
        name, _, values = oracle[key]
        data = check(request.pdu, response.pdu)
        assert isinstance(data, bytes), (name, data)
        count = int.from_bytes(request.pdu[3:5], "big")
        if request.pdu[0] > 2:
            found = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
        else:
            found = [data[at // 8] >> at % 8 & 1 for at in range(count)]
        assert found == values[:count], name
        seen += 1
    assert seen == 8


@pytest.mark.shared
def test_every_capture_frames_without_loss(shared: Path) -> None:
    folder = shared / "data/modbus/pcap"
    counts = {path.name: len(_exchanges(path, 3)) for path in sorted(folder.glob("*.pcap"))}
    assert counts["icsnpp_modbus_example.pcap"] >= 20
    assert counts["modbusSmall.pcap"] > 0
    exceptions = [
        check(request.pdu, response.pdu)
        for request, response in _exchanges(folder / "icsnpp_modbus_example.pcap", 4096)
    ]
    assert "exception_illegal_address" in [answer.reason for answer in exceptions if isinstance(answer, Refusal)]


@pytest.mark.shared
def test_exchanges_quoted_by_others_give_their_values(shared: Path) -> None:
    volts = Register(Quantity.VOLTAGE, 4, 0, Encoding.FLOAT32)
    for line in (shared / "data/modbus/rtu_snippets.jsonl").read_text().splitlines():
        row = json.loads(line)
        if "response" in row:
            response = bytes.fromhex(row["response"])[1:-2]
        else:  # one glitch byte before and after the frame
            response = bytes.fromhex(row["bytes_on_wire"])[2:-3]
        data = check(read_request(4, 0, 2), response)
        assert isinstance(data, bytes)
        assert decode(volts, data) == round(row["float"])
