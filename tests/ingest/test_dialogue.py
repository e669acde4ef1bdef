"""One association step by step: what is taken for an answer, what is put aside, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import WireRefusal
from ingest.wire import acse, apdu
from ingest.wire.axdr import Data, Tag, encode
from ingest.wire.cosem import Name
from ingest.wire.dialogue import TRANSITIONS, Dialogue, Event, IllegalStep, Raw, State, Step

ENERGY = Name(3, "1.0.1.8.0.255", 2)
AARE = acse.encode(acse.AssociationResponse(acse.encode_initiate(acse.Initiate(), answer=True)))
VALUE = Data(Tag.DOUBLE_LONG_UNSIGNED, 4820)


def ready(secret: bytes | None = None) -> Dialogue:
    dialogue = Dialogue(secret)
    dialogue.open()
    dialogue.receive(AARE)
    assert dialogue.state is State.READY
    return dialogue


def invoke_of(request: bytes) -> int:
    return request[2]


def answer(request: bytes, value: Data = VALUE) -> bytes:
    return apdu.encode(apdu.GetResponse(invoke_of(request), value))


def test_the_table_names_only_states_and_every_state_can_be_given_up() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {after for arrows in TRANSITIONS.values() for after in arrows.values()} == set(State)
    assert all(arrows[Event.GIVE_UP] is State.IDLE for arrows in TRANSITIONS.values())


def test_opening_sends_the_secret_and_keeps_what_was_agreed() -> None:
    dialogue = Dialogue(b"12345678")
    request = acse.decode(dialogue.open())
    assert isinstance(request, acse.AssociationRequest)
    assert (request.mechanism, request.secret) == (acse.Mechanism.LLS, b"12345678")
    assert isinstance(dialogue.receive(AARE).answer, acse.AssociationResponse)
    assert dialogue.offers(acse.Conformance.SELECTIVE_ACCESS)
    assert not dialogue.offers(acse.Conformance.DATA_NOTIFICATION)


def test_a_rejection_leaves_nothing_associated() -> None:
    dialogue = Dialogue(b"wrong")
    dialogue.open()
    step = dialogue.receive(acse.encode(acse.AssociationResponse(b"", result=1, diagnostic=13)))
    assert isinstance(step.answer, acse.AssociationResponse) and step.answer.diagnostic == 13
    assert dialogue.state is State.IDLE
    with pytest.raises(IllegalStep, match="ASK in IDLE"):
        dialogue.get(ENERGY)


def test_an_answer_needs_the_invoke_id_that_was_asked_with() -> None:
    dialogue = ready()
    request = dialogue.get(ENERGY)
    for number in range(16):
        if number != invoke_of(request) & 0x0F:
            assert dialogue.receive(apdu.encode(apdu.GetResponse(0xC0 | number, VALUE))) == Step(aside="stale")
    assert dialogue.receive(answer(request)).answer == apdu.GetResponse(invoke_of(request), VALUE)
    assert dialogue.receive(answer(request)) == Step(aside="unexpected")


def test_a_push_before_the_answer_is_put_aside() -> None:
    dialogue = ready()
    request = dialogue.get(ENERGY)
    assert dialogue.receive(apdu.encode(apdu.Notification(1, None, VALUE))) == Step(aside="notification")
    assert dialogue.receive(answer(request)).answer is not None


def test_a_given_up_id_is_not_used_again_until_its_answer_came() -> None:
    dialogue = ready()
    lost = dialogue.get(ENERGY)
    dialogue.give_up()
    used = set()
    for _ in range(40):
        dialogue.open()
        dialogue.receive(AARE)
        request = dialogue.get(ENERGY)
        used.add(invoke_of(request) & 0x0F)
        dialogue.receive(answer(request))
        dialogue.receive(dialogue.close() and acse.encode(acse.Release(answer=True)))
    assert invoke_of(lost) & 0x0F not in used and len(used) == 15
    dialogue.open()
    dialogue.receive(AARE)
    dialogue.get(ENERGY)
    assert dialogue.receive(answer(lost)) == Step(aside="stale")
    assert not dialogue.exhausted


def test_when_all_ids_are_lost_the_connection_must_go() -> None:
    dialogue = ready()
    for _ in range(15):
        dialogue.get(ENERGY)
        dialogue.give_up()
        dialogue.open()
        dialogue.receive(AARE)
    assert dialogue.exhausted


def test_an_exception_is_not_taken_while_older_answers_are_under_way() -> None:
    """It carries no invoke-id: after a time-out it may belong to the request that was given up."""
    exception = apdu.encode(apdu.ExceptionResponse(1, 1))
    dialogue = ready()
    dialogue.get(ENERGY)
    assert isinstance(dialogue.receive(exception).answer, apdu.ExceptionResponse)
    dialogue = ready()
    dialogue.get(ENERGY)
    dialogue.give_up()
    dialogue.open()
    dialogue.receive(AARE)
    dialogue.get(ENERGY)
    assert dialogue.receive(exception) == Step(aside="exception")
    assert dialogue.state is State.ASKING


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_blocks_are_joined_in_order(size: int) -> None:
    whole = encode(Data(Tag.OCTET_STRING, bytes(range(50))))
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    dialogue = ready()
    request = dialogue.get(ENERGY)
    for number, piece in enumerate(pieces, 1):
        block = apdu.GetBlock(invoke_of(request), number == len(pieces), number, piece)
        step = dialogue.receive(apdu.encode(block))
        if not block.last:
            assert apdu.decode(step.send) == apdu.GetNext(invoke_of(request), number)
            assert dialogue.receive(apdu.encode(block)) == Step(aside="stale")
    assert step.answer == apdu.GetResponse(invoke_of(request), Data(Tag.OCTET_STRING, bytes(range(50))))


def test_a_lost_block_is_not_glossed_over() -> None:
    dialogue = ready()
    request = dialogue.get(ENERGY)
    dialogue.receive(apdu.encode(apdu.GetBlock(invoke_of(request), False, 1, b"\x09")))
    with pytest.raises(WireRefusal, match="block_lost"):
        dialogue.receive(apdu.encode(apdu.GetBlock(invoke_of(request), True, 3, b"\x00")))


def test_raw_answers_come_undecoded_in_one_piece_or_in_blocks() -> None:
    dialogue = ready()
    request = dialogue.get(ENERGY, raw=True)
    assert dialogue.receive(answer(request)).answer == Raw(encode(VALUE))
    request = dialogue.get(ENERGY, raw=True)
    assert dialogue.receive(apdu.encode(apdu.GetResponse(invoke_of(request) ^ 1, VALUE))) == Step(aside="stale")
    dialogue.receive(apdu.encode(apdu.GetBlock(invoke_of(request), False, 1, b"\x06\x00")))
    step = dialogue.receive(apdu.encode(apdu.GetBlock(invoke_of(request), True, 2, b"\x00\x12\xd4")))
    assert step.answer == Raw(encode(VALUE))
    request = dialogue.get(ENERGY, raw=True)
    denied = apdu.GetResponse(invoke_of(request), apdu.Denied(4))
    assert dialogue.receive(apdu.encode(denied)).answer == denied


def test_an_answer_of_another_kind_is_refused() -> None:
    dialogue = ready()
    request = dialogue.action(Name(70, "0.0.96.3.10.255", 1), Data(Tag.INTEGER, 0))
    with pytest.raises(WireRefusal, match="wrong_answer"):
        dialogue.receive(apdu.encode(apdu.SetResponse(invoke_of(request), 0)))


def test_a_list_in_blocks() -> None:
    results = (VALUE, apdu.Denied(4))
    dialogue = ready()
    request = dialogue.get_list((ENERGY, ENERGY))
    whole = apdu.list_bytes(results)
    dialogue.receive(apdu.encode(apdu.GetBlock(invoke_of(request), False, 1, whole[:4])))
    step = dialogue.receive(apdu.encode(apdu.GetBlock(invoke_of(request), True, 2, whole[4:])))
    assert step.answer == apdu.GetListResponse(invoke_of(request), results)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([AARE, b"\xc4\x01\xc1\x00\x11\x05"])), max_size=12))
def test_any_incoming_bytes_end_in_a_step_or_a_refusal(payloads: list[bytes]) -> None:
    dialogue = Dialogue()
    dialogue.open()
    for payload in payloads:
        try:
            dialogue.receive(payload)
        except WireRefusal:
            dialogue.give_up()
        if dialogue.state is State.IDLE:
            dialogue.open()
        elif dialogue.state is State.READY:
            dialogue.get(ENERGY)
