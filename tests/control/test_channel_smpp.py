"""SMS over SMPP 3.4: one byte at a time, receipts, refusals, a centre that hangs up."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import smpp
from control.channels import kinds
from control.channels.smpp import SmppOut
from control.ports import ChannelError
from control.records import Notice
from control.smpp import Message, Pdu, Reader, SmppError
from control.text import BASIC, EXTENDED
from tests.peers.smsc import MessageCentre

NOW = datetime(2026, 3, 1, 8)
PHONE = "+8613800000000"
NOTICE = Notice("n-1", "A1", 1, "hours.24", "customer", "smpp", PHONE, "zh", "warning", {}, NOW, text="余额 3.20")
# submit_sm written down by hand after 4.4.1: sender Power, to 4477, GSM text "hi"
SUBMIT = bytes.fromhex(
    "0000002c 00000004 00000000 00000007  00  0500506f77657200  00013434373700  000000 00 00  01000000  026869"
)


def test_a_submit_stands_as_the_specification_says() -> None:
    coding, data = smpp.said("hi")
    made = Pdu(smpp.SUBMIT_SM, 0, 7, Message("Power", "4477", coding, data).encode()).encode()
    assert made == SUBMIT


@given(st.text("".join(BASIC + EXTENDED), max_size=80) | st.text(st.characters(codec="utf-16-be"), max_size=70))
def test_whatever_is_said_comes_back_one_byte_at_a_time(text: str) -> None:
    coding, data = smpp.said(text)
    sent = Pdu(smpp.SUBMIT_SM, 0, 7, Message("Power", PHONE, coding, data).encode())
    reader = Reader()
    found = [pdu for byte in sent.encode() * 2 for pdu in reader.feed(bytes((byte,)))]
    assert found == [sent, sent]
    back = Message.decode(found[0].body)
    assert (back.source, "+" + back.destination, back.coding) == ("Power", PHONE, coding)
    if coding == smpp.UCS2:
        assert back.data.decode("utf-16-be") == text


@given(st.binary(max_size=60))
def test_noise_is_an_error_of_its_own_and_no_other(noise: bytes) -> None:
    try:
        for pdu in Reader().feed(noise):
            Message.decode(pdu.body)
        Message.decode(noise)
    except SmppError:
        pass


def test_a_receipt_says_what_became_of_it() -> None:
    said = {"DELIVRD": "delivered", "UNDELIV": "failed", "EXPIRED": "failed", "ENROUTE": "pending"}
    for word, state in said.items():
        text = f"id:a7 sub:001 dlvrd:001 stat:{word} err:000 text:x".encode()
        assert smpp.receipt_of(Message("1", "2", 0, text, smpp.RECEIPT)) == ("a7", state)
    assert smpp.receipt_of(Message("1", "2", 0, b"id:a7 stat:DELIVRD")) is None, "a customer's own words"


def with_centre(centre: MessageCentre, story: Callable[[SmppOut], Awaitable[None]]) -> None:
    async def run() -> None:
        await centre.start()
        given = {"server": f"127.0.0.1:{centre.port}", "system_id": "prewatt", "source": "Power", "tls": "none"}
        out = kinds()["smpp"].make({**given, "password": "sms"}, lambda name: {"sms": b"secret"}[name])
        assert isinstance(out, SmppOut)
        try:
            await story(out)
        finally:
            await out.close()
            await centre.stop()

    asyncio.run(run())


@pytest.mark.sockets
@pytest.mark.parametrize("chunk", [1, 4096])
def test_what_a_phone_took_is_delivered_and_what_it_never_took_failed(chunk: int) -> None:
    centre = MessageCentre(off=frozenset({"8613900000000"}), chunk=chunk)

    async def story(out: SmppOut) -> None:
        first = await out.send(NOTICE, NOW)
        second = await out.send(replace(NOTICE, address="+8613900000000", text="Balance 3.20"), NOW)
        assert [(await out.receipt(one, NOW)).state for one in (first, second)] == ["delivered", "failed"]
        assert (await out.receipt("m-9", NOW)).state == "pending"

    with_centre(centre, story)
    assert [(one.destination, one.coding) for one in centre.taken] == [("8613800000000", 8), ("8613900000000", 0)]
    assert centre.taken[0].data.decode("utf-16-be") == "余额 3.20" and centre.binds == 1


@pytest.mark.sockets
def test_a_wrong_number_is_permanent_and_a_busy_centre_or_a_broken_line_is_tried_again() -> None:
    centre = MessageCentre(wrong=frozenset({"99"}), busy=1)

    async def story(out: SmppOut) -> None:
        for address, permanent in ((PHONE, False), ("+99", True), ("nobody", True)):
            with pytest.raises(ChannelError) as failed:
                await out.send(replace(NOTICE, address=address), NOW)
            assert failed.value.permanent is permanent, failed.value.reason
        centre.cut = 1
        with pytest.raises(ChannelError, match="smpp_ConnectionError") as failed:
            await out.send(NOTICE, NOW)
        assert not failed.value.permanent
        assert await out.send(NOTICE, NOW), "bound anew"
        out.password = "other"
        await out.close()
        with pytest.raises(ChannelError, match="smpp_bind_0000000e"):
            await out.send(NOTICE, NOW)

    with_centre(centre, story)
    assert centre.binds == 3
