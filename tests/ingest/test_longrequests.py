"""SETs and ACTIONs longer than the meter takes: blocks in turn, their answers, and everything that is none."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.drivers.dlms_generic import DRIVER
from ingest.errors import WireRefusal
from ingest.wire import acse, apdu, longrequests
from ingest.wire.axdr import Data, Tag, encode
from ingest.wire.cosem import ClassId, Name, When, pack_time
from ingest.wire.dialogue import Dialogue, State
from ingest.wire.longrequests import Block, Taken
from sim.logicaldevice import Firmware, LogicalDevice
from sim.meters import SimMeter
from tests.ingest.dlms_rig import START, load

CLOCK = Name(ClassId.CLOCK, "0.0.1.0.0.255", 2)
RELAY = Name(ClassId.DISCONNECT_CONTROL, "0.0.96.3.10.255", 1)


def ready(limit: int = 64, services: int = acse.OURS) -> Dialogue:
    dialogue = Dialogue()
    dialogue.open()
    dialogue.receive(
        acse.encode(acse.AssociationResponse(acse.encode_initiate(acse.Initiate(services, limit), answer=True)))
    )
    return dialogue


def meter() -> LogicalDevice:
    device = LogicalDevice(Firmware(DRIVER), SimMeter("70000001", load, START, register_mwh=10**9))
    device.associated = True
    return device


def through(dialogue: Dialogue, device: LogicalDevice, request: bytes) -> tuple[object, int]:
    """Exchange until there is an answer; with the number of APDUs that were sent."""
    sent = 1
    while (step := dialogue.receive(device.answer(request, START))).answer is None:
        request, sent = step.send, sent + 1
    return step.answer, sent


def test_a_long_set_and_a_long_action_arrive_whole_and_in_turn() -> None:
    dialogue, device = ready(limit=longrequests.HEAD + 2), meter()
    stamp = Data(Tag.OCTET_STRING, pack_time(When(START + timedelta(seconds=90), 0)))
    answer, sent = through(dialogue, device, dialogue.set(CLOCK, stamp))
    assert (answer, sent) == (apdu.SetResponse(0xC1, 0), len(encode(stamp)) // 2)
    assert device.meter.skew_s == 90 and dialogue.state is State.READY
    answer, sent = through(dialogue, device, dialogue.action(RELAY, Data(Tag.OCTET_STRING, bytes(30))))
    assert (answer, sent) == (apdu.ActionResponse(0xC2, 0), 16)
    assert device.meter.relay_changes


def test_a_request_leaves_whole_where_it_fits_or_blocks_are_not_offered() -> None:
    stamp = Data(Tag.OCTET_STRING, pack_time(When(START, 0)))
    assert ready(limit=64).set(CLOCK, stamp)[1] == apdu.NORMAL
    assert ready(limit=29, services=acse.OURS & ~acse.Conformance.BLOCK_SET).set(CLOCK, stamp)[1] == apdu.NORMAL
    with pytest.raises(WireRefusal, match="request_too_long"):
        ready(limit=20).set(CLOCK, stamp)


def test_answers_to_other_blocks_and_requests_change_nothing_and_holes_are_refused() -> None:
    dialogue = ready(limit=longrequests.HEAD + 5)
    dialogue.set(CLOCK, Data(Tag.OCTET_STRING, bytes(40)))
    assert dialogue.receive(longrequests.encode_taken(Taken(apdu.SET_ANSWER, 0xC7, 1))).aside == "stale"
    assert dialogue.receive(longrequests.encode_taken(Taken(apdu.SET_ANSWER, 0xC1, 1))).send
    assert dialogue.receive(longrequests.encode_taken(Taken(apdu.SET_ANSWER, 0xC1, 1))).aside == "stale"
    with pytest.raises(WireRefusal, match="block_lost"):
        dialogue.receive(longrequests.encode_taken(Taken(apdu.SET_ANSWER, 0xC1, 3)))


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (longrequests.encode_taken(Taken(apdu.SET_ANSWER, 0xC1, 1, 0)), "not sent"),
        (apdu.encode(apdu.SetResponse(0xC1, 0)), "not sent"),
        (longrequests.encode_taken(Taken(apdu.ACTION_ANSWER, 0xC1, 1)), "tag c7"),
    ],
)
def test_success_before_the_last_block_and_another_service_s_answer_are_refused(said: bytes, word: str) -> None:
    dialogue = ready(limit=longrequests.HEAD + 5)
    dialogue.set(CLOCK, Data(Tag.OCTET_STRING, bytes(40)))
    with pytest.raises(WireRefusal, match=word):
        dialogue.receive(said)


def test_a_meter_may_refuse_at_any_block() -> None:
    dialogue = ready(limit=longrequests.HEAD + 5)
    dialogue.set(CLOCK, Data(Tag.OCTET_STRING, bytes(40)))
    denied = longrequests.encode_taken(Taken(apdu.SET_ANSWER, 0xC1, 1, 3))
    assert dialogue.receive(denied).answer == apdu.SetResponse(0xC1, 3)
    assert dialogue.state is State.READY


def test_a_meter_that_misses_a_block_says_so_and_starts_afresh() -> None:
    device = meter()
    blocks = longrequests.split(apdu.SET, 0xC1, CLOCK, bytes(40), longrequests.HEAD + 5)
    assert device.answer(longrequests.encode(blocks[0]), START)[1] == 2
    assert device.answer(longrequests.encode(blocks[2]), START)[0] == apdu.EXCEPTION
    assert device.answer(longrequests.encode(blocks[3]), START)[0] == apdu.EXCEPTION


blocks = st.builds(
    Block,
    st.sampled_from([apdu.SET, apdu.ACTION]),
    st.integers(0, 255),
    st.sampled_from([None, CLOCK, RELAY]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=300),
)


@given(blocks)
def test_blocks_come_back_as_they_were(block: Block) -> None:
    assert longrequests.decode(longrequests.encode(block)) == block


@given(
    st.binary(max_size=40),
    st.sampled_from([b"", b"\xc1\x02", b"\xc1\x03", b"\xc3\x04", b"\xc3\x06", b"\xc5\x02", b"\xc7\x04"]),
)
def test_bytes_raise_nothing_but_refusals(junk: bytes, head: bytes) -> None:
    for work in (longrequests.decode, longrequests.decode_taken):
        try:
            work(head + junk)
        except WireRefusal as refusal:
            assert refusal.reason
