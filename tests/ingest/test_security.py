"""Security suite 0: what is sealed opens, HLS-GMAC from both sides, replays, counters, keys that never show."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.drivers import drivers
from ingest.errors import WireRefusal
from ingest.model import DlmsDriver
from ingest.records import DriveResult, Poll, RelayState
from ingest.wire import acse, apdu, ciphering
from ingest.wire.ciphering import Keys
from ingest.wire.cosem import Name
from ingest.wire.dialogue import Dialogue, State
from ingest.wire.security import WARN_AT, Lease, Security, Wrap, keys_of
from sim.logicaldevice import Firmware, LogicalDevice
from sim.meters import SimMeter
from sim.secured import SecuredDevice, ServerKeys
from tests.ingest.dlms_rig import HOUR, START, DlmsRig, codes, load

KEYS = Keys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
TITLE = b"PWT\x00\x00\x00\x00\x01"
SERIAL = Name(1, "0.0.96.1.0.255", 2)


def driver(**changes: Any) -> DlmsDriver:
    known = drivers()["dlms_hls"]
    assert isinstance(known, DlmsDriver)
    return replace(known, **changes)


def rig(keys: Keys = KEYS, **changes: Any) -> DlmsRig:
    known = driver(**changes)
    here = DlmsRig(firmware=Firmware(known), keys=KEYS, drivers={"dlms_hls": known})
    here.secrets["lls"] = keys.encryption + keys.authentication
    return here


def poll(here: DlmsRig) -> Poll:
    return here.run(lambda: here.link.poll(here.point(model="dlms_hls"), START))


class Talk:
    """A dialogue and a meter, APDU by APDU."""

    def __init__(self, wrap: Wrap = Wrap.GLO, *, keys: Keys = KEYS) -> None:
        self.dialogue = Dialogue()
        dedicated = bytes(range(0x40, 0x50)) if wrap.dedicated else b""
        self.dialogue.security = Security(keys, TITLE, Lease(5, 1000), b"clientchallenge", wrap, dedicated)
        meter = SimMeter("70000001", load, START)
        self.server = ServerKeys(KEYS)
        self.meter = SecuredDevice(LogicalDevice(Firmware(driver()), meter), self.server)
        self.sent: list[bytes] = []

    def tell(self, request: bytes) -> Any:
        """Send, and answer until there is an answer."""
        while True:
            self.sent.append(request)
            step = self.dialogue.receive(self.meter.answer(request, START))
            if step.answer is not None:
                return step.answer
            request = step.send


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.integers(0, 2**32 - 2), st.sampled_from([0x10, 0x20, 0x30, 0x00]))
def test_what_is_sealed_opens_and_a_changed_bit_does_not(plain: bytes, counter: int, control: int) -> None:
    sealed = ciphering.seal(plain, KEYS, title=TITLE, counter=counter, control=control)
    raw = ciphering.general(sealed)
    assert ciphering.unseal(ciphering.parse(raw), KEYS) == plain
    if control & ciphering.AUTHENTICATED:
        body = sealed.body[:-1] + bytes([sealed.body[-1] ^ 1])
        with pytest.raises(WireRefusal, match="bad_tag"):
            ciphering.unseal(sealed._replace(body=body), KEYS)


@pytest.mark.parametrize("wrap", list(Wrap))
def test_both_sides_prove_themselves_and_nothing_goes_in_plain(wrap: Wrap) -> None:
    talk = Talk(wrap)
    assert talk.tell(talk.dialogue.open()).result == 0
    assert talk.dialogue.state is State.READY
    answer = talk.tell(talk.dialogue.get(SERIAL))
    assert answer.result.value == b"70000001"
    after = talk.sent[1:]
    assert all(raw[0] in apdu.CIPHERED for raw in after) == (wrap is not Wrap.NONE)
    assert all(b"70000001" not in raw for raw in after)


def test_a_wrong_key_is_let_in_by_neither_side() -> None:
    talk = Talk(Wrap.NONE, keys=Keys(bytes(16), KEYS.authentication))
    assert talk.tell(talk.dialogue.open()).diagnostic == 13
    assert talk.dialogue.state is State.IDLE
    honest = Talk()
    honest.server.keys = Keys(bytes(16), bytes(16))
    answer = honest.tell(honest.dialogue.open())
    assert isinstance(answer, apdu.ExceptionResponse)


def test_an_answer_is_taken_once_and_in_plain_never() -> None:
    talk = Talk()
    talk.tell(talk.dialogue.open())
    request = talk.dialogue.get(SERIAL)
    answer = talk.meter.answer(request, START)
    assert talk.dialogue.receive(answer).answer is not None
    talk.dialogue.get(SERIAL)
    with pytest.raises(WireRefusal, match="replayed"):
        talk.dialogue.receive(answer)
    with pytest.raises(WireRefusal, match="unprotected"):
        talk.dialogue.receive(apdu.encode(apdu.GetResponse(0xC1, apdu.Denied(3))))


def test_the_meter_refuses_a_replayed_request() -> None:
    talk = Talk()
    talk.tell(talk.dialogue.open())
    request = talk.dialogue.get(SERIAL)
    talk.meter.answer(request, START)
    again = apdu.decode(talk.meter.answer(request, START))
    assert isinstance(again, apdu.ExceptionResponse) and again.service == 6 and again.counter


def test_a_lease_ends_and_a_counter_never_repeats() -> None:
    lease = Lease(3, 5)
    assert [lease.take(), lease.take()] == [3, 4]
    with pytest.raises(WireRefusal, match="counter_lease"):
        lease.take()
    with pytest.raises(WireRefusal, match="counter_lease"):
        Lease(ciphering.COUNTER_LIMIT, ciphering.COUNTER_LIMIT + 9).take()
    with pytest.raises(ValueError, match="used up"):
        ciphering.seal(b"x", KEYS, title=TITLE, counter=ciphering.COUNTER_LIMIT)


def test_keys_are_read_from_one_secret_and_never_shown() -> None:
    text = (KEYS.encryption + KEYS.authentication).hex().encode()
    assert keys_of(text) == keys_of(KEYS.encryption + KEYS.authentication) == KEYS
    assert keys_of(text[:32] + b":" + text[32:]) == KEYS
    for bad in (b"", b"zz", text[:-2]):
        with pytest.raises(WireRefusal, match="bad_secret") as refused:
            keys_of(bad)
        assert bad.decode() == "" or bad.decode() not in str(refused.value)
    secret = Security(KEYS, TITLE, Lease(0, 1), b"clientchallenge", dedicated=bytes(16))
    for shown in (repr(KEYS), repr(secret)):
        assert (
            "0001020304" not in shown and "d0d1d2" not in shown and "challenge" not in shown.replace("challenge=", "")
        )


@pytest.mark.parametrize("wrap", ["none", "glo", "ded", "general-glo", "general-ded"])
def test_the_link_reads_and_switches_a_ciphered_meter(wrap: str) -> None:
    here = rig(ciphering=wrap)
    point = here.point(model="dlms_hls")

    async def story() -> None:
        await here.clock.sleep(3 * 3600)
        read = await here.link.poll(point, START + 3 * HOUR)
        assert read.findings == () and read.reads
        filled = await here.link.profile(point, START, START + 3 * HOUR)
        assert len(filled.reads) == 3
        assert (await here.link.drive(point, here.order())).result is DriveResult.ACKNOWLEDGED
        assert here.meter().relay is RelayState.OPEN

    here.run(story)


def test_a_wrong_secret_or_no_store_is_named_and_sends_no_order() -> None:
    wrong = rig(Keys(bytes(16), bytes(16)))
    assert poll(wrong).reads == () and wrong.meter().relay_changes == []
    short = rig()
    short.secrets["lls"] = b"00"
    assert codes(poll(short)) == ["bad_secret"]
    bare = DlmsRig(firmware=Firmware(driver()), keys=KEYS, seals=None)
    assert codes(poll(bare)) == ["no_key_store"]


def test_a_counter_that_is_nearly_used_up_warns_early() -> None:
    here = rig()
    here.counters.counters["lls/D1"] = WARN_AT
    found = poll(here)
    assert found.reads and codes(found) == ["counter_nearly_used"]


def test_counters_go_on_after_a_restart() -> None:
    here = rig()
    store = here.counters
    poll(here)
    used = store.used("lls/D1")
    assert used > 0
    again = rig()
    again.device.keys[1].seen[TITLE] = used - 1
    again.counters.counters = dict(store.counters)
    assert poll(again).reads


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_the_secured_meter_answers_anything(raw: bytes) -> None:
    talk = Talk()
    talk.tell(talk.dialogue.open())
    assert isinstance(talk.meter.answer(raw, START), bytes)
    assert talk.meter._proven or raw[:1] in (b"\x60", b"\x62")


def test_acse_without_a_challenge_is_no_hls() -> None:
    talk = Talk()
    plain = acse.encode(acse.AssociationRequest(acse.encode_initiate(acse.Initiate(), answer=False)))
    answer = acse.decode(talk.meter.answer(plain, START))
    assert isinstance(answer, acse.AssociationResponse) and answer.result == 1
