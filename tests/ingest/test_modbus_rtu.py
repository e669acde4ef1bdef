"""Serial Modbus: frames among noise, answers that come too late, a pseudo terminal, a serial server, and TLS."""

import asyncio
import os
import pty
import random
import ssl
import termios
import tty
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.drivers import driver
from ingest.links.modbus import ModbusLink
from ingest.links.requests import read_request
from ingest.links.serial import SerialTransport
from ingest.links.tcp import TcpTransport, tls_context
from ingest.model import ModbusDriver
from ingest.records import Channel, Drive, DriveResult, MeterPoint, Poll
from ingest.wire.modbus import Frame
from ingest.wire.rtu import MOST_HELD, RtuReader, RtuRequests, answer_adu, crc, request_adu
from sim.meters import SimMeter
from sim.modbus import ModbusGateway
from sim.sockets import serve
from tests.ingest.rig import START, MemoryFences, Rig, on_asyncio
from tests.ingest.test_modbus_peers import NOW, Clock, point

ASK = read_request(4, 0, 2)
ANSWER = bytes.fromhex("010404436633341b38")  # Eastron's manual prints this exchange


def known(name: str) -> ModbusDriver:
    found = driver(name)
    assert isinstance(found, ModbusDriver)
    return found


def codes(poll: Poll) -> list[str]:
    return [finding.code for finding in poll.findings]


# ---- frames
def test_the_request_and_the_answer_that_a_manual_prints() -> None:
    assert request_adu(1, ASK).hex() == "01040000000271cb"
    assert RtuReader().feed(ANSWER, ASK) == [Frame(0, 1, bytes.fromhex("040443663334"))]
    assert answer_adu(1, bytes.fromhex("040443663334")) == ANSWER


def test_one_byte_at_a_time_and_with_glitch_bytes_around() -> None:
    reader = RtuReader()
    got = [frame for byte in b"\0" + ANSWER + b"\0" for frame in reader.feed(bytes([byte]), ASK)]
    assert [frame.unit for frame in got] == [1]
    assert reader.noise == 1
    assert reader.half  # the glitch byte behind the frame


def test_a_bent_bit_is_no_frame() -> None:
    for bit in range(8 * len(ANSWER)):
        bent = bytearray(ANSWER)
        bent[bit // 8] ^= 1 << bit % 8
        assert RtuReader().feed(bytes(bent), ASK) == [], bit


@settings(max_examples=60)
@given(st.binary(max_size=30), st.binary(max_size=30), st.integers(1, 20))
def test_a_frame_is_found_in_any_noise(before: bytes, after: bytes, chunk: int) -> None:
    stream = before + ANSWER + after
    reader = RtuReader()
    parts = [stream[at : at + chunk] for at in range(0, len(stream), chunk)]
    frames = [frame for part in parts for frame in reader.feed(part, ASK)]
    assert Frame(0, 1, ANSWER[1:-2]) in frames


@given(st.lists(st.binary(max_size=400), max_size=12))
def test_endless_noise_holds_bounded_memory(chunks: list[bytes]) -> None:
    reader, requests = RtuReader(), RtuRequests()
    for chunk in chunks:
        reader.feed(chunk, ASK)
        requests.feed(chunk)
        assert len(reader._held) <= MOST_HELD
        assert len(requests._held) <= 9 + 255 + 400


def test_requests_are_found_again_after_noise() -> None:
    requests = RtuRequests()
    write = bytes.fromhex("10001a0001020001")
    stream = b"\xff\x07" + request_adu(7, ASK) + b"\0" + request_adu(8, write)
    frames = [frame for byte in stream for frame in requests.feed(bytes([byte]))]
    assert [(frame.unit, frame.pdu) for frame in frames] == [(7, ASK), (8, write)]
    assert crc(b"") == 0xFFFF


# ---- the line on virtual time
def rtu_rig(seed: int = 1) -> Rig:
    rig = Rig(seed)
    rig.gateway("g1", framing="rtu")
    return rig


def test_a_late_answer_is_never_the_next_one_s() -> None:
    """Function 4, two registers each, one after the other on one unit: the scene that fools a library."""
    wrong = right = late = drained = 0
    for seed in range(6):
        rig = rtu_rig(seed)
        rig.faults.late, rig.faults.late_s = 0.2, 0.95
        rig.faults.lost_answer = rig.faults.lost_request = 0.05
        points = [rig.meter("em24", unit, load_w=600 * unit) for unit in (1, 2, 3)]

        async def story(rig: Rig = rig, points: list[MeterPoint] = points) -> list[tuple[int, int, int, int]]:
            nonlocal drained
            rows = []
            for _ in range(40):
                for meter in points:
                    metal = rig.meters[meter.meter]
                    metal.advance(rig.clock.now())
                    before = metal.register_wh
                    poll = await rig.links["g1"].poll(meter, rig.clock.now())
                    metal.advance(rig.clock.now())
                    drained += "draining" in codes(poll)
                    rows += [
                        (before, read.register_wh, metal.register_wh, abs((poll.power_w or 0) - 600 * meter.unit))
                        for read in poll.reads
                        if read.channel == Channel.IMPORT
                    ]
                await rig.clock.sleep(6)
            return rows

        for before, read, after, _ in rig.run(story):
            right += 1
            wrong += not before - 100 <= read <= after
        late += rig.faults.counts["late"]
    assert wrong == 0
    assert right > 60
    assert late > 50
    assert drained > 10


def test_a_time_out_of_one_unit_delays_no_other() -> None:
    rig = rtu_rig()
    dead, well = rig.meter("dds238", 1), rig.meter("dds238", 2)
    rig.meters["M1"].faults.add("dead")

    async def story() -> tuple[list[str], bool, float, list[str]]:
        first = await rig.links["g1"].poll(dead, START)
        begin = rig.clock.monotonic()
        second = await rig.links["g1"].poll(well, START)
        took = rig.clock.monotonic() - begin
        return codes(first), second.ok, took, codes(await rig.links["g1"].poll(dead, START))

    first, ok, took, again = rig.run(story)
    assert (first, ok, again) == (["timeout"], True, ["draining"])
    assert took < 0.6


def test_an_answer_that_lags_by_one_is_found_out() -> None:
    """A serial server that hands out its last answer once more: the first read of a meter is asked for twice."""
    rig = rtu_rig()
    meter = rig.meter("pro380", 1)
    gateway, held = rig.gateways["g1"], [b""]
    answer = gateway.answer

    def lagging(frame: Frame) -> list[bytes]:
        now, held[0] = held[0], answer(frame)[0]
        return [now] if now else []

    gateway.answer = lagging  # type: ignore[method-assign]

    async def story() -> list[Poll]:
        polls = []
        for _ in range(6):
            polls.append(await rig.links["g1"].poll(meter, rig.clock.now()))
            await rig.clock.sleep(3600)
        return polls

    polls = rig.run(story)
    metal = rig.meters["M1"]
    rows = dict(metal.profile)
    for poll in polls:
        for read in poll.reads:
            if read.channel == Channel.IMPORT:
                truth = rows.get(read.end, 5_000_000)
                assert abs(read.register_wh - truth) <= 20


def test_another_unit_s_answer_is_no_read_and_switching_works() -> None:
    rig = rtu_rig()
    meter = rig.meter("dds238", 1)
    rig.meter("dds238", 2)
    order = Drive("C1", "M1", "disconnect", 1, START + timedelta(minutes=5))
    assert rig.run(lambda: rig.links["g1"].drive(meter, order)).result is DriveResult.ACKNOWLEDGED
    rig = rtu_rig()
    meter = rig.meter("dds238", 1)
    gateway = rig.gateways["g1"]
    answer = gateway.answer
    gateway.answer = lambda frame: [answer_adu(9, write[1:-2]) for write in answer(frame)]  # type: ignore[method-assign]
    assert codes(rig.run(lambda: rig.links["g1"].poll(meter, START))) == ["wrong_unit"]


# ---- real ports
async def terminal(device: ModbusGateway, rng: random.Random) -> tuple[str, int]:
    """A pseudo terminal whose far end is ``device``, with glitch bytes around each answer."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    os.close(slave)
    os.set_blocking(master, False)
    session = device.session()

    def ready() -> None:
        try:
            data = os.read(master, 4096)
        except OSError:
            return  # nobody has the other end open now
        for answer in session.feed(data):
            os.write(master, b"\0" * rng.randrange(2) + answer + b"\0" * rng.randrange(2))

    asyncio.get_running_loop().add_reader(master, ready)
    return name, master


@pytest.mark.sockets
@on_asyncio
async def test_meters_are_read_and_switched_on_a_serial_port() -> None:
    gateway = ModbusGateway(Clock(), "rtu")
    metal = SimMeter("4000001", lambda _: 1500, NOW, register_mwh=60_240_000)
    gateway.add(1, metal, known("dds238"))
    gateway.add(2, SimMeter("4000002", lambda _: 1500, NOW, register_mwh=123_456_000), known("sdm630"))
    name, master = await terminal(gateway, random.Random(4))
    transport = SerialTransport(9600)
    ours = ModbusLink(
        Clock(), transport, name, 0, gateway="g1", fences=MemoryFences(), timeout_s=0.3, framing="rtu", gap_s=0.002
    )
    try:
        for _ in range(5):
            first = await ours.poll(point("dds238", 0, 1, "unit-1"), NOW)
            assert (codes(first), first.reads[0].register_wh, first.power_w) == ([], 60_240, 1500)
            second = await ours.poll(point("sdm630", 0, 2, "4000002"), NOW)
            assert (codes(second), second.reads[0].register_wh) == ([], 123_456)
        nobody = await ours.poll(point("dds238", 0, 3, "unit-3"), NOW)
        assert codes(nobody) in (["timeout"], ["half_frame"])
        order = Drive("C1", "M1", "disconnect", 1, NOW + timedelta(minutes=30))
        assert (await ours.drive(point("dds238", 0, 1, "unit-1"), order)).result is DriveResult.ACKNOWLEDGED
        assert len(metal.relay_changes) == 1
    finally:
        await ours.close()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)


@pytest.mark.sockets
@on_asyncio
async def test_a_port_that_is_none_says_so() -> None:
    for name, transport in (("/dev/null", SerialTransport()), ("/nowhere/tty", SerialTransport())):
        with pytest.raises(OSError, match=r"no serial port|No such file"):
            await transport.connect(name, 0)
    master, slave = pty.openpty()
    with pytest.raises(OSError, match="12345 baud"):
        await SerialTransport(baud=12345).connect(os.ttyname(slave), 0)
    stream = await SerialTransport(baud=19200, parity="O", stop_bits=2).connect(os.ttyname(slave), 0)
    assert termios.tcgetattr(slave)[2] & (termios.PARODD | termios.CSTOPB) == termios.PARODD | termios.CSTOPB
    stream.close()
    assert await stream.read(10) == b""
    with pytest.raises(OSError, match="closed"):
        await stream.write(b"x")
    for descriptor in (master, slave):
        os.close(descriptor)


@pytest.mark.sockets
@on_asyncio
async def test_rtu_frames_in_tcp() -> None:
    gateway = ModbusGateway(Clock(), "rtu")
    gateway.add(2, SimMeter("4000002", lambda _: 1500, NOW, register_mwh=123_456_000), known("sdm630"))
    served = await serve(gateway)
    fences = MemoryFences()
    ours = ModbusLink(
        Clock(), TcpTransport(), "127.0.0.1", served.port, gateway="g", fences=fences, timeout_s=0.5, framing="rtu"
    )
    poll = await ours.poll(point("sdm630", 0, 2, "4000002"), NOW)
    assert (codes(poll), poll.reads[0].register_wh) == ([], 123_456)
    await ours.close()
    await served.close()


# ---- TLS
def certificate(folder: Path, name: str, *, host: str = "") -> tuple[Path, Path]:
    """A self-signed certificate and its key, made here."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = [x509.IPAddress(IPv4Address(host))] if host else [x509.DNSName(name)]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(made.public_bytes(pem))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / f"{name}.pem", folder / f"{name}.key"


@pytest.mark.sockets
def test_tls_reads_from_the_right_host_only_and_shows_our_certificate(tmp_path: Path) -> None:
    theirs, other, ours = (
        certificate(tmp_path, "gateway", host="127.0.0.1"),
        certificate(tmp_path, "stranger", host="127.0.0.2"),
        certificate(tmp_path, "collector"),
    )

    async def poll(server: tuple[Path, Path], *, shown: bool) -> Poll:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ours[0]))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(*map(str, server))
        gateway = ModbusGateway(Clock())
        gateway.add(1, SimMeter("4000001", lambda _: 1500, NOW, register_mwh=60_240_000), known("dds238"))
        served = await serve(gateway, tls=context)
        tls = tls_context(server[0], *(ours if shown else (None, None)))
        link = ModbusLink(
            Clock(), TcpTransport(tls), "127.0.0.1", served.port, gateway="g", fences=MemoryFences(), timeout_s=1.0
        )
        try:
            return await link.poll(point("dds238", 0, 1, "unit-1"), NOW)
        finally:
            await link.close()
            await served.close()

    good = asyncio.run(poll(theirs, shown=True))
    assert (codes(good), good.reads[0].register_wh) == ([], 60_240)
    assert codes(asyncio.run(poll(other, shown=True))) == ["unreachable"]
    assert codes(asyncio.run(poll(theirs, shown=False))) in (["closed"], ["unreachable"])
