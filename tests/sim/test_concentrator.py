"""The simulated concentrator as a server: what it answers, refuses and leaves unanswered, byte by byte, on garbage."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.drivers.dlms_generic import DRIVER
from ingest.records import RelayState
from ingest.wire import acse, apdu
from ingest.wire.axdr import Data, Tag, decode
from ingest.wire.cosem import Access, Name, When, by_entry, by_range, pack_time
from ingest.wire.wrapper import Reader, encode
from sim.concentrator import SECRET, Concentrator, ConcentratorSession
from sim.logicaldevice import Firmware
from sim.meters import SimMeter

START = datetime(2026, 7, 1)
SERIAL = Name(1, "0.0.96.1.0.255", 2)
CLOCK = Name(8, "0.0.1.0.0.255", 2)
BUFFER = Name(7, "1.0.99.1.0.255", 2)
RELAY = "0.0.96.3.10.255"


class Clock:
    """Ten hours after the meters were built."""

    at = START + timedelta(hours=10, minutes=20)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("sessions are pure")


def concentrator(**changes: object) -> Concentrator:
    meters = {unit: SimMeter(f"S{unit}", lambda _: 600, START) for unit in (1, 2)}
    firmware = replace(Firmware(DRIVER, SECRET), **changes)  # type: ignore[arg-type]
    return Concentrator(Clock(), meters, firmware=firmware)


def talk(session: ConcentratorSession, record: apdu.Apdu, unit: int = 1) -> list[apdu.Apdu]:
    reader = Reader()
    answers = session.feed(encode(1, unit, apdu.encode(record)))
    frames = [frame for answer in answers for frame in reader.feed(answer)]
    assert all(frame.source == unit and frame.destination == 1 for frame in frames)
    return [apdu.decode(frame.payload) for frame in frames]


def aarq(secret: bytes | None = SECRET) -> acse.AssociationRequest:
    mechanism = acse.Mechanism.NONE if secret is None else acse.Mechanism.LLS
    return acse.AssociationRequest(acse.encode_initiate(acse.Initiate(), answer=False), acse.LN, mechanism, secret)


def associated(device: Concentrator, unit: int = 1) -> ConcentratorSession:
    session = device.session()
    (answer,) = talk(session, aarq(device.firmware.secret), unit)
    assert isinstance(answer, acse.AssociationResponse) and (answer.result, answer.diagnostic) == (0, 0)
    return session


@pytest.mark.parametrize(("secret", "diagnostic"), [(b"wrong", 13), (b"", 13), (None, 11)])
def test_only_the_right_secret_gets_in(secret: bytes | None, diagnostic: int) -> None:
    session = concentrator().session()
    (answer,) = talk(session, aarq(secret))
    assert isinstance(answer, acse.AssociationResponse) and (answer.result, answer.diagnostic) == (1, diagnostic)
    assert talk(session, apdu.GetRequest(0xC1, SERIAL)) == [apdu.ExceptionResponse(1, 1)]


def test_each_device_and_each_connection_has_its_own_association() -> None:
    device = concentrator()
    session = associated(device)
    assert talk(session, apdu.GetRequest(0xC1, SERIAL)) == [apdu.GetResponse(0xC1, Data(Tag.OCTET_STRING, b"S1"))]
    assert talk(session, apdu.GetRequest(0xC1, SERIAL), 2) == [apdu.ExceptionResponse(1, 1)]
    assert talk(device.session(), apdu.GetRequest(0xC1, SERIAL)) == [apdu.ExceptionResponse(1, 1)]
    assert talk(session, apdu.GetRequest(0xC1, SERIAL), 9) == []
    assert talk(session, acse.Release(answer=False)) == [acse.Release(answer=True)]
    assert talk(session, apdu.GetRequest(0xC1, SERIAL)) == [apdu.ExceptionResponse(1, 1)]


def test_requests_arrive_byte_by_byte() -> None:
    device = concentrator()
    session = associated(device)
    whole = encode(1, 1, apdu.encode(apdu.GetRequest(0xC1, SERIAL)))
    answers = [session.feed(bytes([byte])) for byte in whole]
    assert [len(answer) for answer in answers] == [0] * (len(whole) - 1) + [1]


def test_what_a_device_does_not_have_is_denied() -> None:
    session = associated(concentrator())
    for name in (Name(3, "1.0.2.8.0.255", 2), SERIAL._replace(number=9), BUFFER._replace(number=5)):
        assert talk(session, apdu.GetRequest(0xC1, name)) == [apdu.GetResponse(0xC1, apdu.Denied(4))]
    assert talk(session, apdu.SetRequest(0xC1, SERIAL, Data(Tag.NULL))) == [apdu.SetResponse(0xC1, 3)]
    method = apdu.ActionRequest(0xC1, Name(70, RELAY, 3))
    assert talk(session, method) == [apdu.ActionResponse(0xC1, 4)]


def rows(session: ConcentratorSession, access: Access | None) -> list[int]:
    (answer,) = talk(session, apdu.GetRequest(0xC1, BUFFER, access))
    assert isinstance(answer, apdu.GetResponse) and isinstance(answer.result, Data)
    plain = answer.result.plain
    assert isinstance(plain, list)
    return [row[2] for row in plain]


def test_selective_access_by_range_and_entry() -> None:
    session = associated(concentrator())
    assert rows(session, None) == [600 * hour for hour in range(1, 11)]
    at = [When(START + timedelta(hours=hour), 0) for hour in range(11)]
    assert rows(session, by_range(at[3], at[5])) == [1800, 2400, 3000]
    assert rows(session, by_range(at[5], at[3])) == []
    assert rows(session, by_entry(2, 3)) == [1200, 1800]
    assert rows(session, by_entry(9, 0)) == [5400, 6000]
    bad = apdu.GetRequest(0xC1, BUFFER, Access(3, Data(Tag.NULL)))
    assert talk(session, bad) == [apdu.GetResponse(0xC1, apdu.Denied(12))]


def test_blocks_can_be_asked_for_again_and_end() -> None:
    session = associated(concentrator(max_apdu=64))
    (block,) = talk(session, apdu.GetRequest(0xC1, BUFFER))
    joined = b""
    while isinstance(block, apdu.GetBlock) and not block.last:
        assert isinstance(block.raw, bytes) and len(apdu.encode(block)) <= 64
        joined += block.raw
        again = talk(session, apdu.GetNext(0xC1, block.number - 1)) if block.number > 1 else [block]
        assert again == [block]
        (block,) = talk(session, apdu.GetNext(0xC1, block.number))
    assert isinstance(block, apdu.GetBlock) and isinstance(block.raw, bytes)
    assert len(decode(joined + block.raw).plain) == 10  # type: ignore[arg-type]
    assert talk(session, apdu.GetNext(0xC1, 99)) == [apdu.GetBlock(0xC1, True, 100, apdu.Denied(16))]


def test_the_clock_can_be_set() -> None:
    device = concentrator()
    device.meters[1].skew_s = -500
    session = associated(device)
    now = Data(Tag.OCTET_STRING, pack_time(When(Clock.at, 0)))
    assert talk(session, apdu.SetRequest(0xC1, CLOCK, now)) == [apdu.SetResponse(0xC1, 0)]
    assert device.meters[1].skew_s == 0
    assert talk(session, apdu.SetRequest(0xC1, CLOCK, Data(Tag.NULL))) == [apdu.SetResponse(0xC1, 12)]


@pytest.mark.parametrize(("mode", "state"), [(2, RelayState.CLOSED), (3, RelayState.READY), (0, RelayState.CLOSED)])
def test_remote_methods_follow_the_control_mode(mode: int, state: RelayState) -> None:
    device = concentrator(control_mode=mode)
    session = associated(device)
    wanted = 3 if mode == 0 else 0
    off, on = (apdu.ActionRequest(0xC1, Name(70, RELAY, method), Data(Tag.INTEGER, 0)) for method in (1, 2))
    assert talk(session, off) == [apdu.ActionResponse(0xC1, wanted)]
    assert talk(session, on) == [apdu.ActionResponse(0xC1, 0)]
    assert talk(session, on) == [apdu.ActionResponse(0xC1, 0)]
    assert device.meters[1].relay is state
    assert device.press(1)
    assert len(device.meters[1].relay_changes) == {2: 2, 3: 3, 0: 0}[mode]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(["aarq", "get"])), max_size=8))
def test_no_client_makes_it_raise(messages: list[bytes | str]) -> None:
    session = concentrator().session()
    known = {"aarq": apdu.encode(aarq()), "get": apdu.encode(apdu.GetRequest(0xC1, SERIAL))}
    for message in messages:
        payload = known[message] if isinstance(message, str) else message
        session.feed(encode(1, 1, payload) if payload else b"\x00")
