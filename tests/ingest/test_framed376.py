"""Frames of terminals among all the others: what `frames decode` says of them."""

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.framed import Frame
from ingest.frames import FrameReader
from ingest.pushes import profiles
from ingest.wire import dlt645
from ingest.wire import qgdw376 as wire
from ingest.wire import qgdw376_items as items
from ingest.wire.qgdw376 import Afn, Control, address_of, sequence
from ingest.wire.qgdw376_orders import Order, unit
from tests.ingest.test_frames import GOOD
from tests.ingest.test_qgdw376 import CAPTURED, FORWARD, FORWARDED, LOGIN, RESET, raw

KNOWN = profiles()
NAME = "020004660"


def decode(data: bytes, zone: str = "") -> list[Frame]:
    return FrameReader(KNOWN, zone=zone).whole(data)


def up(afn: int, body: str) -> bytes:
    return wire.encode(wire.Frame(Control.TERMINAL_ANSWERS, address_of(NAME), afn, sequence(1), raw(body)))


def shown(frame: Frame) -> dict[str, object]:
    return {value.name: value.value for value in frame.values}


def test_captured_frames_are_named() -> None:
    for text, (name, _, _, fn) in CAPTURED.items():
        (frame,) = decode(raw(text))
        assert (frame.status, frame.kind, frame.meter) == ("ok", "qgdw376", name), text
        detail = frame.findings[0].detail
        if frame.findings[0].code == "no_values" and raw(text)[12] == Afn.LINK:
            assert detail == {1: "login", 3: "heartbeat"}[fn]
        else:
            assert detail == "confirmed" or detail.startswith("request, AFN 00")
    (reset,) = decode(raw(RESET[0]))
    assert (reset.status, reset.reason) == ("refused", "unknown_list") and reset.raw == raw(RESET[0])


def test_the_meter_inside_a_captured_forwarding_is_decoded() -> None:
    asked, answered = decode(raw(FORWARD) + raw(FORWARDED))
    assert asked.meter == answered.meter == "151230011061" and asked.findings[0].code == "no_values"
    assert [(v.obis, v.value, v.unit) for v in answered.values] == [("1.0.1.8.0.255", Decimal(6780), "Wh")]
    assert (asked.kind, answered.kind) == ("qgdw376", "qgdw376")


def test_registers_load_and_states_have_names_units_and_times() -> None:
    (energy,) = decode(up(Afn.CLASS1, "01010110 0509010726 01 9078563412 EEEEEEEEEE"))
    assert energy.meter == f"{NAME}-1" and shown(energy) == {"active_energy_import": Decimal(123_456_789)}
    assert energy.values[0].time == datetime(2026, 7, 1, 1, 5)  # nine on the wall of Shanghai
    (there,) = decode(up(Afn.CLASS1, "01010110 0509010726 00 9078563412"), "UTC")
    assert there.values[0].time == datetime(2026, 7, 1, 9, 5)
    two = up(Afn.CLASS1, "01010110 0509010726 00 9078563412 02010110 0509010726 00 0100000000")
    assert set(shown(decode(two)[0])) == {"active_energy_import_p1", "active_energy_import_p2"}
    load = "01010103 0509010726 458701" + "00" * 29 + "0122 EEEE EEEE 234501" + "00" * 21
    (now,) = decode(up(Afn.CLASS1, load))
    found = shown(now)
    assert found["active_power_import"] == 1874 and found["voltage_l1"] == Decimal("220.1")
    assert found["current_l1"] == Decimal("14.523") and "voltage_l2" not in found
    (state,) = decode(up(Afn.CLASS1, "00001000 05 01 00000002 0000 00002000 02 01 00"))
    assert shown(state) == {"terminal_state": "keep_power alarm purchase_1", "terminal_trips": "remote_2"}
    (clock,) = decode(up(Afn.CLASS1, "00000200 000009016726"))
    assert shown(clock) == {"clock": "2026-07-01T01:00:00Z"}


def test_a_voltage_that_cannot_be_flags_the_frame() -> None:
    load = "01010103 0509010726 458701" + "00" * 29 + "0190 0000 0000" + "00" * 24
    (now,) = decode(up(Afn.CLASS1, load))
    assert now.status == "flagged" and now.findings[0].code == "implausible"


def test_orders_denials_and_silence_are_told() -> None:
    body = unit(0, Order.KEEP_POWER, b"\x04") + unit(1, Order.TRIP, b"\x00")
    order = wire.encode(wire.Frame(Control.SEND, address_of(NAME), Afn.CONTROL, 0x70, body, password=bytes(16)))
    (told,) = decode(order)
    assert [value.value for value in told.values] == ["keep_power", "trip"]
    (no,) = decode(up(Afn.CONFIRM, "00000200"))
    assert no.findings[0].code == "meter_refuses"
    (empty,) = decode(up(Afn.FORWARD, "00000100 1F 0000"))
    assert empty.findings[0].code == "no_values"


def test_it_is_found_among_the_frames_of_all_others() -> None:
    mixed = raw(LOGIN) + b"\x00".join((*GOOD, raw(FORWARDED))) + raw(LOGIN)
    kinds = [frame.kind for frame in decode(mixed) if frame.status != "refused"]
    assert kinds.count("qgdw376") == 3 and {"hdlc", "p1", "dlt645"} <= set(kinds)


@pytest.mark.parametrize("cut", [3, 12, 19])
def test_a_cut_frame_is_a_refusal(cut: int) -> None:
    found = decode(raw(LOGIN)[:cut])
    assert all(frame.status == "refused" for frame in found)
    (bad,) = decode(raw(LOGIN)[:-2] + b"\x00\x16")
    assert bad.reason == "bad_checksum"


@given(st.binary(max_size=80), st.sampled_from([0, 2, 0x0C, 0x0D, 0x10, 5]), st.booleans())
def test_any_units_decode_or_are_refused(body: bytes, afn: int, from_terminal: bool) -> None:
    control = Control.TERMINAL_ANSWERS if from_terminal else Control.SEND
    password = b"" if from_terminal or afn not in wire.GUARDED else bytes(16)
    frame = wire.Frame(control, address_of(NAME), afn, sequence(1), body, password=password)
    found = decode(wire.encode(frame))
    assert found and found[0].status in ("ok", "flagged", "refused")


def test_the_645_layer_alone_stays_what_it_was() -> None:
    energy = dlt645.encode(dlt645.Frame("202607140001", 0x91, bytes.fromhex("0000010056341200")))
    (frame,) = decode(energy)
    assert frame.kind == "dlt645" and items.points(b"\x00\x00\x01\x00") == ((0, 1),)
