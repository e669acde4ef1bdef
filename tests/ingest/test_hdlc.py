"""HDLC: frames, addresses, negotiation, windows and segments on both sides, lossy lines, and the DLMS link on it."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.links.dlms import DlmsLink
from ingest.links.hdlc import HdlcTransport
from ingest.records import DriveResult, RelayState
from ingest.wire import hdlc
from ingest.wire.hdlc import Frame, Kind
from ingest.wire.hdlc_link import HdlcLink, Limits, Phase, agreed, limits_of
from ingest.wire.sift import Sifter
from sim.hdlcmeters import HdlcMeters
from tests.ingest.dlms_rig import HOUR, PORT, START, DlmsRig, codes

ADDRESSES = st.one_of(
    st.builds(hdlc.address, st.integers(0, 127)),
    st.builds(hdlc.address, st.integers(0, 127), st.integers(0, 127)),
    st.builds(hdlc.address, st.integers(0, 16383), st.integers(128, 16383)),
)


@settings(max_examples=200, deadline=None)
@given(ADDRESSES, ADDRESSES, st.integers(0, 255), st.binary(max_size=300), st.booleans())
def test_a_frame_comes_back_as_it_left(there: bytes, here: bytes, control: int, body: bytes, more: bool) -> None:
    frame = Frame(there, here, control, body, more)
    raw = hdlc.encode(frame)
    assert [p.content for p in Sifter().feed(raw)] == [frame]
    sifter = Sifter()
    assert [p.content for byte in raw for p in sifter.feed(bytes([byte]))] == [frame]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 5))
def test_no_bytes_raise(raw: bytes, at: int) -> None:
    hdlc.look(raw, min(at, len(raw)))
    hdlc.look(b"\x7e\xa0" + raw)
    limits_of(raw)
    limits_of(b"\x81\x80" + raw)


def test_addresses_of_one_two_and_four_bytes() -> None:
    for parts in ((1, None), (1, 17), (1, 16383), (16383, 1)):
        assert hdlc.address_parts(hdlc.address(*parts)) == parts
    assert hdlc.address(1, 17, size=4).hex() == "00020023"
    for bad in ((128, None), (16384, 1), (-1, 1)):
        with pytest.raises(ValueError, match="address"):
            hdlc.address(*bad)
    with pytest.raises(ValueError, match="segments"):
        hdlc.encode(Frame(b"\x03", b"\x21", 0, bytes(2048)))


def test_negotiation_takes_the_smaller_of_both() -> None:
    ours, theirs = Limits(2030, 512, 3, 7), Limits(256, 1024, 2, 1)
    assert agreed(ours, theirs) == Limits(1024, 256, 1, 2)
    assert limits_of(ours.encoded()) == ours
    assert limits_of(b"") == limits_of(b"\x81\x80\x0e\x05\x01\x00\x06\xff") == Limits()
    assert limits_of(bytes.fromhex("8180120501800601800704000000010804000000 01")) == Limits()


class Pair:
    """A client and a server joined by a line that may lose, repeat and spoil frames."""

    def __init__(self, client: Limits, server: Limits, *, seed: int = 0, loss: float = 0.0) -> None:
        a, b = hdlc.address(16), hdlc.address(1, 17)
        self.client = HdlcLink(a, b, client=True, ours=client)
        self.server = HdlcLink(b, a, client=False, ours=server)
        self.rng, self.loss = random.Random(seed), loss
        self.got: list[bytes] = []

    def spoiled(self, data: bytes) -> bytes:
        if data and self.rng.random() < self.loss:
            at = self.rng.randrange(len(data))
            return self.rng.choice((b"", data[:at], data + data, data[:at] + b"\x00" + data[at + 1 :]))
        return data

    def exchange(self, data: bytes, answer: bytes | None = None) -> list[bytes]:
        """Carry ``data`` over and everything that follows; the client repeats when nothing comes any more."""
        payloads: list[bytes] = []
        for _ in range(200):
            reply, got = self.server.receive(self.spoiled(data))
            self.got += got
            if got and answer is not None:
                reply += self.server.send(answer)
            data, back = self.client.receive(self.spoiled(reply))
            payloads += back
            wanted = payloads if answer is not None else ([b""] if self.client.phase is Phase.OPEN else [])
            if wanted:
                return payloads
            data = data or self.client.again()
        raise AssertionError("the line never came through")


@pytest.mark.parametrize("window", [1, 3, 7])
@pytest.mark.parametrize("size", [32, 128, 2030])
def test_payloads_pass_in_segments_and_windows(window: int, size: int) -> None:
    pair = Pair(Limits(size, size, window, window), Limits(size, size, window, window))
    pair.exchange(pair.client.connect())
    for length in (1, size, size + 1, 5 * size + 3):
        request, answer = bytes(range(256)) * 45, b"\xa5" * length
        assert pair.exchange(pair.client.send(request[:length]), answer) == [answer]
        assert pair.got.pop() == request[:length]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7))
def test_a_lossy_line_gives_each_payload_once_and_whole(seed: int, window: int) -> None:
    pair = Pair(Limits(64, 64, window, window), Limits(64, 64, window, window), seed=seed, loss=0.25)
    pair.exchange(pair.client.connect())
    for number in range(6):
        request, answer = bytes([number]) * 150, bytes([0x80 | number]) * 200
        assert pair.exchange(pair.client.send(request), answer) == [answer]
    assert pair.got == [bytes([number]) * 150 for number in range(6)]


def test_nothing_counts_before_the_connection_or_from_strangers() -> None:
    pair = Pair(Limits(), Limits())
    early = hdlc.encode(Frame(pair.server.local, pair.client.local, 0x10, b"early"))
    reply, got = pair.server.receive(early)
    assert got == [] and next(iter(Sifter().feed(reply))).content == Frame(
        pair.client.local, pair.server.local, Kind.DM | 0x10
    )
    pair.exchange(pair.client.connect())
    stranger = hdlc.encode(Frame(hdlc.address(9), pair.client.local, 0x10, b"other"))
    assert pair.server.receive(stranger) == (b"", [])
    pair.server.receive(pair.client.disconnect())
    assert pair.server.phase is Phase.CLOSED


def rig(line: Any = None, *, wait_s: float = 0.3, limits: Limits | None = None) -> DlmsRig:
    here = DlmsRig(units=2, timeout_s=5.0)
    small = limits if limits is not None else Limits(128, 128, 1, 1)
    here.network.devices["c1", PORT] = HdlcMeters(here.device, limits=small, line=line)
    here.link = DlmsLink(
        here.clock,
        HdlcTransport(here.network, physical=17, wait_s=wait_s),
        "c1",
        PORT,
        gateway="c1",
        fences=here.fences,
        secrets=here.secrets.get,
        timeout_s=5.0,
        depth=1,
    )
    return here


@pytest.mark.parametrize("limits", [Limits(32, 64, 1, 1), Limits(128, 128, 3, 3), Limits(2030, 2030, 7, 7)])
def test_the_dlms_link_reads_fills_and_switches_over_hdlc(limits: Limits) -> None:
    here = rig(limits=limits)

    async def story() -> None:
        await here.clock.sleep(30 * 3600)
        for unit in (1, 2):
            poll = await here.link.poll(here.point(unit), START + 30 * HOUR)
            assert poll.findings == () and poll.serial == here.meter(unit).serial
        filled = await here.link.profile(here.point(2), START, START + 30 * HOUR)
        assert [(r.end, r.register_wh) for r in filled.reads] == here.meter(2).profile
        assert (await here.link.drive(here.point(), here.order())).result is DriveResult.ACKNOWLEDGED
        assert (await here.link.relay(here.point())).state is RelayState.OPEN

    here.run(story)


def test_lost_and_spoiled_frames_are_repaired_and_nothing_is_done_twice() -> None:
    rng = random.Random(5)

    def line(data: bytes) -> bytes:
        at = rng.randrange(len(data) + 1)
        return rng.choice((data,) * 7 + (b"", data[:at], b"\x00\x7e" + data, data + data))

    here = rig(line)

    async def story() -> None:
        await here.clock.sleep(5 * 3600)
        good = 0
        for _ in range(20):
            poll = await here.link.poll(here.point(), here.clock.now())
            for read in poll.reads:
                good += 1
                assert 0 <= here.meter().register_wh - read.register_wh <= 5
        assert good >= 12
        outcome = await here.link.drive(here.point(), here.order())
        assert outcome.result in (DriveResult.ACKNOWLEDGED, DriveResult.UNREACHABLE, DriveResult.UNKNOWN)
        assert len(here.meter().relay_changes) <= 1

    here.run(story)


def test_a_meter_that_answers_no_snrm_is_a_finding() -> None:
    here = rig(lambda data: b"")
    poll = here.run(lambda: here.link.poll(here.point(), START))
    assert poll.reads == () and codes(poll)
