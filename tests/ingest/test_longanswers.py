"""Long answers in blocks, general block transfers, SETs with list: whole and in turn, and everything that is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import WireRefusal
from ingest.wire import acse, apdu, listed
from ingest.wire.assembly import Block, block_bytes, parse_block
from ingest.wire.axdr import Data, Tag
from ingest.wire.cosem import Name
from ingest.wire.dialogue import Dialogue, State
from ingest.wire.longanswers import P_BLOCK, Transfer, p_block, transfer
from sim.logicaldevice import MESSAGE, LogicalDevice
from tests.ingest.dlms_rig import START
from tests.ingest.test_longrequests import CLOCK, RELAY, meter, ready

SERIAL = Name(1, "0.0.96.1.0.255", 2)
LONG = Data(Tag.OCTET_STRING, bytes(range(200)))
RESULT = apdu.encode(apdu.ActionResponse(0xC1, 0, LONG))[3:]


def test_an_action_whose_answer_comes_in_blocks_is_whole() -> None:
    dialogue = ready()
    dialogue.action(RELAY)
    pieces = [RESULT[at : at + 50] for at in range(0, len(RESULT), 50)]
    for number, piece in enumerate(pieces, 1):
        step = dialogue.receive(p_block(0xC1, number, piece, last=number == len(pieces)))
        if number < len(pieces):
            assert step.send == bytes([apdu.ACTION, P_BLOCK, 0xC1]) + number.to_bytes(4, "big") and step.answer is None
            assert dialogue.receive(p_block(0xC1, number, piece, last=False)).aside == "stale"
    assert step.answer == apdu.ActionResponse(0xC1, 0, LONG) and dialogue.state is State.READY


def test_a_hole_in_an_action_s_answer_loses_it_and_another_request_s_block_is_put_aside() -> None:
    dialogue = ready()
    dialogue.action(RELAY)
    assert dialogue.receive(p_block(0xC7, 1, b"x", last=True)).aside == "stale"
    with pytest.raises(WireRefusal, match="block_lost"):
        dialogue.receive(p_block(0xC1, 2, b"x", last=True))


class Transferring:
    """A meter that sends every answer by general block transfer."""

    def __init__(self, device: LogicalDevice, size: int, window: int) -> None:
        self.device, self.size, self.window = device, size, window
        device._limit = 1024
        self.blocks: list[bytes] = []

    def answer(self, raw: bytes) -> list[bytes]:
        """The blocks of the next window."""
        if raw[:1] == bytes([apdu.GENERAL_BLOCK]):
            done = parse_block(raw).acknowledged
        else:
            self.blocks, done = transfer(self.device.answer(raw, START), self.size, window=self.window), 0
        return self.blocks[done : done + self.window]


@given(st.integers(1, 40), st.integers(1, 5), st.sets(st.integers(1, 30), max_size=6), st.booleans())
def test_a_transfer_is_whole_with_blocks_lost_and_repeated(size: int, window: int, lost: set[int], twice: bool) -> None:
    dialogue, device = ready(), Transferring(meter(), size, window)
    queue, seen = device.answer(dialogue.get(SERIAL)), 0
    for _ in range(200):
        if not queue:
            queue = [block_bytes(Block(99, 0, last=False, streaming=False, window=1, payload=b""))]  # wakes the client
        block = queue.pop(0)
        seen += 1
        if seen in lost:
            continue
        step = dialogue.receive(block)
        if twice and step.answer is None:
            assert dialogue.receive(block).answer is None
        if step.answer is not None:
            break
        if step.send:
            queue = device.answer(step.send)
    assert step.answer == apdu.GetResponse(0xC1, Data(Tag.OCTET_STRING, b"70000001"))


def test_a_transfer_in_a_transfer_is_refused_and_a_late_one_answers_nothing() -> None:
    dialogue = ready()
    dialogue.get(SERIAL)
    (inner,) = transfer(b"\xc4\x01\xc1\x00\x11\x05", 40)
    with pytest.raises(WireRefusal, match="bad_block"):
        dialogue.receive(transfer(inner, 40)[0])
    dialogue = ready()
    dialogue.get(SERIAL)
    first, second = transfer(apdu.encode(apdu.GetResponse(0xC1, LONG)), 150)
    dialogue.receive(first)
    dialogue.give_up()
    dialogue.open()
    assert dialogue.receive(second).answer is None


@given(st.binary(max_size=60))
def test_no_block_raises_anything_but_a_refusal(junk: bytes) -> None:
    for work in (Transfer().take, listed.decode, listed.decode_answer, ready().receive):
        try:
            work(bytes([apdu.GENERAL_BLOCK]) + junk)
            work(bytes([apdu.ACTION_ANSWER, P_BLOCK]) + junk)
            work(bytes([apdu.SET, listed.WITH_LIST]) + junk)
            work(bytes([apdu.SET_ANSWER, listed.LISTED]) + junk)
        except WireRefusal as refusal:
            assert refusal.reason


def test_a_set_with_list_says_for_each_what_became_of_it() -> None:
    dialogue, device = ready(), meter()
    pairs = ((MESSAGE, Data(Tag.OCTET_STRING, b"hello")), (SERIAL, Data(Tag.OCTET_STRING, b"x")))
    request = dialogue.set_list(pairs)
    assert listed.decode(request) == listed.SetList(0xC1, pairs)
    step = dialogue.receive(device.answer(request, START))
    assert step.answer == listed.SetListResponse(0xC1, (0, apdu.Result.READ_WRITE_DENIED))
    assert device.meter.message == b"hello" and dialogue.state is State.READY
    dialogue.set_list(pairs)
    assert dialogue.receive(listed.encode_answer(listed.SetListResponse(0xC7, (0, 0)))).aside == "stale"
    with pytest.raises(WireRefusal, match="1 results for 2"):
        dialogue.receive(listed.encode_answer(listed.SetListResponse(0xC2, (0,))))


def test_the_client_offers_to_take_a_transfer() -> None:
    request = acse.decode(Dialogue().open())
    assert isinstance(request, acse.AssociationRequest)
    offered = acse.decode_initiate(request.user_information).conformance
    assert offered & acse.Conformance.GENERAL_BLOCK_TRANSFER and offered & acse.Conformance.BLOCK_GET
    assert CLOCK.number == 2
